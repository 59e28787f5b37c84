"""Limits as the scripts see them: one for each window, named so that people know which it is."""

from datetime import UTC, datetime

import pytest

from mailer.mail.schedule import DAY, Reset
from mailer.store.limit_rules import (
    AccountRules,
    Cap,
    DomainRules,
    Limit,
    of_account,
    of_domain,
    rates_of,
)

MIDNIGHT = Reset.parse("00:00 Europe/Berlin")
NOON = datetime(2026, 3, 29, 10, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        (AccountRules(), []),
        (AccountRules(rates=(Cap(14, 1),)), [("rolling", "14", 1)]),
        # shortest window first, whatever the order in the configuration
        (
            AccountRules(rates=(Cap(50_000, DAY), Cap(14, 1), Cap(600, 60))),
            [("rolling", "14", 1), ("rolling", "600", 60), ("rolling", "50000", DAY)],
        ),
        # of two over one window the tighter one
        (AccountRules(rates=(Cap(20, 60), Cap(10, 60), Cap(30, 60))), [("rolling", "10", 60)]),
        # a reset is for the window of a day alone
        (
            AccountRules(rates=(Cap(5, 1), Cap(900, 3600), Cap(7, DAY)), reset=MIDNIGHT),
            [("rolling", "5", 1), ("rolling", "900", 3600), ("reset", "7", DAY)],
        ),
        (AccountRules(rates=(Cap(7, 2 * DAY),), reset=MIDNIGHT), [("rolling", "7", 2 * DAY)]),
        (AccountRules(warmup=(50, 100, 500)), [("steps", "50,100,500", DAY)]),
        (
            AccountRules(rates=(Cap(7, DAY),), reset=MIDNIGHT, warmup=(1,)),
            [("reset", "7", DAY), ("steps", "1", DAY)],
        ),
    ],
)
def test_an_account_has_one_limit_for_each_window(rules, limits):
    assert [(one.kind, one.count, one.seconds) for one in of_account("a", rules)] == limits


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        (DomainRules("g"), []),
        (DomainRules("g", connections=2), [("flying", "2", 0)]),
        (
            DomainRules("g", rates=(Cap(9, 3600), Cap(3, 60), Cap(4, 60)), connections=1),
            [("rolling", "3", 60), ("rolling", "9", 3600), ("flying", "1", 0)],
        ),
    ],
)
def test_a_group_of_domains_has_rates_and_messages_at_once(rules, limits):
    found = list(of_domain(rules))
    assert [(one.kind, one.count, one.seconds) for one in found] == limits
    assert {one.scope for one in found} <= {"domain:g"}


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit("account:a", "rolling", "14", 1), "account 14/second"),
        (Limit("account:a", "rolling", "600", 60), "account 600/minute"),
        (Limit("account:a", "rolling", "9", 3600), "account 9/hour"),
        (Limit("account:a", "rolling", "9", DAY), "account 9/day"),
        (Limit("account:a", "rolling", "9", 300), "account 9 in 300 s"),
        (Limit("account:a", "reset", "9", DAY, MIDNIGHT), "account 9/day until 00:00 Europe/Berlin"),
        (Limit("account:a:warmup", "steps", "1,2", DAY), "warm-up"),
        (Limit("domain:gmail.com", "rolling", "3", 60), "domain gmail.com 3/minute"),
        (Limit("domain:gmail.com", "flying", "3", 0), "domain gmail.com: 3 at once"),
    ],
)  # fmt: skip
def test_a_limit_is_named_as_people_would(limit, words):
    assert str(limit) == words


@pytest.mark.parametrize(
    ("limit", "ends"),
    [
        (Limit("account:a", "rolling", "9", DAY), 0.0),
        (Limit("domain:g", "flying", "9", 0), 0.0),
        # the night before was an hour shorter; the next midnight is Berlin's
        (Limit("account:a", "reset", "9", DAY, MIDNIGHT), NOON + 12 * 3600),
        (Limit("account:a:warmup", "steps", "1", DAY, MIDNIGHT), NOON + 12 * 3600),
        (Limit("account:a:warmup", "steps", "1", DAY), NOON + 14 * 3600),
    ],
)
def test_a_window_with_a_reset_ends_there_and_one_that_rolls_never(limit, ends):
    assert limit.ends(NOON) == ends


def test_two_limits_never_share_a_window_s_key():
    account = AccountRules(rates=(Cap(5, 1), Cap(9, 60), Cap(7, DAY)), reset=MIDNIGHT, warmup=(1,))
    domain = DomainRules("g", rates=(Cap(9, 60), Cap(7, DAY)), connections=1)
    found = [one.key for one in (*of_account("g", account), *of_domain(domain))]
    assert len(set(found)) == len(found) == 7


def test_throttling_lowers_rates_and_no_quota():
    rules = AccountRules(
        rates=(Cap(5, 1), Cap(900, 3600), Cap(901, 3601), Cap(7, DAY)), reset=MIDNIGHT, warmup=(9,)
    )
    assert rates_of(of_account("a", rules)) == ((5, 1), (900, 3600))
    assert rates_of(of_domain(DomainRules("g", connections=3))) == ()
