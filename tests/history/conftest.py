"""Real databases: a file, and Debian's PostgreSQL, started once for the test process."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailer.history import History, open_history
from tests.conftest import free_port


class Postgres:
    """A server of the tests' own, in a folder of its own, on loopback; it can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.bin = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        if os.getuid() != 0:
            self._as = []
        else:
            shutil.chown(folder, "postgres", "postgres")
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "mailer", "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://mailer@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        log = str(self.folder / "log")
        data = str(self.folder / "data")
        self._run("pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*self._as, str(self.bin / program), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL,
            cwd="/",
            check=False,
        )
        assert done.returncode == 0, (done.stdout or b"").decode()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A running PostgreSQL; its folder is one that its unprivileged user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="mailer-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """The URL of an empty database."""
    import psycopg  # noqa: PLC0415 - only where the server is asked for

    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS mailer WITH (FORCE)")
        connection.execute("CREATE DATABASE mailer")
    return postgres_server.url.replace("/postgres", "/mailer")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    """An empty history, in each of the databases."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/history.sqlite"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = open_history(url)
    opened.upgrade()
    yield opened
    opened.close()
