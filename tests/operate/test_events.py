"""What people do about events that were not taken."""

import pytest

from mailer.config import Settings
from mailer.errors import InputError
from mailer.operate import events
from mailer.store import keys
from mailer.store.events import Aside, EventStream, Gaps

GAP = b'{"recipients": 7, "since": 100.0, "until": 200.0}'


@pytest.fixture
def settings(redis_url):
    return Settings(redis=redis_url)


@pytest.fixture
def known(client):
    """Consumers that have read something."""
    for name in ("hook", "history"):
        EventStream(client).register(name)


def lie_aside(client, consumer, count, *, events=3):
    for number in range(count):
        Aside(client).put(consumer, f"body {number}".encode(), events, f"why {number}")


ASK = {
    "set_aside": lambda settings, name: list(events.set_aside(settings, name)),
    "replay": events.replay,
    "dismiss": events.dismiss,
}


@pytest.mark.parametrize("ask", ASK)
def test_a_consumer_that_is_none_is_told_which_there_are(settings, known, ask):
    with pytest.raises(InputError, match="no consumer 'hok'; there are history, hook"):
        ASK[ask](settings, "hok")


@pytest.mark.parametrize("ask", ASK)
def test_where_nobody_reads_events_that_is_said(settings, ask):
    with pytest.raises(InputError, match="no consumer 'hook'; nobody reads events"):
        ASK[ask](settings, "hook")


def test_what_lies_aside_is_shown_of_one_or_of_all_the_oldest_first(client, settings, known):
    lie_aside(client, "hook", 2)
    lie_aside(client, "history", 1)
    assert [one.why for one in events.set_aside(settings, "hook")] == ["why 0", "why 1"]
    assert [one.body for one in events.set_aside(settings, "hook")] == [b"body 0", b"body 1"]
    assert {one.consumer for one in events.set_aside(settings)} == {"hook", "history"}
    assert [one.events for one in events.set_aside(settings, "history")] == [3]


def test_what_is_to_be_told_again_is_counted_by_consumer_and_lies_there_until_it_is(
    client, settings, known
):
    lie_aside(client, "hook", 2, events=5)
    assert events.replay(settings) == {"history": 0, "hook": 10}
    assert Aside(client).to_tell_again("hook").body == b"body 0"
    assert Aside(client).to_tell_again("history") is None


def test_of_more_than_are_kept_the_oldest_go_and_are_counted(client, settings, known):
    few = Aside(client, kept=2)
    for number in range(4):
        few.put("hook", f"body {number}".encode(), 10, "refused")
    assert [one.body for one in events.set_aside(settings, "hook")] == [b"body 2", b"body 3"]
    assert events.lost(settings) == {"hook": 20}


def test_a_gap_is_shown_until_it_is_dismissed(client, settings, known):
    assert events.missed(settings) == []
    assert events.dismiss(settings, "hook") == (None, None)
    client.hset(keys.EVENTS_MISSED, "hook", GAP)
    (gap,) = events.missed(settings)
    assert (gap.consumer, gap.recipients, gap.since, gap.until) == ("hook", 7, 100.0, 200.0)
    assert events.dismiss(settings, "hook") == (gap, None)
    assert Gaps(client).all() == []


@pytest.mark.parametrize(
    ("configured", "consumer", "key"),
    [
        ({"events": {"hook": "shop.mail:told"}}, "hook", "events.hook"),
        ({"events": {"task": "shop.told"}}, "task", "events.task"),
        ({"history": {"url": "sqlite:///history.db"}}, "history", r"\[history\]"),
    ],
)
def test_a_consumer_that_is_configured_is_not_dropped(redis_url, configured, consumer, key):
    settings = Settings(redis=redis_url, **configured)
    with pytest.raises(
        InputError, match=rf"names it \({key}\): take it out, here and on all workers"
    ):
        events.drop(settings, consumer)


def test_a_consumer_that_is_configured_no_more_is_forgotten(client, settings, known):
    assert events.drop(settings, "hook") == 0
    assert [one.consumer for one in events.backlogs(settings)] == ["history"]
    with pytest.raises(InputError, match="known are history, hook, webhook, task"):
        events.drop(settings, "hok")
