"""The table of what is done with the rest of a batch, walked whole."""

import itertools

import pytest

from mailer.deliver.next_step import Step, what_next
from mailer.store.breaker import COOLING, OPERATOR, RUNNING, STOPPED, UNKNOWN, AccountState
from mailer.store.ledger import Verdict

ACCOUNTS = {
    "running": AccountState("a", RUNNING),
    "unknown": AccountState("a", UNKNOWN),
    "cooling": AccountState("a", COOLING, reason="throttle_account"),
    "stopped by an operator": AccountState("a", STOPPED, reason=OPERATOR),
    "stopped by a trouble": AccountState("a", STOPPED, reason="auth"),
}
USABLE, ASLEEP = ("running", "unknown"), ("cooling", "stopped by an operator")


def expected(verdict, account, is_leaving):
    if verdict is Verdict.CANCELLED:
        return Step.CANCEL
    if account == "stopped by a trouble":
        return Step.BURY
    if verdict is Verdict.PAUSED:
        return Step.PARK_FOR_CAMPAIGN
    if is_leaving:
        return Step.GIVE_BACK
    return Step.PARK_FOR_ACCOUNT if account in ASLEEP else Step.WAIT


@pytest.mark.parametrize(
    ("verdict", "account", "is_leaving"),
    list(itertools.product([v for v in Verdict if v is not Verdict.LOST], ACCOUNTS, [False, True])),
)
def test_each_verdict_and_account_have_one_step(verdict, account, is_leaving):
    found = what_next(verdict, ACCOUNTS[account], is_leaving=is_leaving)
    assert found is expected(verdict, account, is_leaving)


def test_a_batch_that_is_lost_has_no_step_here():
    with pytest.raises(ValueError, match="another worker"):
        what_next(Verdict.LOST, ACCOUNTS["running"], is_leaving=False)


def test_every_step_and_state_is_met():
    walked = {
        what_next(verdict, account, is_leaving=is_leaving)
        for verdict in Verdict
        if verdict is not Verdict.LOST
        for account in ACCOUNTS.values()
        for is_leaving in (False, True)
    }
    assert walked == set(Step)
    assert {a.state for a in ACCOUNTS.values()} == {RUNNING, COOLING, STOPPED, UNKNOWN}
    assert set(USABLE) | set(ASLEEP) | {"stopped by a trouble"} == set(ACCOUNTS)
