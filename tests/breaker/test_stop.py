"""A password turns wrong in the middle of a campaign, under two workers of two processes each."""

import time
from collections import Counter

import pytest

from mailer.store.breaker import RUNNING, STOPPED

from .cluster import eventually, mailbox

TOTAL = 10_000
PROCESSES = 4


@pytest.mark.timeout(240)
def test_a_password_that_turns_wrong_stops_the_account_and_loses_and_doubles_nothing(cluster, smtp):
    smtp.slow_login = 0.02

    def turn_wrong(user, number):
        if user == "primary" and number == TOTAL // 3:
            smtp.passwords["primary"] = "changed"

    smtp.on_accepted = turn_wrong
    cluster.start("one")
    cluster.start("two")
    cluster.enqueue("spring", "primary", TOTAL)
    cluster.enqueue("news", "other", TOTAL // 10)
    eventually(lambda: cluster.final("spring") and cluster.final("news"), within=120)

    assert 1 <= smtp.refused["primary"] <= PROCESSES
    assert cluster.state("primary") == STOPPED
    assert cluster.outcomes("news") == {"accepted": TOTAL // 10}
    outcomes = cluster.outcomes("spring")
    assert set(outcomes) == {"accepted", "dead"}
    assert sum(outcomes.values()) == TOTAL
    letters = cluster.letters(campaign="spring", reason="auth")
    assert sum(letter.messages for letter in letters) == outcomes["dead"]
    eventually(lambda: len(cluster.queue) == len(letters))

    refused = smtp.refused["primary"]
    cluster.set_password("primary", "changed")
    cluster.breaker.start("primary", time.time())
    moved = Counter(one.how for one in cluster.office.replay(letters))
    assert moved == {"replayed": len(letters)}
    assert len(cluster.queue) == 0
    again = Counter(one.how for one in cluster.office.replay(letters))
    assert again == {"gone": len(letters)}
    eventually(lambda: cluster.final("spring"), within=120)
    assert cluster.outcomes("spring") == {"accepted": TOTAL}
    assert smtp.refused["primary"] == refused
    assert sorted(smtp.accepted["primary"]) == sorted(
        mailbox("spring", number) for number in range(TOTAL)
    )
    assert cluster.state("primary") == RUNNING
    assert "right" not in cluster.log()
    assert "@example.org" not in cluster.log()
