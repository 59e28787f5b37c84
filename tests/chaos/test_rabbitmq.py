"""The broker may be another: the ledger stays in Redis, the task messages go through RabbitMQ."""

import random

import pytest

from tests.chaos import assault
from tests.chaos.rabbit import Rabbit, is_installed
from tests.chaos.world import PATIENCE, Verdict, World

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.rabbitmq,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not is_installed(), reason="wants RabbitMQ (apt-get install rabbitmq-server)"
    ),
]


def test_killing_host_child_redis_and_rabbitmq_loses_and_doubles_nothing(tmp_path):
    rng = random.Random(7)
    with (
        Rabbit(tmp_path / "rabbit") as rabbit,
        World(tmp_path / "world", broker=rabbit.url) as world,
    ):
        world.wish({"delay": 0.02})
        workers = [world.start_worker(concurrency=2)]
        producer = world.start_producer(240)
        assert producer.wait(PATIENCE) == 0, world.words()
        assault.after_accepted(world, 20)
        assault.host(world, workers, rng)
        assault.after_accepted(world, 80)
        rabbit.kill()
        assault.elapse(1)
        rabbit.start()
        assault.after_accepted(world, 140)
        assault.child(world, workers, rng)
        assault.redis(world, workers, rng)
        Verdict(world, 240).is_once(at_most_uncertain=60)
