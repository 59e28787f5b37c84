"""Deferred recipients wait in Redis, not in workers, and are tried again with growing delays."""

from itertools import pairwise

import pytest

from tests.chaos.world import Verdict, World, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

LATER = "451 4.7.1 greylisted, try again later"


def test_who_is_deferred_waits_in_redis_and_is_tried_again_with_growing_delays(world):
    world.wish({"answer": ["RCPT", "r3@", LATER, 3]})
    world.start_worker()
    world.enqueue(20)
    broker = world.broker_client()

    def waits_in_redis():
        """Seen in one of the waits: between two of them its batch is with the worker."""
        return (
            world.outcomes() == {"accepted": 19, "deferred": 1}
            and not world.unacknowledged()
            and broker.llen("mailer.bulk") == 0
            and world.client.zcard("mailer:timers") == 1
        )

    wait_until(waits_in_redis, what="a deferral")
    verdict = Verdict(world, 20)
    verdict.is_once(at_most_uncertain=0)
    assert verdict.outcomes == {"accepted": 20}
    tries = [event["at"] for event in world.events("refused", "accepted") if "r3@" in event["to"]]
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert len(waits) == 3
    assert waits[0] >= 0.4
    assert waits[1] >= 0.8
    assert waits[2] >= 1.6


def test_who_is_deferred_for_too_long_becomes_a_dead_letter(tmp_path):
    with World(tmp_path / "world", give_up_after=2) as world:
        world.wish({"answer": ["RCPT", "r3@", LATER, 99]})
        world.start_worker()
        world.enqueue(20)
        verdict = Verdict(world, 20)
        verdict.is_once(at_most_uncertain=0)
        assert verdict.outcomes == {"accepted": 19, "dead": 1}
        (dead,) = world.dead_letters()
        assert dead.reason == "exhausted"
        assert dead.said.reply.startswith("451 4.7.1")
