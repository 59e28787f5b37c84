"""What the broker does to task messages changes nothing: late, twice, lost, or not at all."""

import signal

import pytest

from tests.chaos.assault import elapse
from tests.chaos.world import PATIENCE, Verdict, World, kill_host, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

REDELIVERY = """
broker_transport_options = {
    "visibility_timeout": 1,
    "unacked_restore_interval": 0.5,
    "unacked_restore_throttle": 1,
}
"""

COUNT = 60


def test_a_task_message_that_comes_again_while_its_batch_is_being_sent_sends_nothing(world):
    world.wish({"hold": "content"})
    world.configure_celery(REDELIVERY)
    world.start_worker(concurrency=2)
    world.start_worker(concurrency=2)
    world.enqueue(COUNT)
    wait_until(
        lambda: "nothing to do: busy" in (world.folder / "worker.log").read_text(),
        what="the task message of the batch whose session is held",
    )
    world.wish({"release": True})
    Verdict(world, COUNT).is_once(at_most_uncertain=0)


def test_a_redis_that_stands_still_costs_nothing(world):
    """Longer than a lease: whoever held one goes on with it."""
    world.wish({"delay": 0.1})
    world.start_worker()
    world.enqueue(COUNT)
    wait_until(lambda: len(world.events("accepted")) > 5, what="a campaign under way")
    world.redis.send_signal(signal.SIGSTOP)
    elapse(3)
    world.redis.send_signal(signal.SIGCONT)
    Verdict(world, COUNT).is_once(at_most_uncertain=5)


def test_a_connection_for_broadcasts_that_breaks_while_redis_lives_costs_nothing(world):
    """What comes back at once is the worst: nobody notices that it was away."""
    world.wish({"delay": 0.1})
    world.start_worker()
    world.enqueue(COUNT)
    wait_until(lambda: len(world.events("accepted")) > 5, what="a campaign under way")
    broken = world.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    assert broken > 0
    Verdict(world, COUNT).is_once(at_most_uncertain=0)


def test_lost_task_messages_are_found(world):
    world.enqueue(COUNT)
    assert world.broker_client().delete("mailer.bulk")
    world.start_worker()
    Verdict(world, COUNT).is_once(at_most_uncertain=0)


@pytest.mark.chaos(long=True)
def test_a_minute_without_redis_is_survived(world):
    world.wish({"delay": 0.1})
    worker = world.start_worker()
    world.enqueue(COUNT)
    wait_until(lambda: len(world.events("accepted")) > 5, what="a campaign under way")
    kill_host(world.redis)
    elapse(60)
    world.start_redis()
    Verdict(world, COUNT).is_once(at_most_uncertain=5)
    assert worker.poll() is None


@pytest.mark.chaos(long=True)
def test_a_dead_host_is_replaced_within_half_a_minute_by_default(tmp_path):
    defaults = {"lease": 15, "sweep_every": 3, "requeue_after": 20, "poison_after": 3}
    with World(tmp_path / "world", **defaults) as world:
        world.wish({"hold": "content", "skip": 30})
        first = world.start_worker()
        world.enqueue(COUNT)
        assert world.wish({"await": PATIENCE})
        second = world.start_worker()
        wait_until(lambda: "ready" in (world.folder / "worker.log").read_text()[-300:], what="it")
        kill_host(first)
        world.wish({"release": True})
        Verdict(world, COUNT).is_once(at_most_uncertain=20)
        assert second.poll() is None


@pytest.mark.chaos(long=True)
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_that_cannot_reach_redis_ends_when_it_is_asked_to(world, pool):
    """With outcomes in hand that it cannot write down: those are uncertain."""
    world.wish({"delay": 0.3})
    worker = world.start_worker(pool)
    world.enqueue(COUNT)
    wait_until(lambda: len(world.events("accepted")) > 5, what="a campaign under way")
    kill_host(world.redis)
    elapse(1)
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    world.start_redis()
    world.wish({"delay": 0})
    world.start_worker(pool)
    Verdict(world, COUNT).is_once(at_most_uncertain=5)
