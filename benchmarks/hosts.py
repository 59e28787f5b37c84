"""Does anything get lost, or sent twice, when one of several hosts is cut off in the middle?

    sudo python benchmarks/hosts.py [--recipients 45000] [--cut 60]

Redis, the mail server (20 ms away) and two workers stand in network namespaces of their own, joined by a
bridge in a fifth, where the producer runs. A quarter into the campaign one worker's link goes down, and
comes back after a minute. Wants root and iproute2; leaves nothing behind.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import letters
from cases import Mailer, Setting, Speaker, environment
from servers import HERE, Child, Distance, Redis, Sink, wait_until

from mailer.store import keys

PREFIX = "mbench-"
HUB = "hub"
ADDRESSES = {HUB: "10.77.0.1", "redis": "10.77.0.2", "smtp": "10.77.0.3"}
ADDRESSES |= {"one": "10.77.0.4", "two": "10.77.0.5"}
RTT = 0.02
OPEN = ("q", "d", "t")
_ACCOUNT = "plaintext = true\n\n[retry]\nfirst_delay = 2\n"
_RECIPIENT = re.compile(rb"^X-Rcpt-Args: <([^>]*)>", re.MULTILINE)


def on(host: str) -> tuple[str, ...]:
    """What runs a command on *host*."""
    return ("ip", "netns", "exec", PREFIX + host)


class KeepingSink(Sink):
    """A sink that keeps each mail in a file of its own."""

    def command(self) -> list[str]:
        kept = self.folder / "kept"
        kept.mkdir(exist_ok=True)
        kept.chmod(0o777)
        binary, *rest = super().command()
        return [binary, "-d", f"{kept}/%M.", *rest]

    def recipients(self) -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        for file in (self.folder / "kept").iterdir():
            found.update(_RECIPIENT.findall(file.read_bytes()))
        return found


class Cluster(Mailer):
    """A producer here and a worker with one process on each of two hosts."""

    def start(self) -> None:
        setting = self.setting
        self._log = (setting.folder / "worker.log").open("ab")
        self._workers = [
            subprocess.Popen(
                [
                    *(*on(host), sys.executable, "-m", "celery", "-A", "mailer", "worker"),
                    *("--concurrency", "1", "--loglevel", "INFO", "--hostname", host),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment(setting),
                cwd=setting.folder,
            )
            for host in ("one", "two")
        ]
        script = str(HERE / "contenders" / self.script)
        self._producer = Speaker([sys.executable, script], setting, {})
        wait_until(lambda: self._producer.ask("is_up"), seconds=30, what="a worker")

    def stop(self) -> None:
        self._producer.close()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(60)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._log.close()

    def counts(self) -> dict[str, int]:
        found = self.setting.redis.client.hgetall(keys.counts(self.campaign))
        return {letter.decode(): int(count) for letter, count in found.items()}

    def enqueue(self, count: int) -> None:
        self._producer.ask("enqueue", kind="text", count=count, run=self.campaign)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipients", type=int, default=45_000)
    parser.add_argument("--cut", type=float, default=60.0, help="seconds that the link is down")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.inside:
        _measure(wanted)
        return
    if os.geteuid() != 0:
        sys.exit("network namespaces want root: sudo python benchmarks/hosts.py")
    try:
        _build()
        words = [sys.executable, __file__, *sys.argv[1:], "--inside"]
        sys.exit(subprocess.call([*on(HUB), *words]))
    finally:
        for host in ADDRESSES:
            _ip("netns", "del", PREFIX + host, check=False)


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


def _build() -> None:
    """A namespace for each host, all joined by a bridge in the hub's."""
    hub = PREFIX + HUB
    for host in ADDRESSES:
        _ip("netns", "add", PREFIX + host)
        _ip("-n", PREFIX + host, "link", "set", "lo", "up")
    _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
    _ip("-n", hub, "address", "add", f"{ADDRESSES[HUB]}/24", "dev", "bridge")
    _ip("-n", hub, "link", "set", "bridge", "up")
    for host, address in ADDRESSES.items():
        if host == HUB:
            continue
        far = PREFIX + host
        _ip("-n", hub, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", far)
        _ip("-n", hub, "link", "set", host, "master", "bridge", "up")
        _ip("-n", far, "address", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", far, "link", "set", "eth0", "up")


def _at(server: Child, host: str) -> Child:
    server.host = ADDRESSES[host]
    return server


def _measure(wanted: argparse.Namespace) -> None:
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="mailer-hosts-") as folder:
        redis: Any = stack.enter_context(_at(OpenRedis(on("redis")), "redis"))
        sink: Any = stack.enter_context(_at(KeepingSink(on("smtp")), "smtp"))
        far = Distance(sink, RTT)
        far.prefix = on("smtp")
        door = stack.enter_context(_at(far, "smtp"))
        setting = Setting(redis, sink, door, RTT, Path(folder), connections=10, account=_ACCOUNT)
        with Cluster(setting) as cluster:
            story = _story(cluster, wanted)
        seen = sink.recipients()
    told, is_right = _told(story, seen, wanted)
    print(told)
    wanted.output.mkdir(parents=True, exist_ok=True)
    (wanted.output / "hosts.md").write_text(told)
    (wanted.output / "hosts.json").write_text(json.dumps(story, indent=1))
    if not is_right:
        sys.exit("something was lost, or sent twice")


class OpenRedis(Redis):
    """A Redis that other hosts reach; there are none but the benchmark's."""

    def command(self) -> list[str]:
        return [*super().command(), "--protected-mode", "no"]


def _story(cluster: Cluster, wanted: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    story: dict[str, Any] = {"looks": []}

    def look() -> dict[str, int]:
        counts = cluster.counts()
        story["looks"].append([round(time.monotonic() - began, 1), counts])
        return counts

    def is_over() -> bool:
        counts = look()
        return not any(counts.get(letter) for letter in OPEN)

    cluster.enqueue(wanted.recipients)
    print(f"{wanted.recipients:,} queued after {time.monotonic() - began:.1f} s", flush=True)
    quarter = wanted.recipients // 4
    wait_until(lambda: look().get("a", 0) > quarter, seconds=300, what="a quarter", every=0.5)
    _ip("link", "set", "one", "down")
    story["cut"] = look()
    print(f"link down after {time.monotonic() - began:.1f} s: {story['cut']}", flush=True)
    time.sleep(wanted.cut)
    _ip("link", "set", "one", "up")
    story["mended"] = look()
    print(f"link up after {time.monotonic() - began:.1f} s: {story['mended']}", flush=True)
    wait_until(is_over, seconds=600, what="the end of the campaign", every=0.5)
    story["seconds"] = time.monotonic() - began
    story["counts"] = cluster.counts()
    return story


def _told(
    story: dict[str, Any], seen: Counter[bytes], wanted: argparse.Namespace
) -> tuple[str, bool]:
    counts = story["counts"]
    accepted, uncertain = counts.get("a", 0), counts.get("u", 0)
    twice = sum(1 for times in seen.values() if times > 1)
    expected = {row["email"].encode() for row in letters.rows(wanted.recipients)}
    not_seen = len(expected - set(seen))
    is_right = accepted + uncertain == wanted.recipients and not twice and not_seen <= uncertain
    during = story["mended"].get("a", 0) - story["cut"].get("a", 0)
    return (
        f"""\
## Two workers on hosts of their own, one cut off for {wanted.cut:.0f} s in the middle

| | |
|---|---:|
| recipients | {wanted.recipients:,} |
| accepted, says the ledger | {accepted:,} |
| uncertain, held to be judged (at most one a connection) | {uncertain} |
| mails that the sink has | {sum(seen.values()):,} |
| recipients that the sink has twice | {twice} |
| recipients that the sink has not (all of them uncertain) | {not_seen} |
| accepted while the link was down | {during:,} ({during / wanted.cut:,.0f}/s) |
| all final after | {story["seconds"]:,.0f} s |
""",
        is_right,
    )


if __name__ == "__main__":
    main()
