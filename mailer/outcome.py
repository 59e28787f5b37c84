"""What a result means for its recipient, and when to try again.

Pure: replies, times and randomness come in, decisions go out. The letters are what the ledger keeps,
one a recipient:

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

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mailer.smtp.reply import Stage
from mailer.smtp.rules import Action
from mailer.smtp.transaction import Fate, Result


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


OPEN: Final = frozenset({Status.QUEUED, Status.DEFERRED, Status.TRANSMITTING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a deferred recipient is tried again: exponential, jittered, limited.

    The n-th wait is ``first_delay * factor**n`` seconds, at most *max_delay*, moved by up to *jitter* of
    itself either way. After *attempts* tries, or *give_up_after* seconds, no more.
    """

    first_delay: float = 60.0
    factor: float = 2.0
    max_delay: float = 4 * 3600.0
    jitter: float = 0.2
    attempts: int = 20
    give_up_after: float = 2 * 86400.0

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds to wait after the *attempt*-th try (from 1); *random* gives 0 ≤ x < 1."""
        steps = min(attempt - 1, 64)
        delay = min(self.first_delay * self.factor**steps, self.max_delay)
        return delay * (1 + self.jitter * (2 * random() - 1))


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
    def reply(self) -> str:
        """The reply as the server wrote it: ``550 5.1.1 no such user``."""
        return " ".join(part for part in (str(self.code or ""), self.enhanced, self.text) if part)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient's next status and why.

    *reason* is the dead letter's where the status is dead or uncertain. *trouble* is set where the
    reply speaks of the account rather than of this message.
    """

    status: Status
    detail: Detail
    reason: str = ""
    trouble: Action | None = None


_ADDRESS: Final = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


def without_addresses(text: str) -> str:
    """What a server said, fit for logs, tasks and exceptions: each address becomes ``…``."""
    return _ADDRESS.sub("…", text)


_FINAL: Final = frozenset(
    {
        Action.FAIL_RECIPIENT,
        Action.FAIL_MESSAGE,
        Action.SMTPUTF8_UNSUPPORTED,
        Action.PROTOCOL_ERROR,
    }
)
_STOPPING: Final = {
    Action.AUTH_FAIL: "auth",
    Action.ACCOUNT_CONFIG: "account",
    Action.REAUTH_ONCE: "account",
}
_WITH_THE_MESSAGE: Final = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.FINAL})
_WAITING_FOR_THE_ACCOUNT: Final = frozenset(
    {Action.THROTTLE_ACCOUNT, Action.ACCOUNT_QUOTA, Action.AUTH_RETRY}
)


def judge(  # noqa: PLR0911, PLR0913 - one line for each way that a message can go
    result: Result,
    before: Detail,
    *,
    retry: Retry,
    resend: bool,
    now: float,
    random: Callable[[], float],
) -> Outcome:
    """Decide what *result* means for the recipient whose history is *before*.

    A trouble of the account costs the recipient no attempt and no time: it is deferred, due at once,
    and the account decides when it goes on. No connection to the server costs time alone; one that broke
    while the message was sent counts as an attempt, for the message may be why. With *resend*, an
    uncertain one is tried again under its Message-ID.
    """
    told = _told(result, before, now)
    if result.fate is Fate.ACCEPTED:
        return Outcome(Status.ACCEPTED, told)
    if result.fate is Fate.UNCERTAIN:
        if resend:
            return _again(replace(told, attempts=told.attempts + 1), retry, now, random)
        return Outcome(Status.UNCERTAIN, told, reason="uncertain")
    action = result.action
    if action in _STOPPING:
        return Outcome(Status.DEAD, told, reason=_STOPPING[action], trouble=action)
    if action in _WAITING_FOR_THE_ACCOUNT:
        waits = replace(told, first=before.first, due=now)
        return Outcome(Status.DEFERRED, waits, trouble=action)
    if result.fate is Fate.UNSENT and result.stage not in _WITH_THE_MESSAGE:
        if now - told.first >= retry.give_up_after:
            return Outcome(Status.DEAD, told, reason="exhausted")
        return Outcome(Status.DEFERRED, replace(told, due=now))
    if action in _FINAL:
        return Outcome(Status.REJECTED, replace(told, attempts=told.attempts + 1))
    return _again(replace(told, attempts=told.attempts + 1), retry, now, random)


def _told(result: Result, before: Detail, now: float) -> Detail:
    reply = result.reply
    return replace(
        before,
        stage=result.stage.value if result.stage else "",
        code=reply.code if reply else 0,
        enhanced=(reply.enhanced or "") if reply else "",
        text=reply.text if reply else "",
        action=result.action.value if result.action else "",
        rule=result.rule,
        first=before.first or now,
        at=now,
        due=0.0,
    )


def _again(told: Detail, retry: Retry, now: float, random: Callable[[], float]) -> Outcome:
    if told.attempts >= retry.attempts or now - told.first >= retry.give_up_after:
        return Outcome(Status.DEAD, told, reason="exhausted")
    due = now + retry.delay(told.attempts, random)
    return Outcome(Status.DEFERRED, replace(told, due=due))
