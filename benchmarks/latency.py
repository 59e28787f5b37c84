"""How long a single message takes, from `send()` to the server's yes: idle, and beside a campaign.

    python benchmarks/latency.py [--calls 100] [--every 0.2] [--recipients 100000] [--json]

A worker with two processes, a Redis with an append-only file, a receiver on loopback that notes when it
takes a message. *idle*: nothing else is sent. *beside*: a campaign of newsletters through the same
account keeps all processes busy meanwhile; a run in which it ends too early fails.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import letters
from processes import cpu_seconds
from servers import HERE, Redis, wait_until

from mailer import Campaign, Settings, send
from mailer.queues.application import application

WARMING = 10


class Receiver:
    """`blackhole.py` in a process of its own; when it took which of the messages that are looked for."""

    def __init__(self, mark: str = "X-Probe: ") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "blackhole.py"), "--tell", mark],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.taken: dict[str, float] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            name, _, at = line.rpartition(" ")
            self.taken[name] = float(at)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two calls")
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Redis() as redis:
        receiver = Receiver()
        found = measured(Path(folder), redis, receiver, wanted)
        receiver.close()
    if wanted.json:
        print(json.dumps(found))
        return
    print("                       p50    p90    p99   longest  (ms)   worker CPU   campaign/s")
    for name, row in found.items():
        times = "".join(f"{row[key]:7.1f}" for key in ("p50", "p90", "p99"))
        print(
            f"{name:18} {times} {row['longest']:9.1f} {row['cpu']:17.1%} {row.get('campaign', 0):10.0f}"
        )


def measured(folder: Path, redis: Redis, receiver: Receiver, wanted) -> dict[str, dict[str, float]]:
    settings = _settings(folder, redis, receiver.port)
    log = (folder / "worker.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "mailer", "worker", "-c", "2", "-l", "WARNING"],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    try:
        app = application(settings.broker_url)
        wait_until(lambda: app.control.ping(limit=1, timeout=1), seconds=30, what="the worker")
        _probe(settings, receiver, "warm", WARMING, wanted.every)
        found = {"idle": _case(settings, receiver, worker.pid, "idle", wanted)}
        campaign = Campaign(
            "beside", template="newsletter", sender=letters.SENDER, settings=settings
        )
        campaign.enqueue(letters.rows(wanted.recipients), check=False)
        began, before = time.monotonic(), campaign.status().outcomes.get("accepted", 0)
        found["beside a campaign"] = _case(settings, receiver, worker.pid, "beside", wanted)
        done = campaign.status().outcomes.get("accepted", 0) - before
        found["beside a campaign"]["campaign"] = done / (time.monotonic() - began)
        if not campaign.status().outcomes.get("queued"):
            raise SystemExit("the campaign ended too early: give it more --recipients")
        campaign.cancel()
        return found
    finally:
        worker.terminate()
        worker.wait(30)
        log.close()


def _settings(folder: Path, redis: Redis, port: int) -> Settings:
    (folder / "mailer.toml").write_text(
        f'redis = "{redis.url}"\ntemplates = "{letters.TEMPLATES}"\n'
        f'[accounts.primary]\nurl = "smtp://127.0.0.1:{port}"\nmax_connections = 10\n'
    )
    account = {"url": f"smtp://127.0.0.1:{port}", "max_connections": 10}
    return Settings.model_validate(
        {"redis": redis.url, "templates": letters.TEMPLATES, "accounts": {"primary": account}},
        context={"folder": folder},
    )


def _case(settings: Settings, receiver: Receiver, pid: int, name: str, wanted) -> dict[str, float]:
    cpu, began = cpu_seconds(pid), time.monotonic()
    took = sorted(_probe(settings, receiver, name, wanted.calls, wanted.every))
    cpu = (cpu_seconds(pid) - cpu) / (time.monotonic() - began)
    cuts = statistics.quantiles(took, n=100)
    return {
        "p50": cuts[49] * 1e3,
        "p90": cuts[89] * 1e3,
        "p99": cuts[98] * 1e3,
        "longest": took[-1] * 1e3,
        "cpu": cpu,
    }


def _probe(
    settings: Settings, receiver: Receiver, name: str, calls: int, every: float
) -> list[float]:
    """Seconds that each of *calls* messages takes, one *every* so many seconds."""
    called: dict[str, float] = {}
    row = next(letters.rows(1))
    for number in range(calls):
        probe = f"{name}-{number}"
        called[probe] = time.monotonic()
        send(
            "text",
            to=f"reader{number}@example.org",
            sender=letters.SENDER,
            context={key: value for key, value in row.items() if key != "email"},
            headers={"X-Probe": probe},
            settings=settings,
        )
        # Not in step with anything that looks every so many milliseconds.
        time.sleep(every * (0.5 + (number * 0.618) % 1))
    wait_until(lambda: called.keys() <= receiver.taken.keys(), seconds=30, what="the last message")
    return [receiver.taken[probe] - began for probe, began in called.items()]


if __name__ == "__main__":
    main()
