"""`mailer events`, as people type it."""

import json
import time

import pytest

from mailer.store import keys
from mailer.store.events import Aside, EventStream, Gaps, Rewinds, Rewound

BODY = json.dumps({"id": "dlv_1", "events": [{"id": "e1", "mailbox": "ada@example.org"}]}).encode()


@pytest.fixture
def hook(client):
    """A hook reads; it is behind by two messages, and a delivery lies aside."""
    stream = EventStream(client)
    stream.take("hook")
    client.xadd(keys.EVENTS, {"n": 2}, id=f"{int((time.time() - 120) * 1000)}-0")
    client.set(keys.EVENTS_ADDED, 2)
    stream.note_trouble("hook", "ValueError: no such customer (mail.py:3)")
    Aside(client).put("hook", BODY, 1, "ValueError: no such customer")
    return stream


def test_list_says_who_waits_and_why_and_what_lies_aside_without_addresses(mailer, hook):
    ran = mailer("events", "list")

    assert ran.code == 0
    assert "hook" in ran.out
    assert "no such customer (mail.py:3)" in ran.out
    assert "1 event set aside" in ran.out
    assert "ada@" not in ran.out
    assert "`mailer events replay`" in ran.out


def test_list_as_json_has_the_events_themselves(mailer, hook):
    told = json.loads(mailer("events", "list", "--json").out)

    (consumer,) = told["consumers"]
    assert (consumer["consumer"], consumer["waiting"]) == ("hook", 2)
    (aside,) = told["set_aside"]
    assert aside["events"][0]["mailbox"] == "ada@example.org"


def test_where_nobody_reads_it_says_how_to_have_one(mailer):
    assert "[events]" in mailer("events", "list").out


def test_where_no_worker_has_run_yet_it_does_not_ask_for_what_is_configured(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write('[history]\nurl = "sqlite:///history.sqlite"\n')
    assert "the first worker that runs begins" in mailer("events", "list").out


def test_status_warns_of_what_waits_and_of_what_lies_aside(mailer, hook):
    said = mailer("status").err

    assert "hook: 2 events wait, the oldest" in said
    assert "`mailer events list`" in said


def test_replay_moves_what_lies_aside_to_what_is_told_next(mailer, hook, client):
    ran = mailer("events", "replay", "hook")

    assert "hook: 1 event to be told again" in ran.out
    assert list(Aside(client).lying("hook")) == []
    assert Aside(client).to_tell_again("hook").body == BODY


def test_a_consumer_that_is_not_there_is_said_with_those_that_are(mailer, hook):
    ran = mailer("events", "replay", "webhok")

    assert ran.code == 1
    assert ran.err == "mailer: no consumer 'webhok'; there are hook\n"


def test_drop_leaves_nothing_of_a_way_that_is_given_up(mailer, hook, client):
    ran = mailer("events", "drop", "hook")

    assert "of 2 messages it had not heard" in ran.out
    left = client.keys("mailer:events*")
    assert all(b"lease" in key for key in left)
    assert mailer("events", "drop", "nobody").code == 1


def test_drop_is_refused_while_it_is_configured(mailer, place, hook):
    with (place / "mailer.toml").open("a") as file:
        file.write('[events]\nhook = "shop.mail:on_event"\n')

    ran = mailer("events", "drop", "hook")

    assert ran.code == 1
    assert "events.hook" in ran.err


def test_that_redis_was_restored_is_said_until_somebody_has_looked(mailer, hook, client):
    EventStream(client).register("history")
    now = time.time()
    Rewinds(client, "history").note(Rewound(4, now - 60, now, {"spring": 3, "may": 1}), 1)

    said = mailer("events", "list").out
    assert "older than the history, which knows what became of 4 recipients after 20" in said
    assert "(spring 3, may 1)" in said
    assert "`mailer history mend`, or `mailer events dismiss history`" in said
    found = json.loads(mailer("events", "list", "--json").out)["redis_is_older"]
    assert (found["recipients"], found["campaigns"]) == (4, {"spring": 3, "may": 1})
    assert "knows what became of 4 recipients, and Redis does not" in mailer("status").err

    assert "of 4 recipients of whom" in mailer("events", "dismiss", "history").out
    assert "older" not in mailer("events", "list").out
    assert "Redis" not in mailer("status").err
    assert mailer("events", "dismiss", "history").out == "history missed nothing\n"


def test_what_was_missed_is_said_until_somebody_has_looked(mailer, hook, client):
    client.delete(keys.EVENTS)
    Gaps(client).look("hook", time.time())

    listed = mailer("events", "list")
    assert "hook missed 2 events, before" in listed.out
    assert "`mailer events dismiss hook`" in listed.out
    (consumer,) = json.loads(mailer("events", "list", "--json").out)["consumers"]
    assert (consumer["waiting"], consumer["missed"]["events"]) == (0, 2)
    assert "hook: missed 2 events, which left Redis unread" in mailer("status").err

    assert "of 2 events that it missed" in mailer("events", "dismiss", "hook").out
    assert "missed 2" not in mailer("events", "list").out + mailer("status").err
    assert mailer("events", "dismiss", "hook").out == "hook missed nothing\n"
    assert mailer("events", "dismiss", "webhook").code == 1
