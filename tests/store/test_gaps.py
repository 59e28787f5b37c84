"""Events that somebody else takes out of Redis are missed aloud: how many, between when and when."""

import pytest

from mailer.store import keys
from mailer.store.events import EventStream, Gaps, Missed
from tests.store.batches import NOW, claim, enqueue, open_campaign
from tests.store.test_events import following, settle


@pytest.fixture
def claimed(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(1, 9))
    return claim(client, ref)


def read_to_the_end(client, consumer="history"):
    """All positions that the consumer is told of, and what it missed, as a follower asks."""
    stream, told = EventStream(client), []
    while found := stream.read(consumer, 1):
        told += [one.position for one in found.events]
        stream.acknowledge(consumer, found)
    return told, Gaps(client).look(consumer, NOW)


def test_who_is_told_of_all_misses_nothing(client, claimed):
    following(client)
    settle(client, claimed, [0, 1])
    settle(client, claimed, [2])

    assert read_to_the_end(client) == ([0, 1, 2], 0)
    assert Gaps(client).all() == []


@pytest.mark.parametrize(
    ("taken", "told", "missed"),
    [
        (lambda client: client.xtrim(keys.EVENTS, maxlen=1, approximate=False), [3], 2),
        (lambda client: client.xtrim(keys.EVENTS, maxlen=0, approximate=False), [], 3),
        (lambda client: client.delete(keys.EVENTS), [], 3),
        (
            lambda client: client.xdel(keys.EVENTS, client.xrange(keys.EVENTS)[0][0]),
            [3],
            2,
        ),
    ],
    ids=["trimmed", "emptied", "removed", "one entry"],
)
def test_what_left_the_stream_unread_is_missed(client, claimed, taken, told, missed):
    following(client)
    settle(client, claimed, [0])
    assert read_to_the_end(client) == ([0], 0)
    settle(client, claimed, [1, 2])
    settle(client, claimed, [3])

    taken(client)

    assert read_to_the_end(client) == (told, missed)
    (gap,) = Gaps(client).all()
    assert (gap.consumer, gap.recipients, gap.until) == ("history", missed, NOW)
    assert gap.since > 0
    # It is said once, and what comes next is told as ever.
    settle(client, claimed, [4])
    assert read_to_the_end(client) == ([4], 0)
    assert Gaps(client).all() == [gap]


def test_two_gaps_are_one_that_begins_with_the_first(client, claimed):
    following(client)
    for number in (0, 1):
        settle(client, claimed, [number])
        client.delete(keys.EVENTS)
        assert Gaps(client).look("history", NOW + number) == 1

    assert Gaps(client).all() == [Missed("history", 2, 0.0, NOW + 1)]


def test_only_who_had_not_read_it_has_missed_it(client, claimed):
    following(client)
    following(client, "hook")
    settle(client, claimed, [0, 1])
    assert read_to_the_end(client) == ([0, 1], 0)

    client.delete(keys.EVENTS)

    assert read_to_the_end(client) == ([], 0)
    assert read_to_the_end(client, "hook") == ([], 2)


def test_sending_does_not_wait_for_what_nobody_can_read_any_more(client, claimed):
    following(client)
    settle(client, claimed, [0, 1])
    client.delete(keys.EVENTS)
    assert EventStream(client).unread() == {"history": 2}

    Gaps(client).look("history", NOW)

    assert EventStream(client).unread() == {"history": 0}


def test_a_stream_that_begins_anew_under_a_clock_that_is_behind_is_read(client, claimed):
    following(client)
    settle(client, claimed, [0])
    read_to_the_end(client)
    client.delete(keys.EVENTS)
    client.hset(keys.CONSUMERS, "history", "99999999999999-0")
    settle(client, claimed, [1])

    assert read_to_the_end(client) == ([], 0)
    assert read_to_the_end(client) == ([1], 0)


def test_counts_that_are_gone_begin_anew_and_hide_no_later_gap(client, claimed):
    following(client)
    settle(client, claimed, [0, 1])
    read_to_the_end(client)
    client.delete(keys.EVENTS_ADDED)
    assert read_to_the_end(client) == ([], 0)

    settle(client, claimed, [2])
    client.delete(keys.EVENTS)

    assert read_to_the_end(client) == ([], 1)


def test_while_more_is_to_be_read_nothing_is_said(client, claimed):
    following(client)
    settle(client, claimed, [0])
    assert Gaps(client).look("history", NOW) == 0
    assert EventStream(client).unread() == {"history": 1}


def test_a_gap_that_grew_since_somebody_looked_stays(client, claimed):
    following(client)
    gaps = Gaps(client)
    settle(client, claimed, [0])
    client.delete(keys.EVENTS)
    gaps.look("history", NOW)
    seen = gaps.of("history")
    settle(client, claimed, [1])
    client.delete(keys.EVENTS)
    gaps.look("history", NOW)

    gaps.close(seen)
    assert gaps.of("history").recipients == 2
    gaps.close(gaps.of("history"))
    assert gaps.all() == []


@pytest.mark.parametrize("junk", [b"junk", b"[]", b'{"recipients": "many"}', b"\xff"])
def test_a_note_that_cannot_be_read_ends_nothing(client, claimed, junk):
    following(client)
    client.hset(keys.EVENTS_MISSED, "history", junk)
    settle(client, claimed, [0])
    client.delete(keys.EVENTS)
    assert Gaps(client).all() == []

    assert Gaps(client).look("history", NOW) == 1
    assert Gaps(client).of("history").recipients == 1
