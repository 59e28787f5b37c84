"""Which batches a process works on: what its task waits for, and what goes on beside."""

import threading
import time

import pytest

from mailer.deliver import runs as module
from mailer.deliver.recorder import Report
from mailer.deliver.runs import MOST_BESIDE, Run, Runs
from mailer.store.workers.single_watch import SingleWatch
from tests.servers.waiting import PATIENCE, eventually


class World:
    """Accounts whose work waits, and batches that last until they are let go or asked to end."""

    def __init__(self):
        self.waiting = set()
        self.single = False
        self.looked = 0
        self.singles = SingleWatch(lambda: True, lambda: self.single)
        self.runs = Runs(self.others_wait, self.singles)
        self.gates = []

    def others_wait(self, besides):
        self.looked += 1
        return bool(self.waiting - besides)

    def start(self, account, *, leaves_room=False):
        gate = threading.Event()
        self.gates.append(gate)
        run = Run(account, Report(f"{account}:{len(self.gates)}"), leaves_room=lambda: leaves_room)

        def work():
            while not (gate.is_set() or run.wants_end.is_set() or run.wants_room.is_set()):
                gate.wait(0.01)

        return run, self.runs.start(run, work)

    def let_go(self):
        for gate in self.gates:
            gate.set()


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(module, "HOLD", 0.05)
    monkeypatch.setattr(module, "LOOK", 0.01)
    made = World()
    yield made
    made.let_go()
    made.runs.end_all()


def test_a_task_waits_for_its_batch_while_nobody_else_wants_the_process(world):
    threading.Timer(0.2, world.let_go).start()
    _, is_done = world.start("a")
    assert is_done
    assert len(world.runs) == 0


def test_a_batch_goes_on_beside_when_another_account_has_work(world):
    world.waiting = {"b"}
    _, is_done = world.start("a")
    assert not is_done
    assert len(world.runs) == 1
    assert not world.runs.has_room("a")
    assert world.runs.has_room("b")


def test_work_of_its_own_account_is_no_reason_until_all_of_the_batch_is_begun(world):
    world.waiting = {"a"}
    threading.Timer(0.2, world.let_go).start()
    assert world.start("a")[1]
    assert not world.start("a", leaves_room=True)[1]
    assert world.runs.has_room("a"), "it only awaits replies: the next batch may begin"


def test_a_single_message_is_waited_for_by_nobody(world, monkeypatch):
    monkeypatch.setattr(module, "HOLD", 600.0)
    world.single = True
    assert not world.start("a")[1]


def test_a_note_that_tells_of_a_single_message_wakes_the_task_at_once(world, monkeypatch):
    monkeypatch.setattr(module, "LOOK", 30.0)
    gate = threading.Event()
    world.gates.append(gate)

    def work():
        world.singles.answered("go single", world.singles.asked())
        gate.wait()

    began = time.monotonic()
    assert not world.runs.start(Run("a", Report("a:1")), work)
    assert time.monotonic() - began < 15


def test_single_messages_are_looked_for_often_and_others_rarely(world):
    """The look at other accounts' batches walks through them; a single message is one question."""
    threading.Timer(0.5, world.let_go).start()
    began = time.monotonic()
    assert world.start("a")[1]
    assert world.looked <= (time.monotonic() - began) / module.OTHERS_LOOK + 1
    asked = world.looked
    assert not world.runs.somebody_waits("a", only_singles=True)
    assert world.looked == asked
    world.single = True
    eventually(lambda: world.runs.somebody_waits("a", only_singles=True))


def test_one_batch_too_many_beside_is_asked_to_begin_nothing_more(world):
    """And not to end as at SIGTERM: what is in flight keeps its ten minutes."""
    world.waiting = {"z"}
    begun = [world.start(f"a{number}")[0] for number in range(MOST_BESIDE + 1)]
    assert [run.wants_room.is_set() for run in begun] == [False] * MOST_BESIDE + [True]
    assert not any(run.wants_end.is_set() for run in begun)
    assert begun[-1].ended.wait(PATIENCE)
    assert len(world.runs) == MOST_BESIDE


@pytest.fixture
def crowd(world, monkeypatch):
    """A process with places for eight, whose accounts hardly answer while `z` has work."""
    monkeypatch.setattr(module, "MOST_ENDING", 8)
    monkeypatch.setattr(module, "SLOW_HOLD", 0.01)
    monkeypatch.setattr(module, "MUTE_HOLD", 0.02)
    monkeypatch.setattr(module, "OTHERS_LOOK", 0.01)
    world.waiting = {"z"}
    return world


