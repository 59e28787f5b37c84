"""What one Redis carries: the ledger's notes of many workers at once, with no mail server behind them.

    python benchmarks/saturation.py [--messages 100000] [--notes 5,10,20] [--quick]

A worker tells the ledger of its messages in notes: some were answered, the next are about to leave. Here
1, 2, 4 … processes tell a Redis of their own (append-only file) of messages that are never sent, each as
fast as Redis answers. To leave Redis its core they only read back what was written down before: each call
of a whole delivery (claim, notes, release) is recorded once, as `Ledger` makes it, and played again to a
Redis that was filled anew. A run counts only if the ledger has every message as accepted at its end.

Writes ``saturation.md``, ``.json`` and ``.png`` to ``benchmarks/results/``.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ledger as one_worker
import plots
import redis
from servers import HERE, Redis

from mailer.store import keys
from mailer.store.ledger import Ledger

PROCESSES = (1, 2, 4, 8, 16, 32)
BATCH = 500
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Carried:
    """What so many processes brought Redis to: rates a second, milliseconds, shares of one core, µs."""

    processes: int
    messages: float
    notes: float
    median: float
    slowest: float
    busy: float
    redis_us: float


class Recorded(redis.Connection):
    """A connection that keeps what is sent over it."""

    kept: list[bytes]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        self.kept += command
        super().send_packed_command(command, check_health)


def fill(client: redis.Redis, campaigns: int, messages: int, *, tells: bool) -> list[list[str]]:
    """A Redis with so many campaigns of *messages* and nothing else; the refs of their batches."""
    one_worker.empty(client, tells=tells)
    return [
        one_worker.fill(client, f"c{number}", messages // BATCH, tells=False, batch=BATCH)
        for number in range(campaigns)
    ]


def recorded(client: redis.Redis, refs: list[str], note: int, *, tells: bool) -> list[bytes]:
    """Deliver the batches *refs*; each call of it, as it goes over a connection."""
    pool = redis.ConnectionPool(
        connection_class=Recorded, **client.connection_pool.connection_kwargs
    )
    kept: list[bytes] = []
    Recorded.kept = kept
    with redis.Redis(connection_pool=pool) as noting:
        ledger = Ledger(noting)
        for ref in refs:
            one_worker.deliver(ledger, ref, note, tells=tells, batch=BATCH)
    return [call for call in kept if b"EVALSHA" in call]


def play(port: int, calls: list[bytes], gate: Any, pipe: Any) -> None:
    """Say each of *calls* when the one before is answered; tell how long each took."""
    connection = redis.Connection(port=port, protocol=2)
    connection.connect()
    took = []
    gate.wait()
    for call in calls:
        began = time.perf_counter()
        connection.send_packed_command([call], check_health=False)
        connection.read_response()
        took.append(time.perf_counter() - began)
    pipe.send(took)
    pipe.close()


@contextmanager
def players(port: int, scripts: list[list[bytes]]) -> Iterator[Callable[[], list[float]]]:
    """A process for each of *scripts*, connected; call what is given to let them go, and to wait."""
    spawn = multiprocessing.get_context("fork")
    gate = spawn.Barrier(len(scripts) + 1)
    ends, children = [], []
    for calls in scripts:
        ours, theirs = spawn.Pipe(duplex=False)
        children.append(spawn.Process(target=play, args=(port, calls, gate, theirs)))
        ends.append(ours)
        children[-1].start()
        theirs.close()

    def run() -> list[float]:
        gate.wait()
        return [seconds for end in ends for seconds in end.recv()]

    try:
        yield run
    finally:
        for child in children:
            child.join()


def measure(server: Redis, number: int, messages: int, note: int, *, tells: bool) -> Carried:
    """*number* processes tell of *messages* together."""
    client = server.client
    each = max(1, messages // number // BATCH) * BATCH
    refs = fill(client, number, each, tells=tells)
    scripts = [recorded(client, of_one, note, tells=tells) for of_one in refs]
    fill(client, number, each, tells=tells)
    with players(server.port, scripts) as run:
        used, began = server.cpu_seconds(), time.monotonic()
        took = sorted(run())
        seconds = time.monotonic() - began
        used = server.cpu_seconds() - used
    total = each * number
    accepted = [int(client.hget(keys.counts(f"c{one}"), "a") or 0) for one in range(number)]
    if accepted != [each] * number:
        raise RuntimeError(f"{total} messages were told of, the ledger has {accepted} as accepted")
    return Carried(
        processes=number,
        messages=total / seconds,
        notes=len(took) / seconds,
        median=statistics.median(took) * 1e3,
        slowest=took[int(len(took) * 0.99)] * 1e3,
        busy=used / seconds,
        redis_us=used / total * 1e6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--messages", type=int, default=100_000, help="in each run, of all together"
    )
    parser.add_argument("--notes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    wanted = parser.parse_args()
    messages = 10_000 if wanted.quick else wanted.messages
    steps = PROCESSES[:2] if wanted.quick else PROCESSES
    kinds = [(size, False) for size in wanted.notes or (5, 10, 20)]
    kinds.append((10, True))
    found: dict[tuple[int, bool], dict[int, list[Carried]]] = {
        kind: {step: [] for step in steps} for kind in kinds
    }
    with Redis() as server:
        for _ in range(1 if wanted.quick else ROUNDS):
            for (note, tells), rows in found.items():
                for step in steps:
                    one = measure(server, step, messages, note, tells=tells)
                    rows[step].append(one)
                    print(f"{note} a note{', told' * tells}: {one}", flush=True)
    middle = {
        kind: [sorted(runs, key=lambda run: run.messages)[len(runs) // 2] for runs in rows.values()]
        for kind, rows in found.items()
    }
    text = _tables(middle)
    print(text)
    if not wanted.quick:
        wanted.output.mkdir(parents=True, exist_ok=True)
        (wanted.output / "saturation.md").write_text(text)
        kept = {_named(kind): [asdict(one) for one in rows] for kind, rows in middle.items()}
        (wanted.output / "saturation.json").write_text(json.dumps(kept, indent=1))
        plots.curves(_panels(middle), wanted.output / "saturation.png")


def _named(kind: tuple[int, bool]) -> str:
    note, tells = kind
    return f"{note} messages a note" + (", with a history's events" if tells else "")


_COLUMNS = (
    "worker processes",
    "messages/s",
    "calls/s",
    "a call, median ms",
    "99th percentile, ms",
    "of one core",
    "Redis CPU µs/msg",
)


def _tables(found: dict[tuple[int, bool], list[Carried]]) -> str:
    lines = ["# What one Redis carries", "", "Medians of the runs, by messages a second.", ""]
    for kind, rows in found.items():
        lines += [
            f"## {_named(kind)}",
            "",
            f"| {' | '.join(_COLUMNS)} |",
            "|---:|" + "---:|" * (len(_COLUMNS) - 1),
        ]
        lines += [
            f"| {one.processes} | {one.messages:,.0f} | {one.notes:,.0f} | {one.median:.2f}"
            f" | {one.slowest:.2f} | {one.busy:.2f} | {one.redis_us:.1f} |"
            for one in rows
        ]
        lines.append("")
    return "\n".join(lines)


def _panels(found: dict[tuple[int, bool], list[Carried]]) -> list[tuple[str, str, str, Any]]:
    def lines(of: Callable[[Carried], float]) -> dict[str, list[tuple[float, float]]]:
        return {
            _named(kind): [(float(one.processes), of(one)) for one in rows]
            for kind, rows in found.items()
        }

    across = "worker processes"
    return [
        ("What one Redis carries", across, "messages a second", lines(lambda one: one.messages)),
        ("How long a call takes", across, "median, ms", lines(lambda one: one.median)),
        ("How busy Redis is", across, "of one core", lines(lambda one: one.busy)),
    ]


if __name__ == "__main__":
    main()
