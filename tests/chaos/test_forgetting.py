"""Killed while a campaign is being forgotten: the next one goes on, and nothing else is touched."""

import itertools
import sys

import pytest

from mailer.store import keys
from tests.chaos.world import PATIENCE, Verdict, World, kill_host, script_needle, wait_until

pytestmark = [pytest.mark.chaos(long=True), pytest.mark.timeout(600)]

COUNT = 45

UNLINK = b"UNLINK"

STEPS = [
    (needle, skip, after)
    for (needle, skip), after in itertools.product(
        [("forget", 0), ("forget_batches", 0), (UNLINK, 0), (UNLINK, 3), (UNLINK, 8)], [False, True]
    )
]


def needle_of(step):
    return step if isinstance(step, bytes) else script_needle(step)


def of_campaign(world, name):
    """Every key that a campaign still has."""
    return [key for key in world.client.keys("mailer:*") if name in key.decode().split(":")]


def forget(world, *words):
    return world._start(sys.executable, "-m", "mailer", "forget", *words, "--yes", log="forget.log")


def said(world):
    return (world.folder / "forget.log").read_text()


def is_read(world):
    """Whether the history has all events: before that nothing is forgotten."""
    return not world.client.xlen(keys.EVENTS)


def kept_counts(world):
    return {name: int(number) for name, number in world.client.hgetall(keys.LEFT).items()}


def test_a_command_that_is_killed_anywhere_in_forgetting_is_finished_by_the_next(tmp_path):
    with World(tmp_path / "world") as world:
        worker = world.start_worker(concurrency=2)
        names = [f"c{number}" for number in range(len(STEPS))]
        for name in (*names, "stays"):
            world.enqueue(COUNT, name)
        for name in (*names, "stays"):
            world.settled(COUNT, name)
        wait_until(lambda: is_read(world), what="the history to have read all")
        kill_host(worker)
        for number, (name, (needle, skip, after)) in enumerate(zip(names, STEPS, strict=True)):
            trap = world.redis_proxy.trap(needle_of(needle), skip=skip, after=after)
            command = forget(world, name)
            assert trap.sprung.wait(PATIENCE), said(world)
            kill_host(command)
            trap.released.set()
            again = forget(world, name)
            assert again.wait(PATIENCE) == 0, said(world)
            wait_until(lambda name=name: not of_campaign(world, name), what=f"{name} to go")
            assert world.client.zscore(keys.FORGOTTEN, name) is not None
            assert not world.client.smembers(keys.FORGETTING)
            assert kept_counts(world) == {b"a:primary": COUNT * (number + 1)}
        assert world.outcomes("stays") == {"accepted": COUNT}
        assert [one.outcome for one in world.recorded("c0")] == ["accepted"] * COUNT


def test_a_worker_that_is_killed_while_it_forgets_leaves_the_rest_to_the_next(tmp_path):
    world = World(tmp_path / "world")
    world.extra = '[retention]\nledger = "1s"\nreplies = "1s"\n'
    with world:
        # Its turn comes once a minute; here it comes at once, and when the campaign is over.
        world.client.set(keys.lock("retention"), "held")
        workers = [world.start_worker()]
        world.enqueue(COUNT)
        Verdict(world, COUNT).is_once(at_most_uncertain=0)
        wait_until(lambda: is_read(world), what="the history to have read all")
        trap = world.redis_proxy.trap(UNLINK, skip=2, after=True)

        def turn():
            world.client.delete(keys.lock("retention"))
            return trap.sprung.wait(1)

        wait_until(turn, 120, "a worker that forgets")
        assert world.client.smembers(keys.FORGETTING) == {b"spring"}
        kill_host(workers.pop())
        trap.released.set()
        world.client.delete(keys.lock("retention"))
        world.start_worker()
        wait_until(lambda: not of_campaign(world, "spring"), 120, "spring to go")
        assert not world.client.smembers(keys.FORGETTING)
        assert kept_counts(world) == {b"a:primary": COUNT}