def test_slow_accounts_leave_the_last_places_to_others(crowd):
    for number in range(6):
        assert not crowd.start(f"slow{number}", leaves_room=True)[1]
    assert not crowd.runs.has_room("slow0"), "three quarters are taken"
    assert not crowd.runs.has_room("slow0", urgent=True)
    assert crowd.runs.has_room("z")
    crowd.waiting = {"slow0", "slow1"}
    assert not crowd.runs.somebody_waits("slow2"), "they could not begin here"
    crowd.waiting = {"z"}
    assert crowd.runs.somebody_waits("slow2")
    assert crowd.runs.age("slow9") > 0, "it waits as long as the oldest has"


def test_a_slow_account_has_few_of_its_single_messages_waiting_here(crowd):
    crowd.single = True
    for _ in range(module.MOST_URGENT):
        assert not crowd.start("slow")[1]
        time.sleep(module.HOLD)
    crowd.single = False
    crowd.let_go()
    crowd.runs.end_all()
    assert crowd.runs.has_room("slow", urgent=True), "nothing of it is here now"
    crowd.single = True
    crowd.gates.clear()
    for _ in range(module.MOST_URGENT):
        assert not crowd.start("slow")[1]
    assert not crowd.runs.has_room("slow", urgent=True)
    assert crowd.runs.has_room("fast", urgent=True)


def test_a_slow_account_does_not_keep_the_task_a_second_time(crowd, monkeypatch):
    assert not crowd.start("slow", leaves_room=True)[1]
    monkeypatch.setattr(module, "HOLD", 60.0)
    began = time.monotonic()
    assert not crowd.start("slow", leaves_room=True)[1]
    assert time.monotonic() - began < 30


def test_an_account_that_answers_again_is_not_slow_any_more(crowd, monkeypatch):
    assert not crowd.start("slow", leaves_room=True)[1]
    gate = threading.Event()
    crowd.gates.append(gate)
    run = Run("slow", Report("slow:2", answered=1_000_000), leaves_room=lambda: True)
    assert not crowd.runs.start(run, gate.wait)
    monkeypatch.setattr(module, "HOLD", 30.0)
    threading.Timer(0.2, crowd.let_go).start()
    assert crowd.start("slow")[1], "its task waits for it again"


def test_what_is_asked_for_room_may_begin_something_first(crowd, monkeypatch):
    monkeypatch.setattr(module, "HOLD", 60.0)
    run = Run("a", Report("a:1"))
    run.wants_room.set()
    assert not run.gives_room
    monkeypatch.setattr(module, "HOLD", 0.0)
    assert run.gives_room


def test_many_large_batches_beside_fill_the_process_sooner_than_small_ones(crowd, monkeypatch):
    """They are in memory: see `MOST_MESSAGES`."""
    monkeypatch.setattr(module, "MANY_ENDING", 2)
    for number in range(2):
        gate = threading.Event()
        crowd.gates.append(gate)
        run = Run(f"a{number}", Report(f"a:{number}"), 5000, leaves_room=lambda: True)
        assert not crowd.runs.start(run, gate.wait)

    def let_the_last_go() -> None:
        crowd.gates[-1].set()

    threading.Timer(0.3, let_the_last_go).start()
    assert crowd.start("b")[1], "the task waits with its batch"


def test_the_reports_of_what_ended_beside_are_handed_out_once(world):
    world.waiting = {"b"}
    run, _ = world.start("a")
    assert world.runs.finished() == []
    world.let_go()
    assert world.runs.news.wait(PATIENCE)
    assert world.runs.finished() == [run.report]
    assert world.runs.finished() == []


def test_what_fails_in_front_is_raised_and_what_fails_beside_is_logged(world, caplog):
    def fail():
        raise ValueError("no such luck")

    with pytest.raises(ValueError, match="luck"):
        world.runs.start(Run("a", Report("a:1")), fail)
    world.waiting, gate = {"b"}, threading.Event()

    def fail_late():
        gate.wait(PATIENCE)
        raise ValueError("no luck later")

    assert not world.runs.start(Run("a", Report("a:2")), fail_late)
    gate.set()
    assert world.runs.news.wait(PATIENCE)
    world.runs.end_all()
    eventually(lambda: "a:2, sent beside others, failed" in caplog.text)  # said after the end


def test_the_end_of_the_process_waits_for_what_is_begun(world):
    world.waiting = {"b"}
    run, _ = world.start("a")
    world.runs.end_all()
    assert run.ended.is_set()
    assert world.runs.finished() == [run.report]
