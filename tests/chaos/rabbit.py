"""A RabbitMQ of one's own: on loopback, in a folder, gone afterwards."""

import contextlib
import os
import shutil
from pathlib import Path

import amqp

from tests.chaos.world import kill_host, spawn, wait_until
from tests.conftest import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

CONFIG = """
loopback_users = none
disk_free_limit.absolute = 1MB
"""


def is_installed():
    return SERVER.exists() and shutil.which("epmd") is not None


class Rabbit:
    """The server as a context manager; `url` is what Celery connects to."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._port, self._names, self._peers = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self._running = []

    def __enter__(self):
        self._folder.mkdir()
        (self._folder / "rabbitmq.conf").write_text(CONFIG)
        (self._folder / "plugins").write_text("[].")
        self._start("epmd", "-port", str(self._names), "-address", "127.0.0.1")
        self.start()
        return self

    def __exit__(self, *_exc):
        for process in self._running:
            kill_host(process)

    def start(self):
        self._server = self._start(str(SERVER))
        wait_until(self._answers, 60, "RabbitMQ")

    def kill(self):
        """``kill -9``; its durable queues stay."""
        kill_host(self._server)

    def _start(self, *words):
        process = spawn(words, self._folder, "log", self._environment())
        self._running.append(process)
        return process

    def _environment(self):
        here = str(self._folder)
        return {
            "PATH": os.environ["PATH"],
            "HOME": here,
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"chaos{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._peers),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
            "RABBITMQ_MNESIA_BASE": f"{here}/data",
            "RABBITMQ_LOG_BASE": f"{here}/logs",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/plugins",
        }

    def _answers(self):
        with (
            contextlib.suppress(OSError, amqp.exceptions.AMQPError),
            amqp.Connection(f"127.0.0.1:{self._port}", "guest", "guest", connect_timeout=2),
        ):
            return True
