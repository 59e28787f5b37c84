"""When a mailbox that refuses is written to no more: how often, over how long, and for how long.

The rules are about the *mailbox*. A refusal for who sends, for what is sent or for how much is the
sender's trouble; a recipient is never dropped for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

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

Policy: TypeAlias = Mapping[str, Dropping | None]
"""What is done, by a bounce's reason or ``complaint``; None, and a word that is not there, is nothing."""

DEFAULT: Final[Policy] = {
    "mailbox_unknown": AT_ONCE,
    "mailbox_moved": AT_ONCE,
    "domain_unknown": ON_ANOTHER_DAY,
    "mailbox_full": IF_IT_LASTS,
    "mailbox_disabled": IF_IT_LASTS,
    "expired": IF_IT_LASTS,
    "complaint": AT_ONCE,
}

NEVER: Final = (
    "sender_refused content_refused too_large rate_limited relay_denied protocol".split()  # noqa: SIM905
)
"""Reasons that are about the sender, and drop nobody whatever a policy says."""


def dropping(
    kind: str, reason: str | None, *, permanent: bool, policy: Policy = DEFAULT
) -> Dropping | None:
    """What to do about a mailbox of which *kind* came back; None leaves it alone.

    *kind* and *reason* are the words of `mailer.feedback.report`. An unknown mailbox that is not
    believed (*permanent* is False) must show it as often as a full one.
    """
    if kind == "unsubscribe":
        return AT_ONCE  # whoever asks to get nothing more is not asked twice
    if kind == "complaint":
        return policy.get("complaint")
    if kind != "bounce":
        return None
    rule = policy.get(reason or "")
    return policy.get("mailbox_full") if rule == AT_ONCE and not permanent else rule


def described(rule: Dropping | None) -> str:
    """What a rule says, in words."""
    if rule is None:
        return "left alone"
    lasts = f"for {_days(rule.lasts)}" if rule.lasts else "for good"
    if rule.times == 1:
        return f"dropped at once, {lasts}"
    over = f", over {_days(rule.span)} or more" if rule.span else ""
    return f"dropped after {rule.times} times{over}, {lasts}"


def _days(seconds: float) -> str:
    number = seconds / DAY
    return f"{number:g} day{'' if number == 1 else 's'}"
