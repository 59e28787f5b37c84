"""What one returned message says about one recipient."""

from dataclasses import dataclass, field
from enum import StrEnum

from mailer.smtp.replies.actions import Reason

__all__ = ["Kind", "Reason", "Report", "Trace"]


class Kind(StrEnum):
    """What came back."""

    BOUNCE = "bounce"
    """It was not delivered, and nobody tries any more."""
    DELAYED = "delayed"
    """It was not delivered yet; somebody goes on trying."""
    DELIVERED = "delivered"
    """It was delivered, relayed or expanded."""
    COMPLAINT = "complaint"
    """The recipient pressed "spam"."""
    UNSUBSCRIBE = "unsubscribe"
    """The recipient wants no more of it."""
    AUTO_REPLY = "auto_reply"
    """A vacation notice, a ticket, a challenge: counted, never acted on."""
    REPORT = "report"
    """A receipt, an authentication report, "not spam": counted, never acted on."""
    UNKNOWN = "unknown"
    """A person's mail, or something that is not understood."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What leads from a report back to the message it is about.

    *envelope* are the addresses that the report was delivered to, the strongest proof first;
    *envelope_id* is ENVID as given back (RFC 3464, section 2.2.1). *message_id*, *return_path* and
    *unsubscribe* come from the headers of the returned message. All are as found: not yet proven.
    """

    envelope: tuple[str, ...] = ()
    envelope_id: str | None = None
    message_id: str | None = None
    return_path: str | None = None
    unsubscribe: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One recipient's part of what came back.

    *status* is an enhanced status code (RFC 3463), *reply_code* an SMTP code; *reason* is said of
    bounces and delays. *permanent*, of bounces: whether the address is no good for good; a reason
    that could mean so is not enough where the evidence is weak. *diagnostic* is foreign text of at
    most 500 characters.
    """

    kind: Kind
    recipient: str | None = None
    status: str | None = None
    reply_code: int | None = None
    reason: Reason | None = None
    permanent: bool | None = None
    diagnostic: str = field(default="", repr=False)
    trace: Trace = field(default=Trace(), repr=False)
