"""What a result means for its recipient, and when to try again.

Pure: replies, times and randomness come in, decisions go out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from mailer.deliver.heard import heard
from mailer.mail.policy import Retry
from mailer.mail.status import Detail, Status
from mailer.smtp import Fate, Result
from mailer.smtp.replies.actions import Action, Next
from mailer.smtp.reply import Stage


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient's next status and why.

    *reason* is the dead letter's where the status is dead or uncertain. *trouble* is set where the
    reply speaks of the account rather than of this message. *unsure* is set where the try that led here
    may have mailed the message, and the status does not say so.
    """

    status: Status
    detail: Detail
    reason: str = ""
    trouble: Action | None = None
    unsure: bool = False


_WITH_THE_MESSAGE: Final = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.FINAL})


def judge(  # noqa: PLR0911, PLR0913 - one line for each way that a message can go
    result: Result,
    before: Detail,
    *,
    retry: Retry,
    resend: bool,
    began: float,
    now: float,
    random: Callable[[], float],
) -> Outcome:
    """Decide what *result* means for the recipient whose history is *before*.

    *began* is when this try began; that of the first try is the message's Date, and is kept.
    A trouble of the account costs the recipient no attempt and no time: it is deferred, due at once,
    and the account decides when it goes on. No connection to the server costs time alone; one that broke
    while the message was sent counts as an attempt, for the message may be why. With *resend*, an
    uncertain one is tried again under its Message-ID.
    """
    told = _told(result, before, began, now)
    if result.fate is Fate.ACCEPTED:
        return Outcome(Status.ACCEPTED, told)
    if result.fate is Fate.UNCERTAIN:
        if resend:
            return replace(_again(told, retry, now, random), unsure=True)
        return Outcome(Status.UNCERTAIN, told, reason="uncertain")
    action = result.action or Action.RETRY_LATER
    what_next = action.meaning.recipient
    if what_next is Next.DEAD:
        return Outcome(Status.DEAD, told, reason=action.meaning.stop_reason, trouble=action)
    if what_next is Next.WAITS:
        waits = replace(told, first=before.first, due=now)
        return Outcome(Status.DEFERRED, waits, trouble=action)
    if result.fate is Fate.UNSENT and result.stage not in _WITH_THE_MESSAGE:
        if now - told.first >= retry.give_up_after:
            return Outcome(Status.DEAD, told, reason="exhausted")
        return Outcome(Status.DEFERRED, replace(told, due=now))
    if what_next is Next.REJECTED:
        return Outcome(Status.REJECTED, replace(told, attempts=told.attempts + 1))
    return _again(told, retry, now, random)


def _told(result: Result, before: Detail, began: float, now: float) -> Detail:
    said = heard(result.stage, result.reply, result.action, result.rule)
    return replace(before.hearing(said, now), first=before.first or began)


def _again(told: Detail, retry: Retry, now: float, random: Callable[[], float]) -> Outcome:
    told = replace(told, attempts=told.attempts + 1)
    if told.attempts >= retry.attempts or now - told.first >= retry.give_up_after:
        return Outcome(Status.DEAD, told, reason="exhausted")
    due = now + retry.delay(told.attempts, random)
    return Outcome(Status.DEFERRED, replace(told, due=due))
