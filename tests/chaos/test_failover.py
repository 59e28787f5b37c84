"""Sentinel makes another server master in mid-campaign: nobody is lost or doubled, workers go on."""

import signal
import threading
import time
from collections import Counter

import pytest

from tests.conftest import has_the_machine_to_itself
from tests.servers.cluster import Cluster
from tests.servers.redis_servers import Replicated, replicated
from tests.servers.scripted import ANY, ScriptedServer
from tests.servers.waiting import PATIENCE, eventually

pytestmark = [
    pytest.mark.redis_server,
    pytest.mark.chaos,
    pytest.mark.timeout(600),
    # Connections that are cut while they are read.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

AT_ONCE = 15.0 if has_the_machine_to_itself() else PATIENCE
"""Seconds within which both workers must have taken new work."""

BATCH, CONNECTIONS, STANDS_STILL = 25, 8, 8.0


def by_command(found: Replicated) -> None:
    found.fail_over()


def killed(found: Replicated) -> None:
    found.master().process.kill()


def stands_still(found: Replicated) -> None:
    process = found.master().process
    process.send_signal(signal.SIGSTOP)
    threading.Timer(STANDS_STILL, process.send_signal, (signal.SIGCONT,)).start()


def cases():
    """One of them small in the default run; each of them whole with --long."""
    for strict in (False, True):
        for hit in (by_command, killed, stands_still):
            name = f"{hit.__name__}, {'min-replicas-to-write' if strict else 'no minimum'}"
            yield pytest.param(hit, strict, 1_500, id=name, marks=pytest.mark.chaos(long=True))
    yield pytest.param(stands_still, False, 400, id="stands still, small")


@pytest.mark.parametrize(("hit", "strict", "count"), list(cases()))
def test_workers_go_on_at_the_next_master(tmp_path, hit, strict, count) -> None:
    settings = ("min-replicas-to-write 1",) if strict else ()
    with (
        ScriptedServer({"primary": "right"}) as smtp,
        replicated(tmp_path / "redis", 2, *settings) as found,
    ):
        smtp.delays[ANY] = 0.03
        both = threading.Event()

        def leave_some(_connection, line: str) -> None:
            """The last quarter waits until both have new work: else one might have taken it all."""
            if int(line.partition("spring-")[2].partition("@")[0]) >= count * 3 / 4:
                both.wait(PATIENCE)

        smtp.answer("RCPT", leave_some)
        cluster = Cluster(tmp_path, found.url, smtp.port, primary="right")
        try:
            workers = {name: cluster.start(name) for name in ("one", "two")}
            cluster.enqueue("spring", "primary", count, BATCH)
            eventually(lambda: len(smtp.mailboxes("primary")) >= count / 10)
            before = found.master()
            hit(found)
            began = time.monotonic()
            eventually(lambda: found.master() is not before)
            deposed = {name: received(cluster, name) for name in workers}
            eventually(
                lambda: all(received(cluster, name) > deposed[name] for name in workers),
                within=AT_ONCE - (time.monotonic() - began),
            )
            both.set()
            print(f"both took new work after {time.monotonic() - began:.1f} s")  # noqa: T201
            eventually(lambda: cluster.final("spring"))

            assert [worker.poll() for worker in workers.values()] == [None, None]
            assert cluster.outcomes("spring") == {"accepted": count}
            times = Counter(smtp.mailboxes("primary"))
            assert len(times) == count
            # Without a minimum, a master that has lost its replicas takes notes that are lost.
            most = 0 if strict else CONNECTIONS
            assert times.total() - count <= most
        finally:
            cluster.close()


def received(cluster: Cluster, name: str) -> int:
    """How many tasks that worker has taken."""
    return (cluster.folder / f"{name}.log").read_text().count("] received")
