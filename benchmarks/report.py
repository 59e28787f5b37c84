"""What the runs say together: medians with spread, ratios, tables, and whether targets are reached."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import letters
from cases import CASES, DISTANT_CONNECTIONS, LOOPBACK_CONNECTIONS, Run

_PACKAGES = ("celery", "redis", "aiosmtplib", "Django", "django-post-office", "Jinja2")
_LABELS = {case.name: case.label for case in CASES}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: who, what, how far away, in which round."""

    case: str
    kind: str
    rtt: float
    round: int
    run: Run


@dataclass(frozen=True, slots=True)
class Found:
    """Medians over the rounds, with the lowest and highest rate."""

    case: str
    kind: str
    rtt: float
    count: int
    rates: tuple[float, ...]
    cpu_us: float
    redis_us: float
    redis_bytes: float

    @property
    def rate(self) -> float:
        return median(self.rates)


Table = dict[tuple[str, str, float], Found]


def summed_up(measured: Sequence[Measured]) -> Table:
    groups: dict[tuple[str, str, float], list[Run]] = {}
    for one in measured:
        groups.setdefault((one.case, one.kind, one.rtt), []).append(one.run)
    return {
        key: Found(
            *key,
            count=runs[0].count,
            rates=tuple(run.rate for run in runs),
            cpu_us=median(run.cpu_us for run in runs),
            redis_us=median(run.redis_us for run in runs),
            redis_bytes=median(run.redis_bytes for run in runs),
        )
        for key, runs in groups.items()
    }


def tables(found: Table, facts: dict[str, Any]) -> str:
    """Everything as Markdown."""
    lines = [
        "# Comparison",
        "",
        _where(facts),
        "Medians, in brackets lowest and highest. *CPU* is the contender's own, producer and workers,",
        "without Redis and the receiver. *Ceiling* is smtp-source's rate of the same kind in this run.",
        _connections(),
        "*Submission* goes to a real Postfix over STARTTLS, verified, after a login; *signed* has DKIM",
        "by RSA and Ed25519 from mailer, by RSA alone from the others.",
        "",
        *_targets(found),
    ]
    for rtt in sorted({key[2] for key in found}):
        for kind in letters.KINDS:
            rows = [found[name, kind, rtt] for name in _by_speed(found, kind, rtt)]
            if rows:
                lines += [*_table(found, rows, kind, rtt), ""]
    return "\n".join(lines)


def _where(facts: dict[str, Any]) -> str:
    return (
        f"{facts['date']}, {facts['cores']} cores ({facts['cpu']}), Python {facts['python']}, "
        f"{facts['rounds']} rounds interleaved, {facts['minutes']} minutes."
    )


def _connections() -> str:
    return (
        f"{LOOPBACK_CONNECTIONS} connections at 0 ms, {DISTANT_CONNECTIONS} at a distance, for all "
        "who can have several."
    )


def _by_speed(found: Table, kind: str, rtt: float) -> list[str]:
    names = [case.name for case in CASES if (case.name, kind, rtt) in found]
    return sorted(names, key=lambda name: -found[name, kind, rtt].rate)


def _table(found: Table, rows: Sequence[Found], kind: str, rtt: float) -> list[str]:
    lines = [
        f"## {kind}, {rtt * 1000:.0f} ms",
        "",
        "| | msg/s | of the ceiling | × tutorial | CPU µs/msg | Redis µs/msg |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in rows:
        of_ceiling = _ratio(one, found.get(("source", kind, rtt)), 2)
        times = _ratio(one, found.get(("tutorial", kind, rtt)), 1)
        low, high = min(one.rates), max(one.rates)
        redis_us = f"{one.redis_us:,.0f}" if one.redis_us >= 1 else "–"
        lines.append(
            f"| {_LABELS[one.case]} | {_round(one.rate)} ({_round(low)} … {_round(high)}) "
            f"| {of_ceiling} | {times} | {one.cpu_us:,.0f} | {redis_us} |"
        )
    return lines


def _round(rate: float) -> str:
    return f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"


def _ratio(one: Found, other: Found | None, digits: int) -> str:
    return f"{one.rate / other.rate:,.{digits}f}" if other else "–"


def _targets(found: Table) -> list[str]:
    """The targets that were set, and what this run says of each."""
    news, far = "newsletter", 0.02
    rows: list[tuple[str, float, float | None, float | None]] = [
        ("newsletter end to end with rendering, msg/s", 5000, 7500, _rate(found, "mailer", news, 0)),
        ("… ÷ ceiling", 0.45, 0.7, _over(found, "mailer", "source", news, 0)),
        ("… × the tutorial", 15, 25, _over(found, "mailer", "tutorial", news, 0)),
        ("newsletter, drain ÷ ceiling", 0.7, 0.9, _over(found, "drain", "source", news, 0)),
        ("newsletter at 20 ms × the tutorial", 150, 300,
         _over(found, "mailer", "tutorial", news, far)),
    ]  # fmt: skip
    lines = ["| target | at least | goal | measured |", "|---|---:|---:|---:|"]
    for what, least, goal, value in rows:
        if value is not None:
            shown = f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
            verdict = "reached" if value >= least else "**missed**"
            if goal and value >= goal:
                verdict = "goal reached"
            lines.append(f"| {what} | {least:g} | {goal or '–'} | {shown}, {verdict} |")
    for kind, most in ((news, 160), ("attachment", 600)):
        drain = found.get(("drain", kind, 0.0))
        if drain:
            verdict = "reached" if drain.redis_bytes <= most else "**missed**"
            lines.append(
                f"| Redis bytes a queued {kind}, of {drain.count:,} | at most {most} | – "
                f"| {drain.redis_bytes:,.0f}, {verdict} |"
            )
    return [*lines, ""] if len(lines) > 2 else []


def _rate(found: Table, case: str, kind: str, rtt: float) -> float | None:
    one = found.get((case, kind, rtt))
    return one.rate if one else None


def _over(found: Table, case: str, other: str, kind: str, rtt: float) -> float | None:
    above, below = _rate(found, case, kind, rtt), _rate(found, other, kind, rtt)
    return above / below if above and below else None


def as_json(found: Table, facts: dict[str, Any]) -> str:
    rows = [asdict(one) | {"rate": one.rate} for one in found.values()]
    return json.dumps({"facts": facts, "found": rows}, indent=1)


def machine() -> dict[str, Any]:
    """What it was measured on, and with which versions."""
    facts: dict[str, Any] = {
        "date": subprocess.check_output(["date", "+%Y-%m-%d"], text=True).strip(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    for name in _PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
