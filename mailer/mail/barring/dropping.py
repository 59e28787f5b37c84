"""When a mailbox that refuses is written to no more: how often, over how long, and for how long.

The rules are about the *mailbox*. A refusal for who sends, for what is sent or for how much is the
sender's trouble; a recipient is never dropped for it.
"""

from dataclasses import dataclass
from typing import Final

DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Dropping:
    """Drop after *times* refusals for a reason, the last at least *span* seconds after the first.

    *lasts* is for how many seconds, 0 for good. *memory* is how long a refusal counts.
    """

    times: int
    span: float
    lasts: float
    memory: float = 90 * DAY


AT_ONCE: Final = Dropping(1, 0.0, 0.0)
ON_ANOTHER_DAY: Final = Dropping(2, DAY, 0.0)
IF_IT_LASTS: Final = Dropping(3, 14 * DAY, 90 * DAY)

_RULES: Final = {
    "mailbox_unknown": AT_ONCE,
    "mailbox_moved": AT_ONCE,
    "domain_unknown": ON_ANOTHER_DAY,
    "mailbox_full": IF_IT_LASTS,
    "mailbox_disabled": IF_IT_LASTS,
    "expired": IF_IT_LASTS,
}


def dropping(kind: str, reason: str | None, *, permanent: bool) -> Dropping | None:
    """What to do about a mailbox of which *kind* came back; None leaves it alone.

    *kind* and *reason* are the words of `mailer.feedback.report`. An unknown mailbox that is not
    believed (*permanent* is False) must show it as often as a full one.
    """
    if kind in ("complaint", "unsubscribe"):
        return AT_ONCE
    if kind != "bounce":
        return None
    rule = _RULES.get(reason or "")
    return IF_IT_LASTS if rule is AT_ONCE and not permanent else rule
