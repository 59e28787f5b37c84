"""Connections per account: never above the limit, freed by a lease, dealt out fairly."""

import threading

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.store.slots import Slots

LEASE = 15.0


@pytest.fixture
def slots(client):
    return Slots(client)


@pytest.mark.parametrize(("wanted", "granted"), [(0, 0), (9, 9), (10, 10), (11, 10)])
def test_one_owner_gets_at_most_the_limit(slots, wanted, granted):
    assert slots.acquire("a", wanted, 10, "p1", 100.0, LEASE) == granted


def test_a_second_owner_gets_what_is_left_and_not_one_more(slots):
    slots.acquire("a", 7, 10, "p1", 100.0, LEASE)
    assert slots.acquire("a", 7, 10, "p2", 100.0, LEASE) == 3
    assert slots.acquire("a", 1, 10, "p3", 100.0, LEASE) == 0


def test_accounts_do_not_share_their_connections(slots):
    slots.acquire("a", 3, 3, "p1", 100.0, LEASE)
    assert slots.acquire("b", 3, 3, "p1", 100.0, LEASE) == 3


def test_a_closed_connection_is_free_at_once(slots):
    slots.acquire("a", 3, 3, "p1", 100.0, LEASE)
    assert slots.release("a", 1, "p1", 100.0) == 2
    assert slots.acquire("a", 2, 3, "p2", 100.0, LEASE) == 1


def test_a_dead_owners_connections_are_free_when_its_lease_ends_and_not_before(slots):
    slots.acquire("a", 3, 3, "dead", 100.0, LEASE)
    assert slots.acquire("a", 3, 3, "p2", 100.0 + LEASE - 0.001, LEASE) == 0
    assert slots.acquire("a", 3, 3, "p2", 100.0 + LEASE, LEASE) == 3


def test_a_renewed_lease_keeps_its_connections(slots):
    slots.acquire("a", 3, 3, "p1", 100.0, LEASE)
    assert slots.renew("a", "p1", 110.0, LEASE) == 0
    assert slots.acquire("a", 3, 3, "p2", 120.0, LEASE) == 0


def test_an_owner_that_overslept_is_told_to_close_what_others_took(slots):
    slots.acquire("a", 3, 3, "sleepy", 100.0, LEASE)
    assert slots.acquire("a", 2, 3, "p2", 120.0, LEASE) == 2
    assert slots.renew("a", "sleepy", 121.0, LEASE) == 2
    assert slots.release("a", 2, "sleepy", 121.0) == 1
    assert slots.renew("a", "sleepy", 122.0, LEASE) == 0


def test_who_overslept_and_asks_for_more_first_has_its_old_ones_counted(slots):
    slots.acquire("a", 2, 3, "sleepy", 100.0, LEASE)
    assert slots.acquire("a", 3, 3, "sleepy", 130.0, LEASE) == 1


def test_the_rich_are_asked_for_what_the_poor_go_short_of(slots):
    slots.acquire("a", 10, 10, "rich", 100.0, LEASE)
    assert slots.acquire("a", 10, 10, "poor", 101.0, LEASE) == 0
    assert slots.renew("a", "rich", 101.5, LEASE) == 5
    slots.release("a", 5, "rich", 101.6)
    assert slots.acquire("a", 5, 10, "rich", 101.7, LEASE) == 0, "it is the poor one's share"
    assert slots.acquire("a", 10, 10, "poor", 101.8, LEASE) == 5
    assert slots.renew("a", "rich", 102.5, LEASE) == 0


def test_nobody_is_asked_to_close_while_there_is_room_for_all(slots):
    slots.acquire("a", 6, 10, "p1", 100.0, LEASE)
    slots.acquire("a", 4, 10, "p2", 100.0, LEASE)
    assert slots.renew("a", "p1", 101.0, LEASE) == 0
    assert slots.renew("a", "p2", 101.0, LEASE) == 0


@pytest.mark.parametrize(
    ("wanted", "rests", "surplus"), [(10, True, 5), (7, True, 2), (10, False, 0)]
)
def test_who_rests_closes_as_many_as_others_want(slots, wanted, rests, surplus):
    slots.acquire("a", 5, 10, "p1", 100.0, LEASE)
    assert slots.acquire("a", wanted, 10, "p2", 100.0, LEASE) == 5
    assert slots.renew("a", "p1", 101.0, LEASE, 5, rests=rests) == surplus


