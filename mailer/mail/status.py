"""Where a recipient stands, and what is remembered of one that was not accepted.

The letters are what the ledger keeps, one a recipient:

======  =============  =====================================================================
letter  status         meaning
======  =============  =====================================================================
``q``   queued         accepted by `enqueue`; under a living lease: claimed by a worker
``d``   deferred       refused for now; tried again when its time comes
``t``   transmitting   the write with its final dot may have begun, no reply is recorded yet
``a``   accepted       the server has taken responsibility (RFC 5321 section 6.1)
``r``   rejected       refused for good
``u``   uncertain      transmitted, the reply was lost; held among the dead letters
``s``   suppressed     on the suppression list: never sent
``x``   cancelled      its campaign was cancelled before it was sent
``z``   dead           in the dead letters: needs a human
``p``   dropped        a dead letter that was purged
======  =============  =====================================================================

The first three are *open*; all others are final until a dead letter is replayed.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mailer.mail.said import Said


class Status(StrEnum):
    """One recipient's place in the ledger; the value is the letter that is stored."""

    QUEUED = "q"
    DEFERRED = "d"
    TRANSMITTING = "t"
    ACCEPTED = "a"
    REJECTED = "r"
    UNCERTAIN = "u"
    SUPPRESSED = "s"
    CANCELLED = "x"
    DEAD = "z"
    DROPPED = "p"

    @property
    def word(self) -> str:
        """The status as people read it: ``accepted``."""
        return self.name.lower()

    @classmethod
    def read(cls, letter: str) -> "Status":
        """The status of a *letter* that is shown; one that is none of ours says that nobody knows."""
        try:
            return cls(letter)
        except ValueError:
            return cls.UNCERTAIN

    @classmethod
    def told(cls, letter: str) -> str:
        """The word for a *letter*, in which who is just being transmitted to waits as others do."""
        found = cls.read(letter)
        return (cls.QUEUED if found is cls.TRANSMITTING else found).word


OPEN: Final = frozenset({Status.QUEUED, Status.DEFERRED, Status.TRANSMITTING})


@dataclass(frozen=True, slots=True)
class Detail:
    """What is remembered of a recipient that was not accepted (yet).

    *mailbox* is kept because the payload goes when its batch is final. Times are seconds since the
    epoch; *due* is 0.0 where nothing is to come.
    """

    mailbox: str
    stage: str = ""
    code: int = 0
    enhanced: str = ""
    text: str = ""
    action: str = ""
    rule: str = ""
    attempts: int = 0
    first: float = 0.0
    at: float = 0.0
    due: float = 0.0

    @property
    def said(self) -> Said:
        """What the server said of this recipient last."""
        return Said(
            self.stage,
            self.code,
            self.enhanced,
            self.text,
            self.action,
            self.rule,
            self.attempts,
        )

    @property
    def reply(self) -> str:
        """The reply as the server wrote it: ``550 5.1.1 no such user``."""
        return self.said.reply

    def hearing(self, said: Said, at: float) -> "Detail":
        """The same recipient after the server has *said* something new; `attempts` stay."""
        return replace(
            self,
            stage=said.stage,
            code=said.code,
            enhanced=said.enhanced,
            text=said.text,
            action=said.action,
            rule=said.rule,
            at=at,
            due=0.0,
        )
