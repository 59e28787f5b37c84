"""Real Redis servers as people run them: over TLS, on a socket, with users, full, behind Sentinel."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.conftest import free_port
from tests.servers import waiting
from tests.servers.waiting import PATIENCE


class RedisProcess:
    """One ``redis-server`` (or Sentinel), listening on loopback, in *folder*."""

    def __init__(self, folder: Path, *settings: str, port: int = 0, sentinel: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, port or free_port()
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", *settings]
        config = folder / "redis.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._words = ["redis-sentinel" if sentinel else "redis-server", str(config)]
        self._log = (folder / "log").open("wb")
        self.process: subprocess.Popen[bytes] | None = None
        self.again()

    def again(self) -> None:
        """Start it, with what Sentinel may have written into its configuration since."""
        if self.process is not None:
            self.process.wait(10)  # it was killed
        self.process = subprocess.Popen(self._words, stdout=self._log, stderr=self._log)

    @property
    def url(self) -> str:
        """Its plain address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def admin(self, **options: object) -> redis.Redis:
        """A client of redis-py's own."""
        return redis.Redis(port=self.port, socket_timeout=5, **options)  # type: ignore[arg-type]

    def wait(self, **options: object) -> "RedisProcess":
        """Wait until it answers; fails at once where it has ended, with its last words."""
        eventually(lambda: self._lives() and self.admin(**options).ping())
        return self

    def _lives(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-500:]
        return True

    def stop(self) -> None:
        """End it; also one that was stopped by a signal."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(10)
        self._log.close()


def eventually(condition: Callable[[], object], within: float = PATIENCE) -> None:
    """Wait until *condition* holds; errors of Redis count as no."""
    waiting.eventually(condition, within, no=(redis.RedisError, OSError))


@contextmanager
def redis_process(folder: Path, *settings: str, **options: object) -> Iterator[RedisProcess]:
    """A server for the length of a block; *options* are what its administrator needs to log in."""
    server = RedisProcess(folder, *settings)
    try:
        yield server.wait(**options)
    finally:
        server.stop()


@dataclass
class Replicated:
    """A master with *replicas*, and a Sentinel that watches over them."""

    servers: list[RedisProcess]
    sentinel: RedisProcess

    @property
    def url(self) -> str:
        """The address by Sentinel."""
        return f"sentinel://127.0.0.1:{self.sentinel.port}/main/0"

    def master(self) -> RedisProcess:
        """Whom Sentinel names as master."""
        found = self.sentinel.admin(decode_responses=True).execute_command(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"
        )
        return next(server for server in self.servers if server.port == int(found[1]))

    def fail_over(self) -> None:
        """Depose the master by command."""
        self.sentinel.admin().execute_command("SENTINEL", "FAILOVER", "main")

    def is_whole(self) -> bool:
        """Whether Sentinel and the master know of each replica."""
        known = self.sentinel.admin(decode_responses=True).sentinel_slaves("main")
        healthy = [
            one for one in known if not {"s_down", "disconnected"} & set(one["flags"].split(","))
        ]
        master = self.master().admin().info("replication")
        good = sum(1 for n in range(9) if master.get(f"slave{n}", {}).get("state") == "online")
        return len(healthy) == good == len(self.servers) - 1


@contextmanager
def replicated(folder: Path, replicas: int = 1, *settings: str) -> Iterator[Replicated]:
    """A master, its replicas and a Sentinel that takes it for dead after a second."""
    with ExitStack() as stack:
        common = ("appendonly yes", "repl-diskless-sync-delay 0", *settings)
        master = stack.enter_context(redis_process(folder / "0", *common))
        servers = [master]
        for number in range(1, replicas + 1):
            of = f"replicaof 127.0.0.1 {master.port}"
            servers.append(stack.enter_context(redis_process(folder / str(number), *common, of)))
        sentinel = RedisProcess(
            folder / "sentinel",
            f"sentinel monitor main 127.0.0.1 {master.port} 1",
            "sentinel down-after-milliseconds main 1000",
            "sentinel failover-timeout main 5000",
            sentinel=True,
        )
        stack.callback(sentinel.stop)
        sentinel.wait()
        found = Replicated(servers, sentinel)
        eventually(found.is_whole)
        yield found
