"""A reader that writes down outside of Redis how far it came knows whether that is older."""

import pytest

from mailer.errors import CampaignChangedError
from mailer.mail.policy import CampaignPolicy
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.events import EventStream, Gaps, Rewinds, Rewound
from mailer.store.events.stream import order_of
from tests.store.batches import claim, enqueue, open_campaign
from tests.store.test_events import following, settle


@pytest.fixture
def claimed(client):
    open_campaign(client)
    ref, _ = enqueue(client, range(1, 9))
    following(client)
    return claim(client, ref)


def read(client):
    """Take in what there is; returns the last entry, and the cursor from which it was read."""
    stream = EventStream(client)
    found = stream.read("history", 1000)
    stream.acknowledge("history", found)
    return order_of(found.last.encode()), found.after


def test_a_redis_that_knows_what_was_taken_in_is_not_older(client, claimed):
    rewinds = Rewinds(client, "history")
    settle(client, claimed, [0])
    first, _ = read(client)
    assert not rewinds.is_rewound(first)
    settle(client, claimed, [1])
    second = order_of(client.xrange(keys.EVENTS)[-1][0])

    assert not rewinds.is_rewound(second)  # taken in, and not yet acknowledged
    read(client)
    assert not rewinds.is_rewound(first)  # another process has read on


def test_one_with_the_cursor_of_before_and_without_the_entry_is_older(client, claimed):
    rewinds = Rewinds(client, "history")
    settle(client, claimed, [0])
    before, _ = read(client)
    settle(client, claimed, [1])
    taken, cursor = read(client)
    client.hset(keys.CONSUMERS, "history", cursor)  # as a backup has it

    assert rewinds.is_rewound(taken)
    assert not rewinds.is_rewound(before)


def test_a_stream_that_was_removed_makes_no_redis_older(client, claimed):
    rewinds = Rewinds(client, "history")
    settle(client, claimed, [0])
    taken, _ = read(client)
    client.delete(keys.EVENTS)
    client.hset(keys.CONSUMERS, "history", "99999999999999-0")
    settle(client, claimed, [1])
    Gaps(client).look("history", 1.0)

    assert client.hget(keys.CONSUMERS, "history") == b"0-1"
    assert not rewinds.is_rewound(taken)


def test_what_was_read_from_another_cursor_moves_none(client, claimed):
    """A chunk that was read before Redis was restored is no proof that what lies behind it was read."""
    stream = EventStream(client)
    settle(client, claimed, [0])
    read(client)
    settle(client, claimed, [1])
    found = stream.read("history", 1000)
    client.hset(keys.CONSUMERS, "history", "5-0")

    stream.acknowledge("history", found)

    assert client.hget(keys.CONSUMERS, "history") == b"5-0"


def test_a_ledger_keeps_its_name_and_an_emptied_redis_has_another(client):
    name = Rewinds(client, "history").ledger()
    assert Rewinds(client, "history").ledger() == name != ""
    client.delete(keys.LEDGER)
    assert Rewinds(client, "history").ledger() != name


@pytest.mark.parametrize("is_there", [True, False], ids=["", "no stream"])
def test_under_a_clock_that_is_behind_what_comes_stands_later_all_the_same(
    client, claimed, is_there
):
    settle(client, claimed, [0])
    if not is_there:
        client.delete(keys.EVENTS)
    held = client.xlen(keys.EVENTS)
    ahead = (99_999_999_999_999 << 20) + 3

    Rewinds(client, "history").note(Rewound(1, 0.0, 1.0), ahead)
    Rewinds(client, "history").note(Rewound(1, 0.0, 1.0), 7 << 20)  # an older one changes nothing

    assert client.xlen(keys.EVENTS) == held
    settle(client, claimed, [1])
    assert order_of(client.xrange(keys.EVENTS)[-1][0]) > ahead


def test_what_was_found_is_said_until_somebody_has_looked(client):
    rewinds = Rewinds(client, "history")
    assert rewinds.seen() is None
    first = Rewound(3, 10.0, 20.0, {"spring": 3})
    rewinds.note(first, 1)
    rewinds.note(Rewound(2, 30.0, 40.0, {"spring": 1, "may": 1}), 2)

    both = Rewound(5, 10.0, 40.0, {"spring": 4, "may": 1})
    assert rewinds.seen() == both
    rewinds.close(first)
    assert rewinds.seen() == both
    rewinds.close(both)
    assert rewinds.seen() is None


def test_a_campaign_of_which_redis_knows_less_is_not_enqueued_again(client):
    rewinds = Rewinds(client, "history")
    rewinds.note(Rewound(3, 10.0, 20.0, {"spring": 3}), 1)
    with pytest.raises(CampaignChangedError, match=r"of 3 recipients of campaign 'spring'.*again"):
        open_campaign(client)
    open_campaign(client, "may")
    Campaigns(client).open(
        "spring", digest="d", summary={}, policy=CampaignPolicy(), accept_changes=True, now=1.0
    )
    rewinds.close(rewinds.seen())
    open_campaign(client)


def test_found_again_from_as_early_on_it_counts_once(client):
    rewinds = Rewinds(client, "history")
    for number in (3, 4):
        rewinds.note(Rewound(number, 10.0, 20.0, {"spring": number}), 1)
    assert rewinds.seen() == Rewound(4, 10.0, 20.0, {"spring": 4})


@pytest.mark.parametrize("junk", [b"junk", b"[]", b'{"recipients": 3}', b'{"more": 1}', b"\xff"])
def test_a_note_that_cannot_be_read_ends_nothing(client, junk):
    client.hset(keys.EVENTS_REWOUND, "history", junk)
    rewinds = Rewinds(client, "history")
    assert rewinds.seen() is None

    rewinds.note(Rewound(1, 0.0, 1.0), 1)

    assert rewinds.seen() == Rewound(1, 0.0, 1.0)


def test_with_its_reader_goes_what_it_said(client, claimed):
    rewinds = Rewinds(client, "history")
    rewinds.note(Rewound(1, 0.0, 1.0), 1)
    EventStream(client).drop("history")
    assert rewinds.seen() is None
