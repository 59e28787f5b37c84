"""Anything killed at any time, several times over: the outcome is always the same."""

import random

import pytest

from tests.chaos import assault, guarded
from tests.chaos.guarded import GuardedWorld
from tests.chaos.world import PATIENCE, Verdict, World, kill_host, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_whatever_is_killed_whenever_nobody_is_lost_or_mailed_twice(seed, tmp_path):
    print(f"seed {seed}: pytest tests/chaos/test_random.py --seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    on_uncertain = rng.choice(["hold", "resend"])
    settings = {"batch_size": rng.choice([1, 7, 20, 50]), "connections": rng.choice([3, 20])}
    count = rng.randrange(30, 40 + 20 * min(settings["batch_size"], 8))
    kind, known = rng.choice([(World, assault.ALL)] * 3 + [(GuardedWorld, guarded.ALL)])
    with kind(tmp_path / "world", tells=seed % 2 == 0, **settings) as world:
        world.wish({"delay": rng.choice([0, 0.005, 0.02])})
        workers = [world.start_worker(concurrency=rng.choice([1, 2]))]
        enqueue(world, count, on_uncertain, rng)
        assaults = [rng.choice(known) for _ in range(rng.randrange(1, 5))]
        print(kind.__name__, count, on_uncertain, settings, [one.__name__ for one in assaults])  # noqa: T201
        in_doubt = 0
        for number, one in zip(
            sorted(rng.randrange(count) for _ in assaults), assaults, strict=True
        ):
            assault.after_accepted(world, number)
            in_doubt += settings["connections"]
            one(world, workers, rng)
        verdict = Verdict(world, count)
        if on_uncertain == "hold":
            verdict.is_once(at_most_uncertain=in_doubt)
        else:
            verdict.is_complete(at_most_twice=in_doubt)


def enqueue(world, count, on_uncertain, rng):
    """Enqueue, killed in the middle once or twice: run again, the producer goes on."""
    for _ in range(rng.choice([0, 0, 1, 2])):
        producer = world.start_producer(count, on_uncertain=on_uncertain)
        some = rng.randrange(count)
        wait_until(lambda some=some: _total(world) >= some, what="some enqueued")
        kill_host(producer)
    producer = world.start_producer(count, on_uncertain=on_uncertain)
    assert producer.wait(PATIENCE) == 0, world.words()


def _total(world):
    return int(world.client.hget("mailer:campaign:spring", "next") or 0)
