"""Batches that wait for permits: called in turn, as many as there are permits, never all at once."""

from collections import Counter

import pytest

from mailer.store.ledger import Claim, Fresh, Ledger
from mailer.store.limit_rules import AccountRules, Cap, DomainRules, Rules
from mailer.store.limits import Limits
from mailer.store.permit_queue import TICK, PermitQueue
from mailer.store.waiting import Waiting

T = 1_795_392_000.0
MICROSOFT = DomainRules("microsoft", (Cap(10, 1),))


@pytest.fixture
def ledger(client):
    return Ledger(client)


@pytest.fixture
def limits(client):
    rules = {"a": AccountRules((Cap(100, 1),))}
    return Limits(client, Rules(rules, {"outlook.com": MICROSOFT}))


@pytest.fixture
def line(client, limits):
    return PermitQueue(client, limits)


def waiting_batch(ledger, line, ref, *, count=200, scope="account:a", now=T):
    """A batch that was claimed, got no permit and stands in line."""
    recipients = [Fresh(bytes(8), 0)] * count
    ledger.enqueue(
        ref, run=0, queue="bulk", account="a", payload=b"x", recipients=recipients, now=now
    )
    claim = ledger.claim(ref, "w", now, now + 15)
    assert isinstance(claim, Claim)
    assert ledger.wait(claim, now, now + 1) == "waiting"
    line.join(scope, ref, now, now + 1)


def used_up(limits, now=T):
    """All permits of the account are taken, and were used at *now*."""
    while (grant := limits.take("a", ["x"] * 200, now)).granted:
        limits.give_back(grant, now=now)


def test_nobody_is_called_while_there_are_no_permits(ledger, limits, line):
    used_up(limits)
    waiting_batch(ledger, line, "c:1")
    assert list(line.call(T + 0.5)) == []
    assert line.waiting("account:a") == 1


def test_as_many_are_called_as_there_are_permits_for(ledger, limits, line):
    used_up(limits)
    for number in range(1, 51):
        waiting_batch(ledger, line, f"c:{number}", count=10)
    called = list(line.call(T + 1.2))
    assert called == [("bulk", "c:1"), ("bulk", "c:2"), ("bulk", "c:3")], "a quarter of a second's"
    assert line.waiting("account:a") == 47


def test_who_was_called_and_has_no_worker_yet_keeps_its_permits(ledger, limits, line):
    waiting_batch(ledger, line, "c:1")
    waiting_batch(ledger, line, "c:2")
    assert len(list(line.call(T + 2))) == 1
    assert list(line.call(T + 2.1)) == []
    ledger.claim("c:1", "w", T + 2.2, T + 17)
    assert list(line.call(T + 2.3)) == [("bulk", "c:2")]


def test_campaigns_take_turns_however_many_batches_they_have(ledger, limits, line):
    for number in range(1, 31):
        waiting_batch(ledger, line, f"big:{number}", count=25)
    for number in range(1, 6):
        waiting_batch(ledger, line, f"small:{number}", count=25)
    order = []
    for tick in range(12):
        for _, ref in line.call(T + 2 + tick):
            order.append(ref.partition(":")[0])
            ledger.claim(ref, "w", T + 2 + tick, T + 99)
    assert Counter(order[:10]) == {"big": 5, "small": 5}
    assert order[10:] == ["big", "big"]


def test_a_campaign_of_double_weight_is_called_for_twice_as_many(client, ledger, limits, line):
    client.hset("mailer:campaign:heavy", "weight", "2")
    for number in range(1, 31):
        waiting_batch(ledger, line, f"heavy:{number}", count=25)
        waiting_batch(ledger, line, f"light:{number}", count=25)
    order = []
    for tick in range(30):
        for _, ref in line.call(T + 2 + tick):
            order.append(ref.partition(":")[0])
            ledger.claim(ref, "w", T + 2 + tick, T + 99)
    assert Counter(order) == {"heavy": 20, "light": 10}


def test_a_newcomer_does_not_make_up_for_the_time_before_it_came(ledger, limits, line):
    for number in range(1, 21):
        waiting_batch(ledger, line, f"old:{number}", count=25)
    for tick in range(8):
        for _, ref in line.call(T + 2 + tick):
            ledger.claim(ref, "w", T + 2 + tick, T + 99)
    for number in range(1, 11):
        waiting_batch(ledger, line, f"new:{number}", count=25, now=T + 10)
    order = []
    for tick in range(6):
        for _, ref in line.call(T + 12 + tick):
            order.append(ref.partition(":")[0])
            ledger.claim(ref, "w", T + 12 + tick, T + 99)
    assert Counter(order) == {"old": 3, "new": 3}


def test_a_batch_that_was_begun_goes_before_those_that_were_not(ledger, limits, line):
    for number in (7, 8, 9):
        waiting_batch(ledger, line, f"c:{number}")
    waiting_batch(ledger, line, "c:2")
    assert next(line.call(T + 2)) == ("bulk", "c:2")


def test_a_batch_that_nobody_calls_looks_for_itself_and_not_all_at_once(client, ledger, line):
    for number in range(1, 101):
        waiting_batch(ledger, line, f"c:{number}", count=1)
    waiting = Waiting(client)
    assert list(waiting.sweep(T + 29)) == []
    assert 1 <= len(list(waiting.sweep(T + 32))) <= 8


def test_a_batch_that_does_not_wait_any_more_is_passed_over(client, ledger, limits, line):
    waiting_batch(ledger, line, "c:1")
    waiting_batch(ledger, line, "c:2")
    assert list(Waiting(client).sweep(T + 31.3)) == [("bulk", "c:1")]
    assert list(line.call(T + 31.4)) == [("bulk", "c:2")]


def test_who_waits_with_a_batch_in_hand_hears_of_rivals_in_line(ledger, limits, line):
    waiting_batch(ledger, line, "c:1")
    assert not limits.take("a", ["x"], T + 2, campaign="c").crowded
    assert limits.take("a", ["x"], T + 2, campaign="d").crowded
    waiting_batch(ledger, line, "d:1")
    assert limits.take("a", ["x"], T + 2, campaign="d").crowded


def test_a_paused_account_calls_nobody_until_its_pause_is_over(ledger, limits, line):
    waiting_batch(ledger, line, "c:1")
    limits.pace.throttled("a", "451 4.7.1 Too fast, try again in 600 seconds", now=T)
    assert list(line.call(T + 599)) == []
    assert len(list(line.call(T + 600.1))) == 1


def test_domains_have_lines_of_their_own(ledger, limits, line):
    while (grant := limits.take("a", ["outlook.com"] * 12, T)).granted:
        limits.give_back(grant, now=T)
    assert grant.scope == "domain:microsoft"
    waiting_batch(ledger, line, "c:1", count=12, scope=grant.scope)
    assert list(line.call(T + 0.9)) == []
    assert list(line.call(T + 1.1)) == [("bulk", "c:1")]


def test_an_empty_line_is_forgotten(client, ledger, limits, line):
    waiting_batch(ledger, line, "c:1", count=1)
    list(line.call(T + 2))
    assert line.scopes() == ()
    assert [key for key in client.keys("mailer:line*") if client.type(key) != b"none"] == []


def test_it_is_known_when_to_look_again(ledger, limits, line):
    assert line.again(T) == TICK
    used_up(limits)
    waiting_batch(ledger, line, "c:1")
    assert line.again(T + 0.2) == TICK
    assert line.again(T + 0.95) == pytest.approx(0.09, abs=0.02)
