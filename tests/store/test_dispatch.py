"""Campaigns share the workers evenly, whichever was there first and however large it is."""

from collections import Counter

import pytest

from mailer.mail.policy import CampaignPolicy
from mailer.store.campaigns import Campaigns
from mailer.store.dispatch import Dispatch
from mailer.store.ledger import Claim, Fresh, Ledger
from mailer.store.waiting import Waiting

T = 1_795_392_000.0
WINDOW = 4


@pytest.fixture
def ledger(client):
    return Ledger(client)


@pytest.fixture
def turns(client):
    return Dispatch(client, WINDOW)


def enqueue(ledger, turns, campaign, numbers, count=10, account="a", queue="bulk"):
    """Queue batches; returns those whose task is to be published at once."""
    published = []
    for number in numbers:
        ref = f"{campaign}:{number}"
        fresh = [Fresh(bytes(8), 0)] * count
        where = {"queue": queue, "account": account}
        ledger.enqueue(ref, run=0, payload=b"x", recipients=fresh, now=T, **where)
        if turns.take(ref, T, queue):
            published.append(ref)
    return published


def work_off(ledger, turns, published, now=T):
    """Workers claim what is published, sweeps publish more; the order in which batches were claimed."""
    order = []
    while published:
        ref = published.pop(0)
        claim = ledger.claim(ref, f"w{len(order)}", now, now + 15)
        assert isinstance(claim, Claim)
        order.append(ref)
        published += [ref for _, ref in turns.call(now)]
    return order


def test_few_batches_are_published_at_once(ledger, turns):
    assert enqueue(ledger, turns, "c", range(1, 5)) == ["c:1", "c:2", "c:3", "c:4"]
    assert enqueue(ledger, turns, "c", [5]) == []


def test_every_batch_is_published_once_and_in_order(ledger, turns):
    published = enqueue(ledger, turns, "c", range(1, 31))
    assert work_off(ledger, turns, published) == [f"c:{number}" for number in range(1, 31)]
    assert list(turns.call(T)) == []


def test_the_broker_never_holds_more_than_the_window(ledger, turns):
    enqueue(ledger, turns, "c", range(1, 31))
    assert list(turns.call(T)) == []
    ledger.claim("c:1", "w", T, T + 15)
    assert list(turns.call(T)) == [("bulk", "c:5")]


def test_a_small_campaign_begins_at_once_beside_a_large_one(ledger, turns):
    published = enqueue(ledger, turns, "large", range(1, 101))
    published += enqueue(ledger, turns, "small", range(1, 11))
    order = [ref.partition(":")[0] for ref in work_off(ledger, turns, published)]
    assert len(order) == 110
    assert Counter(order[WINDOW : WINDOW + 20]) == {"large": 10, "small": 10}


def test_messages_are_counted_not_batches(ledger, turns):
    published = enqueue(ledger, turns, "wide", range(1, 41), count=30)
    published += enqueue(ledger, turns, "narrow", range(1, 41), count=10)
    order = [ref.partition(":")[0] for ref in work_off(ledger, turns, published)]
    assert Counter(order[WINDOW : WINDOW + 40]) == {"wide": 10, "narrow": 30}


def test_a_campaign_of_double_weight_gets_twice_as_many(client, ledger, turns):
    Campaigns(client).open(
        "heavy",
        digest="d",
        summary={},
        policy=CampaignPolicy(weight=2.0),
        accept_changes=False,
        now=T,
    )
    published = enqueue(ledger, turns, "light", range(1, 61))
    published += enqueue(ledger, turns, "heavy", range(1, 61))
    order = [ref.partition(":")[0] for ref in work_off(ledger, turns, published)]
    assert Counter(order[WINDOW : WINDOW + 30]) == {"heavy": 20, "light": 10}


def test_a_batch_in_its_turn_is_not_taken_for_a_lost_one(client, ledger, turns):
    enqueue(ledger, turns, "c", range(1, 31))
    overdue = list(Waiting(client).sweep(T + 120, 60, {"bulk": 0}))
    assert overdue == [("bulk", f"c:{number}") for number in range(1, 5)]


def test_a_publisher_that_dies_is_made_up_for_by_the_sweep(client, ledger, turns):
    enqueue(ledger, turns, "c", range(1, 6))
    for number in range(1, 5):
        ledger.claim(f"c:{number}", "w", T, T + 1000)
    assert list(turns.call(T + 1)) == [("bulk", "c:5")]
    assert list(Waiting(client).sweep(T + 62, 60, {"bulk": 0})) == [("bulk", "c:5")]


def test_what_left_the_queue_by_another_way_is_passed_over(client, ledger, turns):
    enqueue(ledger, turns, "c", range(1, 8))
    assert isinstance(ledger.claim("c:5", "w", T, T + 1000), Claim)
    for number in range(1, 5):
        ledger.claim(f"c:{number}", "w", T, T + 1000)
    assert list(turns.call(T)) == [("bulk", "c:6"), ("bulk", "c:7")]
    assert client.exists("mailer:turns:bulk:c") == 0


def test_others_wait_when_an_account_has_work_that_is_not_named(client, ledger, turns):
    assert not turns.others_wait(T, [])
    enqueue(ledger, turns, "c", range(1, 3))
    assert not turns.others_wait(T + 0.1, []), "a free process is about to take them"
    assert turns.others_wait(T + 1, [])
    assert turns.others_wait(T + 1, ["another"])
    assert not turns.others_wait(T + 1, ["a"])


def test_others_are_seen_behind_a_broker_full_of_ones_own(client, ledger, turns):
    enqueue(ledger, turns, "c", range(1, 8))
    assert not turns.others_wait(T + 1, ["a"])
    enqueue(ledger, turns, "d", range(1, 2), account="b")
    assert turns.others_wait(T + 1, ["a"]), "it waits for its turn, without a task message"


def test_a_single_message_waits_until_its_task_message_counts_as_lost(client, ledger, turns):
    enqueue(ledger, turns, "send.hello", range(1, 2), queue="priority")
    assert not turns.single_waits(T + 0.005), "a free process is about to take it"
    assert turns.single_waits(T + 0.1)
    assert not turns.single_waits(T + 20)
