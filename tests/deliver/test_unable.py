"""What one worker cannot do: how long its batches wait for another, and when nobody can."""

import logging

import pytest

from mailer.deliver import unable as module
from mailer.deliver.unable import (
    FIRST_WAIT,
    LONGEST_WAIT,
    OTHERS_WAIT,
    SECRET_AFTER,
    Unable,
    UnableError,
)

AFTER = 300.0
MIDDLE = 0.5
"""The random number with which a wait is not moved at all: half of it, and half again."""


class Able:
    """Says since when no living worker could; the script itself is tested in tests/store/workers."""

    def __init__(self):
        self.lasted = 1.0
        self.told = []

    def could_not(self, subject, worker, _now):
        self.told.append((subject, worker))
        return self.lasted


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(module, "time", lambda: Clock.now)
    return Clock


@pytest.fixture
def able():
    return Able()


@pytest.fixture
def unable(able, clock):
    return Unable(able, "one", AFTER, lambda: MIDDLE)


ACCOUNT = UnableError("account:new", "the account new is not in mailer.toml")


def test_the_wait_doubles_with_each_failure_up_to_its_bound(unable, clock):
    waits = []
    for _ in range(10):
        waits.append(unable.give_back(ACCOUNT, "spring:1").wait)
        clock.now += 1000
    assert waits == [min(FIRST_WAIT * 2**step, LONGEST_WAIT) for step in range(10)]
    assert waits[-1] == LONGEST_WAIT


def test_batches_that_come_meanwhile_are_no_further_failures(unable, clock):
    first = unable.give_back(ACCOUNT, "spring:1")
    assert [unable.give_back(ACCOUNT, f"spring:{n}").wait for n in range(2, 50)] == [
        first.wait
    ] * 48


def test_until_it_is_time_again_nothing_of_it_is_tried(unable, clock):
    unable.check("account:new")
    wait = unable.give_back(ACCOUNT, "spring:1").wait
    with pytest.raises(UnableError, match="is tried again in"):
        unable.check("account:new")
    unable.check("account:other")
    # Sooner than its batches come back, so that the first of them finds it free.
    clock.now += wait / 2
    unable.check("account:new")


def test_what_it_could_do_after_all_waits_briefly_again(unable, clock):
    for _ in range(6):
        unable.give_back(ACCOUNT, "spring:1")
        clock.now += 1000
    unable.could("account:new")
    assert unable.give_back(ACCOUNT, "spring:1").wait == FIRST_WAIT
    unable.could("never heard of")


def test_where_another_worker_may_be_able_it_gets_the_batch_soon(unable, able, clock):
    able.lasted = 0.0
    for _ in range(8):
        handed = unable.give_back(ACCOUNT, "spring:1")
        clock.now += 1000
    assert (handed.wait, handed.is_hopeless) == (OTHERS_WAIT, False)


@pytest.mark.parametrize(
    ("subject", "lasted", "hopeless"),
    [
        ("account:new", 0.0, False),
        ("account:new", AFTER - 1, False),
        ("account:new", AFTER, True),
        # A vault that is sealed is opened again: a secret may be away for longer.
        ("secret:primary", AFTER, False),
        ("secret:primary", SECRET_AFTER - 1, False),
        ("secret:primary", SECRET_AFTER, True),
    ],
)
def test_what_nobody_could_for_so_long_is_nobody_s(unable, able, subject, lasted, hopeless):
    able.lasted = lasted
    assert unable.give_back(UnableError(subject, "why"), "spring:1").is_hopeless is hopeless
    assert able.told == [(subject, "one")]


@pytest.mark.parametrize("number", [0.0, 0.25, 0.999])
def test_waits_are_jittered_by_half_to_either_side(able, clock, number):
    handed = Unable(able, "one", AFTER, lambda: number).give_back(ACCOUNT, "spring:1")
    assert handed.wait == FIRST_WAIT * (0.5 + number)


def test_the_log_says_it_once_a_minute_for_each_subject(unable, clock, caplog):
    caplog.set_level(logging.WARNING)
    other = UnableError("secret:primary", "the file is not there")
    for _ in range(10):
        unable.give_back(ACCOUNT, "spring:1")
        unable.give_back(other, "spring:2")
        clock.now += 5.0
    assert len(caplog.records) == 2
    clock.now += 60.0
    unable.give_back(ACCOUNT, "spring:3")
    assert len(caplog.records) == 3
    assert "batch spring:3 waits for a worker that can: the account new" in caplog.text
    assert "after 300 s it goes to the dead letters" in caplog.text
    assert "after 3600 s it goes to the dead letters" in caplog.text
