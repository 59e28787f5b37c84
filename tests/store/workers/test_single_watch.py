"""Notes answer whether a single message waits; Redis is asked for it where none were written."""

import pytest

from mailer.mail.status import Status
from mailer.store.dispatch import Dispatch
from mailer.store.ledger import BULK, PRIORITY, Claim, Fresh, Ledger, Settlement, Verdict
from mailer.store.workers import single_watch as module
from mailer.store.workers.single_watch import LOOK, NOTE, SingleWatch

T = 1_795_392_000.0


class World:
    """A watch over a clock that stands still, and how often it has asked by itself."""

    def __init__(self, monkeypatch):
        self.now, self.asked, self.takes, self.waits = 1000.0, 0, True, False
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        self.watch = SingleWatch(lambda: self.takes, self.ask)

    def ask(self):
        self.asked += 1
        return self.waits

    def note(self, answer="go"):
        return self.watch.answered(answer, self.watch.asked())


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


@pytest.fixture
def noted(client, world):
    """A ledger whose notes ask, with a batch in hand."""
    ledger = Ledger(client, world.watch)
    claim = claimed(ledger, "c:1", BULK, T)
    return lambda now: ledger.commit(
        claim, [Settlement(0, Status.ACCEPTED)], (), now, now + 15
    )  # settled once, and the same again changes nothing


def claimed(ledger, ref, queue, now):
    where = {"queue": queue, "account": "a"}
    ledger.enqueue(ref, run=0, payload=b"x", recipients=[Fresh(bytes(8), 0)], now=now, **where)
    claim = ledger.claim(ref, "w", now, now + 15)
    assert isinstance(claim, Claim)
    return claim


def test_while_notes_are_written_nothing_else_asks(world):
    for _ in range(1000):
        world.note()
        world.now += NOTE / 2
        assert not world.watch.single_waits()
    assert world.asked == 0
    world.now += LOOK
    assert not world.watch.single_waits()
    assert world.asked == 1


def test_not_every_note_asks(world):
    assert world.watch.asked() != ("", "")
    world.note()
    assert world.watch.asked() == ("", "")
    world.now += LOOK
    assert world.watch.asked() != ("", "")


def test_what_a_note_told_is_told_to_one_task(world):
    woken = []
    world.watch.heard = lambda: woken.append(world.now)
    assert world.note("paused single") == "paused"
    assert woken == [1000.0]
    assert world.watch.single_waits()
    assert not world.watch.single_waits()
    assert world.asked == 0


def test_an_old_answer_counts_for_nothing(world):
    world.note("go single")
    world.now += 2 * LOOK
    assert not world.watch.single_waits(), "somebody has taken it meanwhile"


def test_who_takes_no_single_messages_does_not_ask(world):
    world.takes, world.waits = False, True
    assert world.watch.asked() == ("", "")
    assert not world.watch.single_waits()
    assert world.asked == 0


def test_a_note_tells_of_a_single_message_that_has_waited(client, world, noted):
    assert noted(T) is Verdict.GO
    assert not world.watch.single_waits()
    Ledger(client).enqueue(
        "send.hello:1", run=0, queue=PRIORITY, account="b", payload=b"x",
        recipients=[Fresh(bytes(8), 0)], now=T,
    )  # fmt: skip
    assert Dispatch(client).take("send.hello:1", T, PRIORITY)
    for after, waits in ((0.005, False), (0.1, True), (20.0, False)):
        world.now += LOOK
        assert noted(T + after) is Verdict.GO
        assert world.watch.single_waits() == waits, (
            "free processes take it, then it waits, then it is lost"
        )
    assert world.asked == 0


def test_a_lost_lease_is_told_as_ever(client, world, noted):
    client.hset("mailer:batch:c:1", "fence", 7)
    assert noted(T) is Verdict.LOST
