"""Does the broker answer: asked before a list is queued, over a connection that may have lain idle."""

import pytest

from mailer.errors import BrokerUnavailableError
from mailer.queues.application import application
from mailer.queues.broker import Broker
from tests.chaos.rabbit import Rabbit, is_installed
from tests.conftest import free_port


def test_a_connection_that_broke_while_it_lay_idle_is_no_broker_that_is_away(client, redis_url):
    broker = Broker(application(redis_url))
    broker.check()
    client.client_kill_filter(_type="normal", skipme=True)
    broker.check()


@pytest.mark.rabbitmq
@pytest.mark.skipif(not is_installed(), reason="wants RabbitMQ (apt-get install rabbitmq-server)")
def test_nor_is_a_rabbitmq_that_was_started_again(tmp_path):
    with Rabbit(tmp_path / "rabbit") as rabbit:
        broker = Broker(application(rabbit.url))
        broker.check()
        rabbit.kill()
        rabbit.start()
        broker.check()
        with broker._own.connection() as connection:
            pass
        connection.release()


def test_a_broker_that_is_away_is_said():
    with pytest.raises(BrokerUnavailableError, match="cannot be reached"):
        Broker(application(f"redis://127.0.0.1:{free_port()}/0")).check()
