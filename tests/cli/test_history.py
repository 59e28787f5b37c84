"""`mailer history`, as people type it."""

import time
from contextlib import suppress
from pathlib import Path

from mailer.store import keys
from mailer.store.events import EventStream, Gaps, Rewinds, Rewound


def test_upgrade_makes_the_tables(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "sqlite:///{place}/history.sqlite"\n')

    ran = mailer("history", "upgrade")

    assert (ran.code, ran.err) == (0, "")
    database = place / "history.sqlite"
    assert database.is_file()
    assert not [one for one in descriptors() if one == database]


def descriptors():
    """What this process has open, on Linux."""
    for one in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            yield one.readlink()


def test_without_a_history_it_says_how_to_have_one(mailer):
    ran = mailer("history", "upgrade")

    assert ran.code == 1
    assert "add [history] with a url" in ran.err


def test_a_database_that_is_away_is_one_line_without_its_password(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write('[history]\nurl = "postgresql://mailer:hunter2@127.0.0.1:1/mailer"\n')

    ran = mailer("history", "upgrade")

    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert "hunter2" not in ran.err


def test_a_history_that_is_given_up_leaves_nothing_behind(mailer, place, client):
    stream = EventStream(client)
    stream.take("history")
    client.xadd(keys.EVENTS, {"n": 3})
    client.set(keys.EVENTS_ADDED, 3)

    ran = mailer("history", "drop")

    assert ran.code == 0
    assert "3 messages had not reached it" in ran.out
    assert not client.keys("mailer:events*") or client.keys("mailer:events:lease*")
    assert mailer("history", "drop").code == 0


def test_a_history_that_is_still_configured_is_not_dropped(mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "sqlite:///{place}/history.sqlite"\n')
    ran = mailer("history", "drop")
    assert ran.code == 1
    assert "take it out" in ran.err


def test_mend_puts_in_what_was_missed_and_says_of_whom(mailer, place, client):
    with (place / "mailer.toml").open("a") as file:
        file.write(f'[history]\nurl = "sqlite:///{place}/history.sqlite"\n')
    mailer("history", "upgrade")
    EventStream(client).take("history")
    words = ("--template", "hello", "--set", "season=spring")
    assert mailer("send", "spring", *words, place / "people.csv").code == 0
    assert mailer("cancel", "spring").code == 0
    client.delete(keys.EVENTS)
    Gaps(client).look("history", time.time())
    assert "`mailer history mend`" in mailer("events", "list").out

    ran = mailer("history", "mend")

    assert (ran.code, ran.err) == (0, "")
    assert "spring: of 2 recipients something was put in" in ran.out
    assert "cancelled" in mailer("trace", "ada@EXAMPLE.org").out
    assert "missed" not in mailer("events", "list").out
    Rewinds(client, "history").note(Rewound(4, 1.0, 2.0, {"spring": 4}), 1)
    assert "said of 4" not in mailer("history", "mend", "spring").out
    assert "nothing more is said of 4 recipients" in mailer("history", "mend").out
    assert "older" not in mailer("events", "list").out
    assert "lacks nothing" in mailer("history", "mend", "spring").out
    assert mailer("history", "mend", "autumn").code == 1
