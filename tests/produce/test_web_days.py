"""What a web application meets: Redis restarted or full, loops in threads, servers that preload."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

import mailer
from mailer import asend, send
from mailer.config import Settings
from mailer.errors import LedgerUnavailableError, RedisRefusesError
from mailer.local.binary import server_binary
from tests.conftest import free_port
from tests.servers.shop import template
from tests.servers.waiting import eventually

GIVEN = {"to": "ada@example.org", "context": {"name": "Ada"}}


class Server:
    """A Redis of the test's own, to be killed and started again on what it wrote."""

    def __init__(self, folder, *options):
        self.folder, self.port, self.options = folder, free_port(), options
        folder.mkdir(exist_ok=True)
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self):
        return redis.Redis(port=self.port)

    def start(self):
        words = [str(server_binary()), "--port", str(self.port), "--dir", str(self.folder)]
        words += ["--appendonly", "yes", "--appendfsync", "always", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)

        def answers():
            with contextlib.suppress(redis.ConnectionError, redis.BusyLoadingError):
                return self.client().ping()

        eventually(answers)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "redis")
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def settings(server, tmp_path):
    folder = template(tmp_path, "Hello {{ name }}", "Dear {{ name }}")
    made = Settings(redis=server.url, templates=folder, sender="Shop <news@shop.example>")
    mailer.configure(made)
    yield made
    mailer.configure(None)


def queued(server):
    with server.client() as client:
        return client.llen("mailer.priority"), len(client.keys("mailer:payload:*"))


def test_a_key_outlives_a_redis_that_was_killed(server):
    first = send("hello", **GIVEN, key="k")
    server.kill()
    with pytest.raises(LedgerUnavailableError):
        send("hello", **GIVEN, key="k")
    server.start()
    assert send("hello", **GIVEN, key="k") == first
    assert queued(server) == (1, 1)


def test_a_redis_that_was_restarted_between_requests_costs_none_of_them(server):
    for round_ in range(3):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: send("hello", **GIVEN), range(16)))
        if round_ < 2:
            server.kill()
            server.start()
    assert queued(server) == (48, 48)


def test_a_full_redis_says_so_and_nothing_is_queued(server):
    send("hello", **GIVEN)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(RedisRefusesError, match="memory"):
            send("hello", **GIVEN)
        client.config_set("maxmemory", "0")
    send("hello", **GIVEN)
    assert queued(server) == (2, 2)


def test_a_broker_that_is_full_fails_no_request(server, settings, tmp_path):
    """Its queue cannot be written; the ledger has the message, and a worker's sweep finds it."""
    broker = Server(tmp_path / "broker", "--maxmemory", "1")
    try:
        apart = settings.model_copy(update={"broker": broker.url})
        assert send("hello", **GIVEN, settings=apart)
        with broker.client() as client:
            assert client.llen("mailer.priority") == 0
        assert queued(server) == (0, 1)
    finally:
        broker.kill()


def test_event_loops_in_several_threads(server):
    """As ASGI servers with a loop a thread run them."""

    async def requests():
        return await asyncio.gather(*(asend("hello", **GIVEN) for _ in range(25)))

    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(lambda _: asyncio.run(requests()), range(8)))
    assert len({one for made in rounds for one in made}) == 200
    assert queued(server) == (200, 200)


def test_a_cancelled_request_leaves_the_producer_whole(server):
    async def story():
        for _ in range(20):
            task = asyncio.create_task(asend("hello", **GIVEN))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return await asend("hello", **GIVEN)

    assert asyncio.run(story())
    ringing, payloads = queued(server)
    assert ringing == payloads >= 1


def test_a_server_that_preloads_and_forks_workers_with_threads(server, settings):
    """As gunicorn --preload --threads and uwsgi do: sent at import, by children, by their threads."""
    code = f"""
        import os, sys, threading
        from pathlib import Path
        import mailer
        mailer.configure(mailer.Settings(redis={settings.redis!r},
            templates=Path({str(settings.templates)!r}), sender="n@shop.example"))
        def call():
            mailer.send("hello", to="ada@example.org", context={{"name": "Ada"}})
        def threads(number):
            some = [threading.Thread(target=call) for _ in range(number)]
            [one.start() for one in some]; [one.join() for one in some]
        call(); threads(4)
        children = []
        for _ in range(3):
            child = os.fork()
            if not child:
                threads(8)
                grandchild = os.fork()
                if not grandchild:
                    threads(2)
                    os._exit(0)
                os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
            children.append(child)
        threads(4)
        sys.exit(any(os.waitpid(child, 0)[1] for child in children))
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert queued(server) == (39, 39)


def test_settings_that_change_while_requests_are_served(server, settings, tmp_path):
    """`configure` and `reload` between and during calls: each is sent by the one or the other."""
    other = settings.model_copy(update={"sender": "Other <other@shop.example>"})
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for made in (other, settings):
                mailer.configure(made)
                mailer.reload()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(lambda _: send("hello", **GIVEN), range(200)))) == 200
    finally:
        stop.set()
        thread.join()
    assert queued(server) == (200, 200)
