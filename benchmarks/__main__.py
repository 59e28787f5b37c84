"""How fast is it, and how fast is what a user would pick instead? The whole comparison, in one command.

    make bench                      three rounds, half an hour; writes benchmarks/results/
    make bench ARGS=--quick         one short round, to see that everything works
    python benchmarks --cases mailer,drain,source --kinds newsletter --rtt 0

Cases are interleaved: each round runs all of them. What is printed are medians over the rounds.
*submission* and *signed* run in the first two rounds only: the whole is to stay within half an hour.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import letters
import plots
import report
from cases import CASES, Case, Run, Setting, missing
from postfix import Postfix
from postfix import missing as no_postfix
from report import Measured
from servers import HERE, Distance, Redis, Sink

RESULTS = HERE / "results"
AS_SENT_ROUNDS = 2
"""How many rounds mail is submitted and signed in."""


@dataclass(frozen=True, slots=True)
class Way:
    """Which kinds of mail go to which server, and with which keys they are signed."""

    kinds: tuple[str, ...]
    server: Sink | Postfix
    rounds: int
    keys: tuple[tuple[str, Path], ...] = ()


def main() -> None:
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers end with it
    began = time.monotonic()
    measured = _measure(wanted)
    found = report.summed_up(measured)
    facts = report.machine() | {"rounds": wanted.rounds, "minutes": _minutes(began)}
    text = report.tables(found, facts)
    print("\n" + text)
    if wanted.output:
        wanted.output.mkdir(parents=True, exist_ok=True)
        (wanted.output / "comparison.md").write_text(text)
        (wanted.output / "comparison.json").write_text(report.as_json(found, facts))
        plots.comparison(found, wanted.output)
        print(f"written to {wanted.output}/comparison.md and .json, rates.png, cpu.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round, nothing written")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long a run takes")
    parser.add_argument("--cases", type=_words, default=[case.name for case in CASES])
    parser.add_argument("--kinds", type=_words, default=list(letters.KINDS))
    parser.add_argument("--rtt", type=_words, default=["0", "20", "80"], help="milliseconds")
    parser.add_argument("--output", type=Path, default=RESULTS)
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.rounds, wanted.seconds, wanted.output = 1, 1.0, None
        wanted.kinds, wanted.rtt = wanted.kinds[:1], wanted.rtt[:2]
    return wanted


def _words(text: str) -> list[str]:
    return text.split(",")


def _minutes(began: float) -> float:
    return round((time.monotonic() - began) / 60, 1)


def _measure(wanted: argparse.Namespace) -> list[Measured]:
    measured: list[Measured] = []
    counts: dict[tuple[str, str, float], int] = {}
    cases = [case for case in CASES if case.name in wanted.cases]
    for case in cases:
        if why := missing(case):
            print(f"{case.name} is left out: {why}")
    cases = [case for case in cases if not missing(case)]
    with contextlib.ExitStack() as stack:
        redis, sink = stack.enter_context(Redis()), stack.enter_context(Sink())
        ways = _ways(wanted, sink, stack)
        for number in range(wanted.rounds):
            for milliseconds in wanted.rtt:
                rtt = float(milliseconds) / 1000
                for way in ways:
                    if number < way.rounds:
                        measured += _round(way, rtt, redis, cases, wanted, counts, number)
    return measured


def _ways(wanted: argparse.Namespace, sink: Sink, stack: contextlib.ExitStack) -> list[Way]:
    """Into the sink; to a submission service; signed. Only those that are wanted, and can be had."""
    plain = tuple(kind for kind in letters.PLAIN if kind in wanted.kinds)
    ways = [Way(plain, sink, wanted.rounds)] if plain else []
    few = min(wanted.rounds, AS_SENT_ROUNDS)
    if letters.SUBMISSION in wanted.kinds:
        if why := no_postfix():
            print(f"{letters.SUBMISSION} is left out: {why}")
        else:
            ways.append(Way((letters.SUBMISSION,), stack.enter_context(Postfix()), few))
    if letters.SIGNED in wanted.kinds:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailer-bench-")))
        ways.append(Way((letters.SIGNED,), sink, few, letters.dkim_keys(folder)))
    return ways


def _round(
    way: Way,
    rtt: float,
    redis: Redis,
    cases: list[type[Case]],
    wanted: argparse.Namespace,
    counts: dict[tuple[str, str, float], int],
    number: int,
) -> list[Measured]:
    """All contenders that send this way, once."""
    found = []
    door_or_distance = Distance(way.server, rtt) if rtt else contextlib.nullcontext(way.server)
    with door_or_distance as door:
        for case in cases:
            if kinds := [kind for kind in way.kinds if kind in case.kinds]:
                folder = Path(tempfile.mkdtemp(prefix="mailer-bench-"))
                setting = Setting(redis, way.server, door, rtt, folder, keys=way.keys)
                found += _runs_of(case, setting, kinds, wanted, counts, number)
                shutil.rmtree(folder, ignore_errors=True)
    return found


def _runs_of(
    case: type[Case],
    setting: Setting,
    kinds: list[str],
    wanted: argparse.Namespace,
    counts: dict[tuple[str, str, float], int],
    number: int,
) -> list[Measured]:
    """One contender's runs in one round; a contender that fails is named and left out."""
    runs = []
    try:
        with case(setting) as contender:
            for kind in kinds:
                which = (case.name, kind, setting.rtt)
                pilot = contender.run(kind, _pilot(case, kind, setting.rtt))
                if which not in counts:
                    least = _least(case, kind, setting.rtt)
                    fitting = max(least, int(pilot.rate * wanted.seconds))
                    if pilot.seconds < wanted.seconds / 2:
                        # It said little but how long a start takes.
                        pilot = contender.run(kind, fitting)
                        fitting = max(least, int(pilot.rate * wanted.seconds))
                    counts[which] = fitting
                run = contender.run(kind, counts[which])
                runs.append(Measured(case.name, kind, setting.rtt, number, run))
                print(_line(runs[-1], run), flush=True)
    except (RuntimeError, TimeoutError, OSError) as exc:
        print(f"{case.name} at {setting.rtt * 1000:.0f} ms: FAILED: {exc}", flush=True)
    return runs


def _pilot(case: type[Case], kind: str, rtt: float) -> int:
    """Enough to warm up and to learn the speed; a connection a message is slow from afar."""
    pilot = case.pilot // 4 if kind == letters.SUBMISSION else case.pilot
    return max(4, pilot // (10 if rtt and case.pilot < 100 else 1))


def _least(case: type[Case], kind: str, rtt: float) -> int:
    """Enough for what begins slowly; a tenth of the attachments are as many octets.

    A Postfix that hands each mail from process to process takes a tenth of what the sink does.
    """
    least = case.least if not rtt else min(case.least, 2000)
    return max(4, least // 4) if kind in {"attachment", letters.SUBMISSION} else least


def _line(one: Measured, run: Run) -> str:
    where = f"{one.rtt * 1000:3.0f} ms"
    weight = f", {run.redis_bytes:,.0f} bytes each in Redis" if run.redis_bytes else ""
    return (
        f"round {one.round + 1}  {where}  {one.case:12} {one.kind:11} {run.count:7,} mails "
        f"{run.rate:10,.1f}/s  {run.cpu_us:8,.0f} us CPU each{weight}"
    )


if __name__ == "__main__":
    main()
