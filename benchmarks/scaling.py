"""How does cost grow with the size of a campaign, of batches, with processes, connections, campaigns?

    python benchmarks/scaling.py [--quick]
        [--only sizes,batches,processes,renderers,connections,campaigns]

Writes ``scaling.md``, ``.json`` and ``.png`` to ``benchmarks/results/``. Newsletters of 15 KB on
loopback, except where connections grow: those at 20 ms.
"""

import argparse
import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plots
from cases import Campaigns, Drain, Mailer, Run, Setting
from servers import HERE, Distance, Redis, Sink

KIND = "newsletter"


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows, how far, and what it does to end-to-end rate, drain rate and bytes."""

    name: str
    what: str
    steps: Sequence[int]
    rtt: float = 0.0
    count: int = 20_000


GROWTHS = (
    Growth("sizes", "recipients in the campaign", (1_000, 10_000, 100_000)),
    Growth("batches", "messages in a batch", (10, 50, 200, 500, 1000)),
    Growth("processes", "worker processes", (1, 2, 4, 8)),
    Growth("renderers", "processes that make messages", (1, 2, 4)),
    Growth("connections", "connections", (1, 10, 50, 200), rtt=0.02, count=6_000),
    Growth("campaigns", "campaigns at once", (1, 10, 100)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--rounds", type=int, default=2, help="the better of so many counts")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    wanted = parser.parse_args()
    chosen = [one for one in GROWTHS if wanted.only is None or one.name in wanted.only]
    found: dict[str, dict[int, dict[str, Any]]] = {}
    with Redis() as redis, Sink() as sink:
        for growth in chosen:
            found[growth.name] = {}
            for step in growth.steps[:2] if wanted.quick else growth.steps:
                count = 400 if wanted.quick else _count(growth, step)
                rounds = 1 if wanted.quick else wanted.rounds
                for setting in _settings(redis, sink, growth, step):
                    row = _measured(growth, step, setting, count, rounds)
                    found[growth.name][step] = row
                    print(f"{step:8,} {growth.what}: {_line(row)}", flush=True)
    text = _tables(found)
    print(text)
    if not wanted.quick:
        wanted.output.mkdir(parents=True, exist_ok=True)
        (wanted.output / "scaling.md").write_text(text)
        (wanted.output / "scaling.json").write_text(json.dumps(found, indent=1))
        plots.curves(_panels(found), wanted.output / "scaling.png")


def _count(growth: Growth, step: int) -> int:
    if growth.name == "sizes":
        return step
    if growth.name == "connections":
        return min(growth.count, 300 * step)
    return growth.count


def _settings(redis: Redis, sink: Sink, growth: Growth, step: int) -> Iterator[Setting]:
    folder = Path(tempfile.mkdtemp(prefix="mailer-bench-"))
    with Distance(sink, growth.rtt) if growth.rtt else contextlib.nullcontext(sink) as door:
        yield Setting(
            redis,
            sink,
            door,
            growth.rtt,
            folder,
            processes=step if growth.name == "processes" else 2,
            renderers=step if growth.name == "renderers" else 1,
            connections=step if growth.name == "connections" else 0,
            settings=f"batch_size = {step}\n" if growth.name == "batches" else "",
        )
    shutil.rmtree(folder, ignore_errors=True)


def _measured(
    growth: Growth, step: int, setting: Setting, count: int, rounds: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"count": count}
    many = type("Many", (Campaigns,), {"number": step})
    cases = (many,) if growth.name == "campaigns" else (Mailer, Drain)
    for case in cases:
        with case(setting) as contender:
            contender.run(KIND, max(100, step) if case is many else 200)
            best = min(
                (contender.run(KIND, count) for _ in range(1 if count > 50_000 else rounds)),
                key=lambda run: run.seconds,
            )
            if case is Drain:
                row["queue_rate"] = contender.queue_rate
        row |= _row("end_to_end" if case is Mailer else "drain", best)
    return row


def _row(name: str, run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {f"{name}_rate": run.rate, f"{name}_cpu_us": run.cpu_us}
    row[f"{name}_redis_us"] = run.redis_us
    if run.redis_bytes:
        row["redis_bytes"] = run.redis_bytes
    return row


def _line(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in row.items())


_COLUMNS = {
    "queue_rate": "queueing alone, msg/s",
    "end_to_end_rate": "end to end msg/s",
    "end_to_end_cpu_us": "CPU µs/msg",
    "drain_rate": "drain msg/s",
    "drain_cpu_us": "worker CPU µs/msg",
    "drain_redis_us": "Redis CPU µs/msg",
    "redis_bytes": "Redis bytes/msg queued",
}


def _tables(found: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> str:
    lines = ["# How cost grows", "", "Newsletters of 15 KB; the best of the runs of each.", ""]
    for growth in GROWTHS:
        rows = found.get(growth.name)
        if not rows:
            continue
        shown = [name for name in _COLUMNS if any(name in row for row in rows.values())]
        distance = f", at {growth.rtt * 1000:.0f} ms" if growth.rtt else ""
        lines += [f"## {growth.what}{distance}", ""]
        lines.append("| | " + " | ".join(_COLUMNS[name] for name in shown) + " |")
        lines.append("|---:|" + "---:|" * len(shown))
        for step, row in rows.items():
            cells = [f"{row[name]:,.0f}" if name in row else "–" for name in shown]
            lines.append(f"| {step:,} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _panels(
    found: Mapping[str, Mapping[int, Mapping[str, Any]]],
) -> list[tuple[str, str, str, dict[str, list[tuple[float, float]]]]]:
    panels = []
    for growth in GROWTHS:
        rows = found.get(growth.name, {})
        lines = {
            label: [(step, row[name]) for step, row in rows.items() if name in row]
            for name, label in (("end_to_end_rate", "end to end"), ("drain_rate", "drain"))
        }
        lines = {label: points for label, points in lines.items() if points}
        if lines:
            distance = f" at {growth.rtt * 1000:.0f} ms" if growth.rtt else ""
            panels.append((growth.what + distance, growth.what, "messages a second", lines))
        if growth.name == "sizes" and rows:
            weights = [(step, row["redis_bytes"]) for step, row in rows.items()]
            panels.append(("Redis, full queue", growth.what, "bytes a message", {"": weights}))
    return panels


if __name__ == "__main__":
    main()
