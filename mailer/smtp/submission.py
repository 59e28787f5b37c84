"""What is handed in to be sent, and what became of it."""

from dataclasses import dataclass
from enum import Enum

from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action


@dataclass(frozen=True, slots=True)
class Submission:
    """One message for one recipient.

    *content* is the finished message with CRLF line ends, without dot-stuffing and final dot. The
    paths are mailboxes without brackets; an empty *reverse_path* is the null one.
    """

    reverse_path: str
    forward_path: str
    content: bytes
    smtputf8: bool = False
    """The headers hold raw UTF-8 (RFC 6532); an address tells by itself what it needs."""
    envid: str | None = None
    """What a delivery status notification brings back: ENVID of RFC 3461, ASCII."""
    is_vouched_for: bool = False
    """A `Skeleton` has checked the *content*: it may be sent as it is, and no line begins with a dot."""


class Fate(Enum):
    """What became of a submission."""

    ACCEPTED = "accepted"
    """The server has taken the responsibility for it."""
    REFUSED = "refused"
    """The server said no, or it never could say yes; the result's action says what follows."""
    UNSENT = "unsent"
    """Certainly not sent. It is safe to send it again."""
    UNCERTAIN = "uncertain"
    """The final dot was written and no reply was read: it may have been accepted."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one submission, and why.

    The *action* of what is uncertain is `retry_later`, as if 451 had been read (RFC 5321 section 6.1),
    if the caller dares. What is unsent without an action was held back by the caller's own journal or
    gate. *reply* is None where none was read, and *rule* begins with "local:" where this side decided.
    *dialogue* holds the last lines of the session, without content, credentials and local parts, of
    what was refused or lost in mid-session.
    """

    fate: Fate
    stage: Stage | None = None
    reply: Reply | None = None
    action: Action | None = None
    rule: str = ""
    dialogue: tuple[str, ...] = ()
