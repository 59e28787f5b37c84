"""Has composing, enqueueing or delivering a message become dearer? Answers within seconds, for CI.

    python benchmarks/smoke.py             fails where one costs 1.5 times what is stored
    python benchmarks/smoke.py --store     stores what it measures in smoke.json

What is compared is CPU time a message, in units of calibration loops that run before each piece of work;
of several short runs the cheapest counts. So a slow or busy machine changes little. Composing, enqueueing
and delivering are this process's alone. *redis* is what its Redis takes for a message to be enqueued and
delivered, by its own account. *deliver* and *redis* together are what docs/performance.md calls a
newsletter's workers and Redis, without what Celery's main process takes for a task.
"""

import argparse
import itertools
import json
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import letters
from servers import HERE, Redis

from mailer import Campaign, Settings
from mailer.compose import Composer, Design
from mailer.deliver.delivery import Delivery
from mailer.mail.payload import VERSION
from mailer.mail.recipients import Recipient, parse
from mailer.queues.application import application
from mailer.queues.broker import Broker
from mailer.store.connection import connect
from mailer.store.workers.able import Able

STORED = HERE / "smoke.json"
TOLERANCE = 1.5
MESSAGES = 400
BATCH = 400
ROUNDS = 7

Work = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", action="store_true", help="take these ratios as the good ones")
    wanted = parser.parse_args()
    measured = _measured()
    known = json.loads(STORED.read_text()) if STORED.is_file() else {}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if wanted.store:
        known[python] = {name: round(ratio, 3) for name, (ratio, _) in measured.items()}
        STORED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    good = known.get(python) or (known[max(known)] if known else {})
    if _dearer(measured, good):
        # A neighbour on the machine may take caches and clock for seconds: what is dearer is so twice.
        again = _measured()
        measured = {name: min(cost, again[name]) for name, cost in measured.items()}
    for name, (ratio, us) in measured.items():
        was = good.get(name, ratio)
        print(f"{name:8} {us:7.1f} us CPU a message, {ratio:6.2f} units, stored {was:6.2f}")
    if dearer := _dearer(measured, good):
        sys.exit("\n".join(dearer))


def _dearer(measured: dict[str, tuple[float, float]], good: dict[str, float]) -> list[str]:
    """What costs more than is tolerated, in words."""
    return [
        f"{name} costs {ratio / good[name]:.2f} times what is stored in {STORED.name}"
        for name, (ratio, _) in measured.items()
        if name in good and ratio > TOLERANCE * good[name]
    ]


def _measured() -> dict[str, tuple[float, float]]:
    """For each piece of work: its cost in units of the calibration loop, and in microseconds."""
    recipients = [parse(row, number) for number, row in enumerate(letters.rows(MESSAGES), 1)]
    everyone = [one for one in recipients if isinstance(one, Recipient)]
    with tempfile.TemporaryDirectory() as folder, Redis() as redis:
        receiver = subprocess.Popen(
            [sys.executable, str(HERE / "blackhole.py")], stdout=subprocess.PIPE, text=True
        )
        try:
            assert receiver.stdout is not None
            settings = _settings(Path(folder), redis, int(receiver.stdout.readline()))
            works = _works(settings, everyone)
            return _cheapest(works, redis)
        finally:
            receiver.terminate()
            receiver.communicate()


def _cheapest(works: dict[str, Work], redis: Redis) -> dict[str, tuple[float, float]]:
    for work in works.values():
        work()
    thinking, talking, costs = [], [], {name: [] for name in (*works, "redis")}
    for _ in range(ROUNDS):
        before = redis.cpu_seconds()
        for name, work in works.items():
            thinking.append(_cpu(_think))
            talking.append(_cpu(_talk))
            costs[name].append(_cpu(work) / MESSAGES)
        costs["redis"].append((redis.cpu_seconds() - before) / MESSAGES)
    both = min(thinking) + min(talking)
    units = dict.fromkeys(works, min(thinking)) | {"deliver": both, "redis": both}
    return {
        name: (min(found) * 1000 / units[name], min(found) * 1e6) for name, found in costs.items()
    }


def _cpu(work: Work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _talk() -> None:
    """What delivery is made of besides: octets through the kernel, which a busy machine makes dearer."""
    here, there = socket.socketpair()
    with here, there:
        for _ in range(300):
            here.send(bytes(8192))
            there.recv(8192)


def _think() -> None:
    """What mail is made of: strings cut and joined, dictionaries, octets, a little compression."""
    text = "Grüße aus Łódź, {name}: https://news.shop.example/?r={token}\r\n"
    found = {}
    for number in range(4000):
        line = text.format(name=f"reader{number}", token=number)
        found[line[:40]] = line.encode().split(b" ")
    zlib.crc32(zlib.compress(b"".join(b" ".join(words) for words in found.values()), 1))


def _settings(folder: Path, redis: Redis, port: int) -> Settings:
    account = {"url": f"smtp://127.0.0.1:{port}", "max_connections": 4}
    return Settings.model_validate(
        {
            "redis": redis.url,
            "templates": letters.TEMPLATES,
            "batch_size": BATCH,
            "accounts": {"primary": account},
        },
        context={"folder": folder},
    )


def _works(settings: Settings, everyone: list[Recipient]) -> dict[str, Work]:
    composer = Composer(
        Design(
            campaign="smoke",
            template="newsletter",
            sender=letters.SENDER,
            templates_path=letters.TEMPLATES,
        )
    )
    rows = list(letters.rows(MESSAGES))
    delivery = Delivery(settings, connect(settings.redis))
    app = application(settings.broker_url)
    waiting: list[str] = []

    def compose() -> None:
        for one in everyone:
            composer.compose(one)

    able = Able(connect(settings.redis))

    def enqueue() -> None:
        # As beside workers of this version.
        able.announce("smoke", ["primary"], VERSION, time.time())
        campaign = Campaign(
            f"smoke-{uuid.uuid4().hex[:12]}",
            template="newsletter",
            sender=letters.SENDER,
            settings=settings,
        )
        campaign.enqueue(rows)
        waiting.append(campaign.name)

    def deliver() -> None:
        for name in waiting:
            left = MESSAGES
            for number in itertools.count(1):
                report = delivery.deliver(f"{name}:{number}")
                left -= report.counts["accepted"]
                if left <= 0:
                    break
                if not report.counts["accepted"]:
                    raise SystemExit(f"{name} was not delivered: {report}")
        waiting.clear()

    Broker(app).check()
    return {"compose": compose, "enqueue": enqueue, "deliver": deliver}


if __name__ == "__main__":
    main()
