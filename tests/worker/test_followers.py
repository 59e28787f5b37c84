"""What happens is followed into the history, whatever goes away meanwhile."""

import threading
from contextlib import ExitStack, closing
from time import time

import pytest

from mailer.config import load
from mailer.errors import HistoryUnavailableError
from mailer.history import open_history
from mailer.mail.status import Status
from mailer.store.events import EventStream
from mailer.worker import followers
from mailer.worker.followers import Follower
from mailer.worker.history_writer import HistoryWriter
from tests.servers.waiting import PATIENCE, eventually
from tests.store.batches import claim, enqueue, open_campaign
from tests.store.test_events import settle
from tests.worker.following import read_all


def settings(folder, url):
    (folder / "mailer.toml").write_text(f'[history]\nurl = "{url}"\n')
    return load(folder / "mailer.toml", {})


@pytest.fixture
def writer_of(client, tmp_path):
    """What makes the consumer that writes the history at an URL."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(
            closing(HistoryWriter(settings(tmp_path, url), client))
        )


def counted(url):
    with closing(open_history(url)) as history:
        return history.counts("spring")


def some_happened(client, numbers=range(3)):
    open_campaign(client)
    ref, _ = enqueue(client, numbers)
    claimed = claim(client, ref)
    settle(client, claimed, list(numbers), at=time())
    return claimed


def test_what_happened_is_in_the_history_and_no_more_in_redis(client, tmp_path, writer_of):
    some_happened(client)
    url = f"sqlite:///{tmp_path}/h.sqlite"
    follower = Follower(client, writer_of(url))

    read_all(follower)

    assert counted(url) == {"accepted": 3}
    assert client.exists("mailer:events") == 0 or client.xlen("mailer:events") == 0


def test_what_left_redis_unread_is_said_and_what_comes_next_is_taken(
    client, tmp_path, caplog, writer_of
):
    url = f"sqlite:///{tmp_path}/h.sqlite"
    follower = Follower(client, writer_of(url))
    follower.step()
    claimed = some_happened(client)
    client.delete("mailer:events")

    assert follower.step() == followers.POLL

    assert "history: what became of 3 recipients left Redis before it was read" in caplog.text
    ref, _ = enqueue(client, range(10, 12))
    settle(client, claim(client, ref), [3, 4], at=time())
    assert claimed.ref != ref
    assert follower.step() == followers.GATHER
    assert counted(url) == {"accepted": 2}


def test_a_follower_that_dies_before_it_acknowledged_leaves_its_events_to_the_next(
    client, tmp_path, writer_of
):
    some_happened(client)
    url = f"sqlite:///{tmp_path}/h.sqlite"
    writer = writer_of(url)
    stream = EventStream(client)
    stream.take("history")
    writer.begin()
    writer.take(stream.read("history", 10).events)  # and here it dies
    stream.leave("history")

    other = Follower(client, writer_of(url))
    while other.step() != followers.GATHER:
        pass

    with closing(open_history(url)) as history:
        (found,) = history.trace("r1@example.org")
    assert [step.outcome for step in found.steps] == ["accepted"]


@pytest.mark.postgresql
def test_while_the_database_is_away_events_wait_and_go_in_when_it_is_back(
    client, tmp_path, postgres_server, postgres_url, writer_of
):
    with closing(open_history(postgres_url)) as history:
        history.upgrade()
    writer = writer_of(postgres_url)
    follower = Follower(client, writer)
    postgres_server.stop()
    try:
        some_happened(client)
        assert follower.step() == 1.0
        assert follower.step() == 2.0
        (backlog,) = EventStream(client).backlogs(0.0)
        assert backlog.messages == 3
        assert "cannot be used" in backlog.trouble
    finally:
        postgres_server.start()

    assert follower.step() == followers.GATHER

    assert counted(postgres_url) == {"accepted": 3}
    (backlog,) = EventStream(client).backlogs(0.0)
    assert (backlog.messages, backlog.trouble) == (0, "")


def test_a_consumer_that_reads_first_takes_nothing_away_from_another_that_is_known(client):
    fast, slow = Narrow(can=True), Narrow(can=True)
    fast.name = "hook"
    followers = [Follower(client, fast), Follower(client, slow)]
    for one in followers:
        one.register()
    some_happened(client)
    for one in followers:
        one.step()

    assert len(fast.taken) == len(slow.taken) == 3


class Narrow:
    """A consumer that cannot, until it can."""

    name = "history"
    chunk = 5

    def __init__(self, can):
        self.can = can
        self.taken = []

    def begin(self):
        pass

    def take(self, events):
        if not self.can:
            raise HistoryUnavailableError("not from here")
        self.taken += events

    def close(self):
        pass


def test_who_cannot_gives_way_to_another_process_that_can(client):
    some_happened(client)
    narrow, wide = Narrow(can=False), Narrow(can=True)
    stuck, other = Follower(client, narrow), Follower(client, wide)
    assert stuck.step() > 0
    eventually(lambda: other.step() == followers.GATHER)

    (backlog,) = EventStream(client).backlogs(0.0)
    assert (len(wide.taken), backlog.messages, backlog.trouble) == (3, 0, "")


def test_what_a_newer_version_wrote_waits_for_a_worker_of_it(client):
    some_happened(client)
    client.xadd("mailer:events", {"n": "1", "e": b"E\x09o??"})
    consumer = Narrow(can=True)
    follower = Follower(client, consumer)
    follower.step()
    follower.step()

    (backlog,) = EventStream(client).backlogs(0.0)
    assert len(consumer.taken) == 3
    assert "version 9" in backlog.trouble
    eventually(lambda: EventStream(client).take("history"))  # a newer worker may read


class Slow(Narrow):
    """A consumer that takes longer than a lease lasts without being renewed."""

    def take(self, events):
        self.began.set()
        self.go_on.wait(PATIENCE)
        self.taken += events


def test_one_that_takes_long_keeps_its_place(client):
    """For longer than a lease; a busy machine may renew it late, so it is none of the shortest."""
    some_happened(client)
    consumer = Slow(can=True)
    consumer.began, consumer.go_on = threading.Event(), threading.Event()
    follower = Follower(client, consumer, lease=3)
    follower.start()
    assert consumer.began.wait(PATIENCE)
    rival, until = EventStream(client), time() + 4

    while time() < until:
        assert not rival.take("history")
        threading.Event().wait(0.05)

    consumer.go_on.set()
    follower.stop()
    follower.join(PATIENCE)
    assert len(consumer.taken) == 3


def test_a_thread_that_is_to_stop_takes_what_is_left_first(client, tmp_path, writer_of):
    url = f"sqlite:///{tmp_path}/h.sqlite"
    follower = Follower(client, writer_of(url))
    some_happened(client)
    follower.stop()
    follower.start()
    follower.join(PATIENCE)

    assert counted(url) == {Status.ACCEPTED.word: 3}
    assert EventStream(client).take("history")


def test_only_behind_a_step_that_took_a_whole_chunk_there_is_no_wait(client):
    follower = Follower(client, Narrow(can=True))
    some_happened(client, range(5))

    assert follower.step() == 0.0
    some_happened(client, range(5, 8))
    assert follower.step() == followers.GATHER
    assert follower.step() == followers.POLL
