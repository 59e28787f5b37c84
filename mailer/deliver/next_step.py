"""What is to be done with the rest of a batch, once nothing more of it can be sent now.

Pure: `what_next` is one table, read from its first row down. Whoever calls it carries the step out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from mailer.store.breaker import COOLING, OPERATOR, STOPPED, AccountState
from mailer.store.ledger import Verdict


class Step(Enum):
    """What is done with the recipients that are still open, and with the batch."""

    CANCEL = "cancel"
    """They are cancelled."""
    BURY = "bury"
    """They become a dead letter: their account is stopped by a trouble that somebody must mend."""
    GIVE_BACK = "give back"
    """The batch is queued again at once, for any worker."""
    PARK_FOR_CAMPAIGN = "park for the campaign"
    """The batch waits until the campaign is resumed."""
    PARK_FOR_ACCOUNT = "park for the account"
    """The batch waits until the account may be used again."""
    WAIT = "wait"
    """The batch waits for a time, or for permits."""


@dataclass(frozen=True, slots=True)
class Rest:
    """When what is left of a batch may go on; with a *scope* it waits for that one's permits."""

    until: float = 0.0
    scope: str = ""


def what_next(verdict: Verdict, account: AccountState, *, is_leaving: bool) -> Step:
    """The step that follows from the ledger's last *verdict* and the state of the *account*.

    ==================  ==========================  ================================================
    verdict             account                     step
    ==================  ==========================  ================================================
    cancelled           any                         cancel
    any other           stopped, not by an operator bury: also while the campaign is paused, so that
                                                    all that the account was to send lies together
    paused              any                         park for the campaign
    go, stopped         any, the worker leaves it   give back: another worker goes on at once
    go, stopped         cooling, or stopped by an   park for the account
                        operator
    go, stopped         running, unknown            wait
    ==================  ==========================  ================================================

    `Verdict.LOST` never comes here: the batch is another worker's then.
    """
    if verdict is Verdict.CANCELLED:
        return Step.CANCEL
    if account.state == STOPPED and account.reason != OPERATOR:
        return Step.BURY
    match verdict:
        case Verdict.PAUSED:
            return Step.PARK_FOR_CAMPAIGN
        case Verdict.GO | Verdict.STOPPED:
            return _for_the_account(account, is_leaving=is_leaving)
        case Verdict.LOST:
            raise ValueError("a batch that is another worker's has no next step here")
        case _:
            assert_never(verdict)


def _for_the_account(account: AccountState, *, is_leaving: bool) -> Step:
    if is_leaving:
        return Step.GIVE_BACK
    return Step.PARK_FOR_ACCOUNT if account.state in (COOLING, STOPPED) else Step.WAIT
