"""Killed at every step of a message's way: before, in and after its final dot, around each script.

The mail server holds a session at the phase in question, or the proxy before Redis holds a script's call
or its reply; then somebody is killed, and everything must come out right.
"""

import itertools
import random

import pytest

from tests.chaos import assault
from tests.chaos.world import PATIENCE, Verdict, kill_host, script_needle

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

COUNT = 60

PHASES = ("greeting", "mail", "data", "content", "dot", "recorded", "replied")
VICTIMS = (assault.child, assault.host, assault.server, assault.network, assault.redis)

SCRIPTS = ("claim", "commit", "release")
HOLDERS = (assault.child, assault.host, assault.redis, assault.redis_connections)

PRODUCING = ("open", "reserve", "enqueue", "dispatch_take", "close")

SHORT = {
    ("enqueue", True),
    ("data", assault.network),
    ("content", assault.server),
    ("dot", assault.host),
    ("recorded", assault.child),
    ("recorded", assault.redis),
    ("claim", assault.child, False),
    ("commit", assault.host, True),
    ("release", assault.redis, True),
}


def steps(*axes):
    return [
        pytest.param(
            *step,
            marks=pytest.mark.chaos(long=step not in SHORT),
            id="-".join(_word(part) for part in step),
        )
        for step in itertools.product(*axes)
    ]


def _word(part):
    if isinstance(part, bool):
        return "after" if part else "before"
    return getattr(part, "__name__", part)


def begin(world):
    """A campaign under way with one worker; returns the list of workers."""
    producer = world.start_producer(COUNT)
    workers = [world.start_worker()]
    assert producer.wait(PATIENCE) == 0, world.words()
    return workers


def connections(world):
    return len(world.events("connected"))


@pytest.mark.parametrize(("phase", "victim"), steps(PHASES, VICTIMS))
def test_killed_in_a_transaction(world, phase, victim):
    world.wish({"hold": phase, "skip": 0 if phase == "greeting" else 11})
    workers = begin(world)
    assert world.wish({"await": PATIENCE}), world.words()
    open_then = connections(world)
    victim(world, workers, random.Random(phase))
    world.wish({"release": True})
    Verdict(world, COUNT).is_once(at_most_uncertain=open_then)


@pytest.mark.parametrize(("script", "victim", "after"), steps(SCRIPTS, HOLDERS, (False, True)))
def test_killed_around_a_step_of_the_ledger(world, script, victim, after):
    trap = world.redis_proxy.trap(script_needle(script), skip=2, after=after)
    workers = begin(world)
    assert trap.sprung.wait(PATIENCE), world.words()
    open_then = connections(world)
    victim(world, workers, random.Random(script))
    trap.released.set()
    Verdict(world, COUNT).is_once(at_most_uncertain=open_then)


@pytest.mark.parametrize(("script", "after"), steps(PRODUCING, (False, True)))
def test_a_producer_killed_anywhere_goes_on_when_it_is_run_again(world, script, after):
    several = ("reserve", "enqueue", "dispatch_take")
    trap = world.redis_proxy.trap(
        script_needle(script), skip=1 if script in several else 0, after=after
    )
    producer = world.start_producer(COUNT)
    assert trap.sprung.wait(PATIENCE), world.words()
    kill_host(producer)
    trap.released.set()
    world.enqueue(COUNT)
    world.start_worker()
    Verdict(world, COUNT).is_once(at_most_uncertain=0)
