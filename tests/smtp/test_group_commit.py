"""When a note is written: the rhythm alone, with a clock that a test turns."""

import pytest

from mailer.smtp.group_commit import HEARTBEAT, LONGEST, PATIENCE, GroupCommit
from mailer.smtp.interfaces import Proceed


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Journal:
    """Takes *cost* seconds for each note."""

    def __init__(self, clock, cost=0.0, proceed=Proceed.GO_ON):
        self.clock, self.cost, self.proceed = clock, cost, proceed
        self.notes = []

    def commit(self, results, starting):
        self.notes.append((tuple(results), tuple(starting)))
        self.clock.now += self.cost
        return self.proceed


@pytest.fixture
def clock():
    return Clock()


def made(clock, cost=0.0, notes=0, proceed=Proceed.GO_ON):
    """A rhythm that has written so many *notes*, each of that *cost*."""
    rhythm = GroupCommit(Journal(clock, cost, proceed), clock)
    for number in range(notes):
        rhythm.commit((), (number,))
    return rhythm


def test_a_session_alone_never_waits(clock):
    assert made(clock, cost=1.0, notes=5).is_due(clock.now, has_something=True, others=0)


def test_without_a_note_that_cost_something_nobody_waits(clock):
    assert made(clock).is_due(clock.now, has_something=True, others=50)


@pytest.mark.parametrize(
    ("cost", "waits"),
    [(0.0001, 0.0001 * PATIENCE), (0.0004, 0.0004 * PATIENCE), (0.01, LONGEST), (5.0, LONGEST)],
)
def test_others_are_waited_for_as_long_as_notes_cost_and_a_millisecond_at_most(clock, cost, waits):
    rhythm = made(clock, cost, notes=60)
    began = clock.now
    assert not rhythm.is_due(began, has_something=True, others=3)
    assert rhythm.next_time() == pytest.approx(began + waits, abs=1e-7)
    assert not rhythm.is_due(began + waits * 0.9, has_something=True, others=3)
    assert rhythm.is_due(began + waits * 1.01, has_something=True, others=3)


def test_the_wait_does_not_begin_anew_with_each_that_comes(clock):
    rhythm = made(clock, cost=1.0, notes=20)
    began = clock.now
    for step in range(10):
        assert not rhythm.is_due(began + LONGEST * step / 10, has_something=True, others=9)
    assert rhythm.is_due(began + LONGEST * 1.001, has_something=True, others=9)


def test_once_the_others_have_spoken_it_is_due(clock):
    rhythm = made(clock, cost=1.0, notes=20)
    assert not rhythm.is_due(clock.now, has_something=True, others=1)
    assert rhythm.is_due(clock.now, has_something=True, others=0)


def test_a_note_ends_the_wait_and_the_next_one_waits_anew(clock):
    rhythm = made(clock, cost=1.0, notes=20)
    rhythm.is_due(clock.now, has_something=True, others=1)
    rhythm.commit((), (7,))
    assert rhythm.next_time() == clock.now + HEARTBEAT
    assert not rhythm.is_due(clock.now, has_something=True, others=1)


@pytest.mark.parametrize(("since", "due"), [(0.0, False), (0.99, False), (1.0, True), (9.0, True)])
def test_with_nothing_to_say_there_is_a_heartbeat(clock, since, due):
    rhythm = made(clock, notes=1)
    assert rhythm.is_due(clock.now + since * HEARTBEAT, has_something=False, others=5) is due


def test_the_heartbeat_counts_from_the_end_of_a_note_that_took_long(clock):
    rhythm = made(clock, cost=30.0, notes=1)
    assert not rhythm.is_due(clock.now, has_something=False, others=0)
    assert rhythm.next_time() == clock.now + HEARTBEAT


def test_one_slow_note_is_not_the_measure_of_the_next_hundred(clock):
    journal = Journal(clock, cost=0.0004)
    rhythm = GroupCommit(journal, clock)
    rhythm.commit((), ())
    journal.cost = 0.00001
    for _ in range(100):
        rhythm.commit((), ())
    began = clock.now
    rhythm.is_due(began, has_something=True, others=1)
    assert rhythm.next_time() - began < 0.0001


@pytest.mark.parametrize("proceed", Proceed)
def test_what_the_journal_says_is_passed_on(clock, proceed):
    rhythm = made(clock, proceed=proceed)
    assert rhythm.commit([], [1, 2]) is proceed


def test_a_journal_that_raises_is_heard(clock):
    class Broken:
        def commit(self, _results, _starting):
            raise RuntimeError("lease lost")

    with pytest.raises(RuntimeError, match="lease lost"):
        GroupCommit(Broken(), clock).commit((), (1,))