def test_who_rests_keeps_what_nobody_wants(slots):
    slots.acquire("a", 5, 10, "p1", 100.0, LEASE)
    slots.acquire("a", 3, 10, "p2", 100.0, LEASE)
    assert slots.renew("a", "p1", 101.0, LEASE, 5, rests=True) == 0
    assert slots.acquire("a", 1, 10, "p3", 101.0, LEASE) == 1


def test_a_wish_that_is_not_repeated_is_forgotten(slots):
    slots.acquire("a", 10, 10, "rich", 100.0, LEASE)
    slots.acquire("a", 10, 10, "gone", 101.0, LEASE)
    assert slots.renew("a", "rich", 104.5, LEASE) == 0


def test_a_lower_limit_is_reached_by_closing(slots):
    slots.acquire("a", 10, 10, "p1", 100.0, LEASE)
    assert slots.acquire("a", 1, 4, "p2", 101.0, LEASE) == 0
    assert slots.renew("a", "p1", 101.0, LEASE) == 7, "six too many, and one for the other"


def test_an_owner_that_knows_better_mends_its_count(slots):
    slots.acquire("a", 3, 5, "p1", 100.0, LEASE)
    slots.acquire("a", 2, 5, "p1", 100.0, LEASE)
    assert slots.renew("a", "p1", 101.0, LEASE, held=3) == 0
    assert slots.acquire("a", 5, 5, "p2", 101.0, LEASE) == 2


STEP = st.tuples(
    st.sampled_from(["acquire", "renew", "release"]),
    st.integers(0, 3),
    st.integers(0, 8),
    st.floats(0.0, 20.0),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(limit=st.integers(1, 7), steps=st.lists(STEP, max_size=30))
def test_living_leases_never_hold_more_than_the_limit_whatever_happens(client, limit, steps):
    """A model holds what was granted; an owner whose lease ends loses its connections with it."""
    client.flushall()
    slots = Slots(client)
    now, held, ends = 1000.0, dict.fromkeys(range(4), 0), dict.fromkeys(range(4), 0.0)
    for what, who, count, later in steps:
        now += later
        for one in held:
            if ends[one] <= now and held[one]:
                slots.release("a", held[one], str(one), now)
                held[one] = 0
        if what == "acquire":
            held[who] += slots.acquire("a", count, limit, str(who), now, LEASE)
            ends[who] = now + LEASE
        elif what == "renew" and held[who]:
            assert slots.renew("a", str(who), now, LEASE, rests=count % 2 == 0) <= held[who]
            ends[who] = now + LEASE
        elif what == "release":
            closed = min(count, held[who])
            held[who] -= closed
            assert slots.release("a", closed, str(who), now) == held[who]
        assert sum(held.values()) <= limit


def test_threads_that_grab_at_once_never_have_more_than_the_limit_together(redis_url, client):
    limit, most, lock = 7, 0, threading.Lock()
    held: dict[str, int] = {}

    def grab(owner):
        nonlocal most
        slots = Slots(redis.Redis.from_url(redis_url, protocol=2))
        for round_ in range(60):
            now = 1000.0 + round_ / 1000
            got = slots.acquire("a", 3, limit, owner, now, LEASE)
            with lock:
                held[owner] = got
                most = max(most, sum(held.values()))
                held[owner] = 0
            if got:
                slots.release("a", got, owner, now)

    threads = [threading.Thread(target=grab, args=(f"p{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most <= limit
    assert Slots(client).acquire("a", limit, limit, "last", 1004.0, LEASE) == limit


def test_a_fair_share_is_reckoned_by_all_that_is_wanted_and_not_by_what_is_opened_now(
    slots: Slots,
) -> None:
    for _ in range(9):
        slots.acquire("a", 9, 10, "p1", 100.0, LEASE, at_once=1)
    assert slots.acquire("a", 9, 10, "p2", 100.0, LEASE, at_once=1) == 1
    assert slots.renew("a", "p1", 100.0, LEASE) == 4


def test_open_connections_are_counted_whatever_else_is_noted_beside_them(slots):
    slots.acquire("a", 4, 5, "p1", 100.0, LEASE)
    slots.acquire("a", 4, 5, "p2", 100.0, LEASE)  # gets one, and asks for three more
    assert slots.held("a") == 5
    assert slots.held("b") == 0
