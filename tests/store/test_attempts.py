"""How long people wait for a Redis that stands still, and how many sockets threads keep open."""

import contextlib
import gc
import itertools
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
import redis
from redis.sentinel import MasterNotFoundError

from mailer.errors import LedgerUnavailableError
from mailer.store import Store
from mailer.store.connection import connect
from mailer.store.ledger import Fresh
from mailer.store.reach.attempts import Attempts
from tests.conftest import has_the_machine_to_itself
from tests.servers.redis_servers import eventually, redis_process

pytestmark = [
    pytest.mark.redis_server,
    # A thread's connection is closed as it is collected, which Python remarks upon.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_redis_that_stands_still_is_given_up_after_five_seconds(tmp_path: Path) -> None:
    with redis_process(tmp_path) as server:
        store = Store(connect(server.url))
        store.campaigns.names()
        server.process.send_signal(signal.SIGSTOP)
        began = monotonic()
        with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
            store.campaigns.names()

        assert 2 < monotonic() - began < (10 if has_the_machine_to_itself() else 60)


def between_masters(number: int) -> Callable[[], str]:
    """A call that fails *number* times: Sentinel names nobody, then the one that is deposed refuses."""
    failures = itertools.count()

    def call() -> str:
        if (failed := next(failures)) >= number:
            return "done"
        if failed % 2:
            raise redis.ReadOnlyError("READONLY You can't write against a read only replica.")
        raise MasterNotFoundError("No master found for 'main'")

    return call


def test_between_two_masters_a_person_waits_and_hears_for_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    behind_sentinel = Attempts(between=True)

    assert behind_sentinel.call_with_retry(between_masters(6), lambda _error: None) == "done"

    said = [record.getMessage() for record in caplog.records]
    assert [one.partition(":")[0] for one in said] == [
        "waiting for the next master",
        "Redis serves again",
    ]


def test_that_redis_answers_who_only_reads_does_not_end_the_waiting_of_who_writes(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with redis_process(tmp_path) as server:
        client = connect(server.url, lambda: not threading.Event().wait(0.01))
        client.ping()
        server.admin().config_set("maxmemory", "1")
        writer = threading.Thread(target=client.set, args=("key", "value"), daemon=True)
        writer.start()
        eventually(lambda: "waiting for Redis" in caplog.text)
        for _ in range(3):
            client.get("key")
        assert "serves again" not in caplog.text
        server.admin().config_set("maxmemory", "0")
        writer.join()

    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert said == ["waiting for Redis", "Redis serves again"]


def test_without_sentinel_a_redis_that_refuses_at_once_is_given_up_at_once() -> None:
    with pytest.raises(redis.ReadOnlyError):
        Attempts().call_with_retry(between_masters(6), lambda _error: None)


def test_threads_that_end_leave_no_socket_open(tmp_path: Path) -> None:
    with redis_process(tmp_path) as server:
        client = connect(server.url)
        store = Store(client)

        def call() -> None:
            store.ledger.reserve("c", 0, [Fresh(b"recipien", 7)])

        for _ in range(30):
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        gc.collect()

        watcher = server.admin()
        eventually(lambda: int(watcher.info("clients")["connected_clients"]) <= 4)


def test_clients_that_are_let_go_leave_no_socket_open(tmp_path: Path) -> None:
    with redis_process(tmp_path) as server:
        for _ in range(30):
            client = connect(server.url)
            Store(client).ledger.reserve("c", 0, [Fresh(b"recipien", 7)])
            client.close()
        del client
        gc.collect()

        watcher = server.admin()
        eventually(lambda: int(watcher.info("clients")["connected_clients"]) <= 4)


def test_a_script_that_an_administrator_kills_by_mistake_runs_again_for_a_worker(
    tmp_path: Path,
) -> None:
    """Who follows Redis's advice at BUSY may hit one of ours; it has written nothing then."""
    slow = "while redis.call('EXISTS', 'go') == 0 do end return 'done'"
    with redis_process(tmp_path, "busy-reply-threshold 20") as server:
        worker, answers = connect(server.url, lambda: True), []
        thread = threading.Thread(target=lambda: answers.append(worker.eval(slow, 0)))
        thread.start()
        admin, killed = server.admin(), []

        def is_over() -> bool:
            with contextlib.suppress(redis.RedisError):  # nobody is there to be killed
                killed.append(admin.script_kill())
            return bool(killed) and admin.set("go", "1")

        eventually(is_over)
        thread.join(20)

        assert answers == [b"done"]
