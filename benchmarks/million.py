"""Does a campaign of a million run in constant memory, and does everybody agree on how many were sent?

    python benchmarks/million.py [--recipients 1000000] [--max-backlog 20000] [--output FOLDER]

A CSV goes through ``mailer send`` and a worker with two processes into `smtp-sink`, with mails of 1 KB,
while ``mailer status --watch --json`` looks on. With ``--max-backlog`` the producer stays that near to
the workers.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import letters
from cases import Mailer, Setting, environment
from processes import cpu_seconds, resident, tree
from servers import HERE, Redis, Sink

NAME = "million"
MAILER = (sys.executable, "-c", "from mailer.cli import main; main()")
COLUMNS = ("email", "name", "city", "number", "points", "token")


@dataclass(slots=True)
class Look:
    """What was seen at one moment; memory in MB."""

    seconds: float
    queued: int
    accepted: int
    producer: float
    workers: list[float]
    redis: float


@dataclass(slots=True)
class Watch:
    """What ``mailer status --watch --json`` said, and the longest that it was silent."""

    lines: int = 0
    silence: float = 0.0
    last: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    recipients: int
    max_backlog: int | None
    seconds: float
    enqueue_seconds: float
    ledger: int
    sink: int
    redis_peak: float
    redis_after: float
    cpu_us: float
    watch: Watch
    looks: list[Look]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--max-backlog", type=int)
    parser.add_argument("--processes", type=int, default=1, help="that render, in the producer")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailer-million-"))
    with Redis() as redis, Sink() as sink:
        setting = Setting(redis, sink, sink, 0.0, folder)
        rows = _csv(folder, wanted.recipients)
        with Mailer(setting) as workers:
            outcome = _run(setting, workers, rows, wanted)
    shutil.rmtree(folder)
    print(_told(outcome))
    suffix = "-near" if wanted.max_backlog else ""
    wanted.output.mkdir(parents=True, exist_ok=True)
    (wanted.output / f"million{suffix}.json").write_text(json.dumps(asdict(outcome), indent=1))
    (wanted.output / f"million{suffix}.md").write_text(_told(outcome))
    if not outcome.ledger == outcome.sink == wanted.recipients:
        sys.exit("the counts differ")


def _csv(folder: Path, count: int) -> Path:
    file = folder / "readers.csv"
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        writer.writerows(letters.rows(count))
    return file


def _run(setting: Setting, workers: Mailer, rows: Path, wanted: argparse.Namespace) -> Outcome:
    cpu, began = cpu_seconds(workers.worker_pid), time.monotonic()
    producer = _producer(setting, rows, wanted)
    watch = Watch()
    watching = threading.Thread(target=_watch, args=(setting, watch), daemon=True)
    watching.start()
    looks: list[Look] = []
    enqueued_at = 0.0
    while not looks or looks[-1].accepted < wanted.recipients:
        time.sleep(0.5)
        looks.append(_look(setting, workers, producer, time.monotonic() - began))
        if not enqueued_at and producer.poll() is not None:
            enqueued_at = looks[-1].seconds
        if producer.poll():
            raise SystemExit((setting.folder / "producer.log").read_text())
        if len(looks) % 20 == 0:
            print(looks[-1], flush=True)
    seconds = time.monotonic() - began
    producer.wait()
    watching.join(5)
    status = _mailer(setting, "status", NAME, "--json")
    used = cpu_seconds(workers.worker_pid) - cpu
    return Outcome(
        wanted.recipients,
        wanted.max_backlog,
        seconds,
        enqueued_at or seconds,
        status["outcomes"]["accepted"],
        setting.sink.counted(),
        setting.redis.peak() / 1e6,
        setting.redis.used() / 1e6,
        used / wanted.recipients * 1e6,
        watch,
        looks,
    )


def _producer(setting: Setting, rows: Path, wanted: argparse.Namespace) -> subprocess.Popen[bytes]:
    words = ["send", NAME, "--template", "text", "--from", letters.SENDER, str(rows)]
    if wanted.max_backlog:
        words += ["--max-backlog", str(wanted.max_backlog)]
    if wanted.processes > 1:
        words += ["--processes", str(wanted.processes)]
    with (setting.folder / "producer.log").open("wb") as log:
        return subprocess.Popen(
            [*MAILER, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(setting),
            cwd=setting.folder,
        )


def _mailer(setting: Setting, *words: str) -> dict[str, dict[str, int]]:
    told = subprocess.check_output([*MAILER, *words], env=environment(setting), cwd=setting.folder)
    return json.loads(told)


def _watch(setting: Setting, watch: Watch) -> None:
    """Read what the live view prints, from when the campaign is there until it says that all is final."""
    client = setting.redis.client
    while not client.zscore("mailer:campaigns", NAME):
        time.sleep(0.1)
    words = [*MAILER, "status", NAME, "--watch", "--json"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(setting),
        cwd=setting.folder,
    ) as process:
        assert process.stdout is not None
        before = 0.0
        for line in process.stdout:
            now = time.monotonic()
            if before:
                watch.silence = max(watch.silence, now - before)
            before = now
            watch.lines += 1
            watch.last = json.loads(line)


def _look(
    setting: Setting, workers: Mailer, producer: subprocess.Popen[bytes], seconds: float
) -> Look:
    counts = setting.redis.client.hgetall(f"mailer:counts:{NAME}")
    numbers = {letter.decode(): int(count) for letter, count in counts.items()}
    children = tree(workers.worker_pid)
    used = setting.redis.client.info("memory")["used_memory"]
    return Look(
        round(seconds, 1),
        sum(numbers.values()),
        numbers.get("a", 0),
        _megabytes(producer.pid) if producer.poll() is None else 0.0,
        [_megabytes(pid) for pid in children],
        round(used / 1e6, 1),
    )


def _megabytes(pid: int) -> float:
    try:
        return round(resident(pid) / 1e6, 1)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0


def _told(outcome: Outcome) -> str:
    def at(share: float, of_what: str) -> Look:
        return next(
            look
            for look in outcome.looks
            if getattr(look, of_what) >= share * outcome.recipients or look is outcome.looks[-1]
        )

    early, late = at(0.1, "queued"), at(0.999, "queued")
    last = [look for look in outcome.looks if look.producer][-1]
    begun, ended = at(0.1, "accepted"), outcome.looks[-1]
    backlog = f"max_backlog {outcome.max_backlog:,}" if outcome.max_backlog else "no max_backlog"
    return f"""\
## {outcome.recipients:,} recipients from a CSV, two worker processes, 1 KB mails, {backlog}

| | |
|---|---:|
| all accepted after | {outcome.seconds:,.0f} s ({outcome.recipients / outcome.seconds:,.0f}/s) |
| all queued after | {outcome.enqueue_seconds:,.0f} s |
| accepted, says the ledger | {outcome.ledger:,} |
| arrived, says the sink | {outcome.sink:,} |
| producer's memory at 10 % and 100 % queued | {early.producer:,.0f} MB, {last.producer:,.0f} MB |
| workers' memory at 10 % and 100 % accepted | {_list(begun.workers)} MB, {_list(ended.workers)} MB |
| Redis at its peak; when all is final | {outcome.redis_peak:,.0f} MB; {outcome.redis_after:,.0f} MB |
| Redis when all was queued | {late.redis:,.0f} MB |
| worker CPU a message | {outcome.cpu_us:,.0f} µs |
| `mailer status --watch`: looks; longest silence | {outcome.watch.lines}; {outcome.watch.silence:.1f} s |
"""


def _list(values: list[float]) -> str:
    return " + ".join(f"{value:,.0f}" for value in values)


if __name__ == "__main__":
    main()
