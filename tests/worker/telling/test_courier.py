"""The application is told everything, in order, and one event that it cannot take holds up no other."""

import json
from contextlib import suppress
from itertools import count
from time import time

import pytest

from mailer.config.events import KINDS, Events
from mailer.errors import EventsNotTakenError
from mailer.mail.event import LATER, ORDER_BITS, Event
from mailer.mail.status import Status
from mailer.store.events import Aside, EventStream
from mailer.worker.telling import courier as module
from mailer.worker.telling.courier import TRIES, Courier
from mailer.worker.telling.shown import shown


class Shop:
    """An application: takes what *refuses* does not refuse."""

    def __init__(self, refuses=lambda _event: False):
        self.refuses = refuses
        self.told = []
        self.tries = 0

    def tell(self, body):
        self.tries += 1
        events = json.loads(body)["events"]
        if any(self.refuses(one) for one in events):
            raise EventsNotTakenError("it does not want it")
        self.told += [one["id"] for one in events]

    def close(self):
        pass


class Clock:
    """A monotonic time that the test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


numbers = count(1)


def happened(position, kind="accepted", age=0.0):
    order = (int((time() - age) * 1000) << ORDER_BITS) + next(numbers)
    return Event("spring", position, kind, time(), order=order, mailbox=f"p{position}@example.org")


def made(client, shop, **settings):
    return Courier("hook", Events(hook="a.b", **settings), client, shop)


def insist(courier, events, clock, within=400):
    """Give *events* again until they are taken, as a follower does; returns how often."""
    for times in range(within):
        try:
            courier.take(events)
        except EventsNotTakenError as exc:
            clock.now += min(exc.wait, 5.0)
        else:
            return times
    raise AssertionError("never taken")


def aside(client):
    return [
        event["id"]
        for one in Aside(client).lying("hook")
        for event in json.loads(one.body)["events"]
    ]


def test_all_words_can_be_asked_for():
    assert set(KINDS) == {one.word for one in Status if one is not Status.TRANSMITTING} | set(LATER)


def test_only_the_kinds_that_are_wanted_are_told(client):
    shop = Shop()
    events = [happened(0, "deferred"), happened(0), happened(0, "bounced"), happened(1, "queued")]
    made(client, shop).take(events)
    made(client, shop, kinds=("queued",)).take(events)

    assert shop.told == [events[1].identifier, events[2].identifier, events[3].identifier]


def test_a_delivery_holds_at_most_a_batch(client):
    shop = Shop()
    made(client, shop, batch=10).take([happened(n) for n in range(25)])

    assert (len(shop.told), shop.tries) == (25, 3)


@pytest.mark.parametrize("poisoned", [{0}, {99}, {37}, {0, 1, 2}, {10, 70}, set(range(0, 100, 9))])
def test_poisoned_events_are_set_aside_and_all_others_are_told_in_order(client, clock, poisoned):
    shop = Shop(lambda one: one["position"] in poisoned)
    events = [happened(n) for n in range(100)]

    insist(made(client, shop), events, clock)

    assert aside(client) == [events[n].identifier for n in sorted(poisoned)]
    told = [one.identifier for n, one in enumerate(events) if n not in poisoned]
    assert sorted(shop.told) == sorted(told)
    assert clock.now < 60


def test_a_poisoned_event_is_tried_often_before_it_is_set_aside(client, clock):
    tried = []
    shop = Shop(lambda one: tried.append(one["position"]) or one["position"] == 3)
    insist(made(client, shop), [happened(n) for n in range(5)], clock)

    assert tried.count(3) >= TRIES
    assert clock.now > 30


def test_of_one_message_nothing_is_told_before_what_came_first(client, clock):
    """The first event of message 0 is refused for a while; the second is held back with it."""
    mended = []
    shop = Shop(lambda one: one["position"] == 0 and one["kind"] == "accepted" and not mended)
    events = [happened(0), happened(1), happened(0, "bounced"), happened(2)]
    courier = made(client, shop)
    for _ in range(8):
        with pytest.raises(EventsNotTakenError):
            courier.take(events)
        clock.now += 5
    assert shop.told == [events[1].identifier, events[3].identifier]

    mended.append(True)
    insist(courier, events, clock)

    assert shop.told[2:] == [events[0].identifier, events[2].identifier]
    assert aside(client) == []


def test_a_way_that_is_dead_is_asked_ever_more_rarely_and_nothing_is_lost(client, clock):
    shop = Shop(lambda _one: True)
    events = [happened(n) for n in range(100)]
    courier = made(client, shop)
    for _ in range(1000):
        with pytest.raises(EventsNotTakenError):
            courier.take(events)
        clock.now += 5
    assert shop.tries < 100

    shop.refuses = lambda _one: False
    insist(courier, events, clock)

    assert shop.told == [one.identifier for one in events]
    assert aside(client) == []


def test_what_comes_while_a_way_is_dead_is_tried_before_it_is_given_up(client, clock):
    shop = Shop(lambda _one: True)
    courier = made(client, shop, give_up_after=60)
    for _ in range(50):  # it has been dead for long
        with suppress(EventsNotTakenError):
            courier.take([happened(0)])
        clock.now += 20
    shop.tries = 0
    began = clock.now
    while clock.now < began + 60:
        with pytest.raises(EventsNotTakenError):
            courier.take([happened(1)])
        clock.now += 5

    assert shop.tries >= 3


def test_what_a_dead_way_did_not_take_for_a_day_is_set_aside_and_the_newer_waits(client, clock):
    shop = Shop(lambda _one: True)
    old, new = [happened(n, age=90_000) for n in range(3)], [happened(n) for n in range(3, 6)]
    courier = made(client, shop)
    for _ in range(20):
        with pytest.raises(EventsNotTakenError):
            courier.take([*old, *new])
        clock.now += 5

    assert aside(client) == [one.identifier for one in old]
    shop.refuses = lambda _one: False
    insist(courier, [*old, *new], clock)
    assert shop.told == [one.identifier for one in new]


def test_too_much_for_a_dead_way_is_set_aside_without_being_tried(client, clock):
    EventStream(client).take("hook")
    client.incrby("mailer:events:added", 95)
    shop = Shop(lambda _one: True)
    courier = made(client, shop, max_backlog=100, batch=10)
    chunks = [[happened(n) for n in range(k, k + 5)] for k in range(0, 95, 5)]
    for _ in range(6):
        try:
            courier.take(chunks[0])
        except EventsNotTakenError:
            clock.now += 5
        else:
            break
    tries = shop.tries
    client.hincrby("mailer:events:read", "hook", 5)
    courier.take(chunks[1])
    client.hincrby("mailer:events:read", "hook", 5)
    courier.take(chunks[2])
    client.hincrby("mailer:events:read", "hook", 5)

    with pytest.raises(EventsNotTakenError):  # relieved: 80 of 100 wait
        courier.take(chunks[3])
    assert shop.tries == tries
    assert aside(client) == [one.identifier for chunk in chunks[:3] for one in chunk]


def test_what_is_replayed_is_told_next_and_lies_aside_again_where_it_is_refused(client, clock):
    shop = Shop(lambda one: one["position"] < 2)
    events = [happened(n) for n in range(4)]
    EventStream(client).take("hook")
    insist(made(client, shop), events, clock)
    assert aside(client) == [events[0].identifier, events[1].identifier]

    shop.refuses = lambda one: one["position"] == 1
    assert Aside(client).replay("hook") == 2
    made(client, shop).take([])

    assert shop.told[-1] == events[0].identifier
    assert aside(client) == [events[1].identifier]
    assert Aside(client).to_tell_again("hook") is None


def test_who_asks_for_a_replay_need_not_wait_until_a_mended_way_is_tried_again(client, clock):
    """The pause has grown to five minutes; time stands still from here on."""
    EventStream(client).take("hook")
    Aside(client).put("hook", b'{"events": [{"id": "aside"}]}', 1, "why")
    shop = Shop(lambda _one: True)
    events, courier = [happened(n) for n in range(4)], made(client, shop)
    for _ in range(200):
        with pytest.raises(EventsNotTakenError) as refused:
            courier.take(events)
        clock.now += 5
    assert refused.value.wait > 60
    shop.refuses = lambda _one: False
    with pytest.raises(EventsNotTakenError):
        courier.take(events)

    Aside(client).replay("hook")
    courier.take(events)
    courier.take([])

    assert shop.told == [*(one.identifier for one in events), "aside"]


def test_a_replay_has_a_way_that_is_still_dead_tried_once(client, clock):
    EventStream(client).take("hook")
    Aside(client).put("hook", b'{"events": [{"id": "aside"}]}', 1, "why")
    shop = Shop(lambda _one: True)
    courier = made(client, shop)
    with pytest.raises(EventsNotTakenError):
        courier.take([happened(0)])
    Aside(client).replay("hook")
    for _ in range(3):
        with pytest.raises(EventsNotTakenError):
            courier.take([happened(0)])

    assert shop.tries == 2


def test_of_too_many_aside_the_oldest_go_and_are_counted(client):
    EventStream(client).take("hook")
    lying = Aside(client, kept=3)
    for number in range(5):
        lying.put("hook", b"body %d" % number, 10, "why")

    assert [one.body for one in lying.lying("hook")] == [b"body 2", b"body 3", b"body 4"]
    assert lying.lost() == {"hook": 20}


def test_a_place_that_is_not_known_is_null():
    assert shown(happened(-5, "bounced"))["position"] is None
    assert shown(happened(5, "bounced"))["attempt"] == 0
