"""Does a campaign of a million run in constant memory, and does everybody agree on how many were sent?

    python benchmarks/million.py [--recipients 1000000] [--max-backlog 20000] [--history]
    python benchmarks/million.py --recipients 100000 --pairs 5

A CSV goes through ``mailer send`` and a worker with two processes into `smtp-sink`, with mails of 1 KB,
while ``mailer status --watch --json`` looks on. With ``--max-backlog`` the producer stays that near to
the workers. With ``--history`` a PostgreSQL that is started here keeps what becomes of each message; then
it is counted there, and some are looked up by address. ``--pairs`` measures what the history costs: runs
without and with it, in turns, and the ratio of their rates.
"""

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import letters
from cases import Mailer, Setting, environment
from processes import cpu_seconds, resident, tree
from servers import HERE, Redis, Sink

from mailer.history import open_history
from mailer.store.events import EventStream
from tests.servers.postgres import Postgres

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
    waiting: int = 0
    """Events that the history has not yet taken; a message has two."""


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
    history: "Kept | None" = None


@dataclass(slots=True)
class Kept:
    """What the history had at the end: counted, complete after so many seconds, looked up by address."""

    accepted: int
    seconds: float
    most_waiting: int
    median_ms: float
    slowest_ms: float
    looked_up: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--max-backlog", type=int)
    parser.add_argument("--processes", type=int, default=1, help="that render, in the producer")
    parser.add_argument("--history", action="store_true", help="with one in PostgreSQL")
    parser.add_argument("--pairs", type=int, help="so many runs without and with a history")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    wanted = parser.parse_args()
    if wanted.pairs:
        _pairs(wanted)
        return
    outcome = _campaign(wanted, with_history=wanted.history)
    print(_told(outcome))
    suffix = ("-near" if wanted.max_backlog else "") + ("-history" if wanted.history else "")
    wanted.output.mkdir(parents=True, exist_ok=True)
    (wanted.output / f"million{suffix}.json").write_text(json.dumps(asdict(outcome), indent=1))
    (wanted.output / f"million{suffix}.md").write_text(_told(outcome))
    counted = {outcome.ledger, outcome.sink}
    counted |= {outcome.history.accepted} if outcome.history else set()
    if counted != {wanted.recipients}:
        sys.exit("the counts differ")


def _pairs(wanted: argparse.Namespace) -> None:
    """The same campaign without and with a history, in turns; each pair begins with the other."""
    ratios = []
    for number in range(wanted.pairs):
        rates = {}
        for with_history in (number % 2 == 0, number % 2 != 0):
            outcome = _campaign(wanted, with_history=with_history)
            rates[with_history] = outcome.recipients / outcome.seconds
            print(
                f"history {with_history}: {rates[with_history]:,.0f}/s, {outcome.cpu_us:.0f} µs",
                flush=True,
            )
        ratios.append(rates[True] / rates[False])
        print(f"pair {number + 1}: {ratios[-1]:.3f}", flush=True)
    print(
        f"rate with a history, of that without: {statistics.median(ratios):.3f} (median of {ratios})"
    )


def _campaign(wanted: argparse.Namespace, *, with_history: bool) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="mailer-million-"))
    server = _postgres() if with_history else None
    settings = f'\n[history]\nurl = "{server.url}"\n' if server else ""
    try:
        with Redis() as redis, Sink() as sink:
            setting = Setting(redis, sink, sink, 0.0, folder, settings=settings)
            rows = _csv(folder, wanted.recipients)
            with Mailer(setting) as workers:
                return _run(setting, workers, rows, wanted, server)
    finally:
        shutil.rmtree(folder)
        if server:
            server.stop()
            shutil.rmtree(server.folder)


def _postgres() -> Postgres:
    """A server with its defaults, and the history's tables in it."""
    folder = Path(tempfile.mkdtemp(prefix="mailer-pg-"))
    folder.chmod(0o755)
    server = Postgres(folder)
    with closing(open_history(server.url)) as history:
        history.upgrade()
    return server


def _kept(server: Postgres, rows: Path, count: int, began: float, most: int) -> Kept:
    """Wait until the history is complete; then look a thousand up, from all over the list."""
    with closing(open_history(server.url)) as history:
        while (accepted := history.counts(NAME).get("accepted", 0)) < count:
            time.sleep(1)
        seconds = time.monotonic() - began
        step, looks = max(count // 1000, 1), []
        with rows.open(newline="") as lines:
            for row in islice(csv.DictReader(lines), 0, None, step):
                before = time.perf_counter()
                (found,) = history.trace(row["email"])
                looks.append((time.perf_counter() - before) * 1000)
                assert found.outcome == "accepted"
                assert found.reply.startswith("250")
    return Kept(accepted, seconds, most, statistics.median(looks), max(looks), len(looks))


def _csv(folder: Path, count: int) -> Path:
    file = folder / "readers.csv"
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        writer.writerows(letters.rows(count))
    return file


def _run(
    setting: Setting,
    workers: Mailer,
    rows: Path,
    wanted: argparse.Namespace,
    server: Postgres | None,
) -> Outcome:
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
    most = max(look.waiting for look in looks)
    kept = _kept(server, rows, wanted.recipients, began, most) if server else None
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
        kept,
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
        EventStream(setting.redis.client).unread().get("history", 0),
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
{_history(outcome.history)}"""


def _history(kept: Kept | None) -> str:
    if kept is None:
        return ""
    return f"""\
| accepted, says the history; complete after | {kept.accepted:,}; {kept.seconds:,.0f} s |
| events that waited for the history at most | {kept.most_waiting:,} |
| {kept.looked_up:,} found by address: median, slowest | {kept.median_ms:.1f}, {kept.slowest_ms:.1f} ms |
"""


def _list(values: list[float]) -> str:
    return " + ".join(f"{value:,.0f}" for value in values)


if __name__ == "__main__":
    main()
