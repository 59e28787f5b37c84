"""``make soak``: an hour at a modest rate, with something broken every few seconds; does anything grow?

Campaigns arrive one after another and single messages all the time, while workers, producers, Redis, the
mail server and the network between them are killed, stopped and cut at random. Once a minute everything
is counted that could leak. At the end each recipient must be final and equal on three sides (the mail
server's record, the ledger, the history), nobody lost, nobody twice who was to be held, nothing grown.

    python -m tests.chaos.soak --minutes 60 --seed 7
"""

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from redis import exceptions as redis_errors

from mailer.errors import MailerError
from tests.chaos import assault
from tests.chaos.soak.books import Books, Mailing
from tests.chaos.soak.counts import HEADING, Counts
from tests.chaos.soak.world import LATER, SoakWorld
from tests.chaos.world import kill_host

PACE = 10
"""Messages of campaigns a second, on average."""

PAUSES = (6.0, 24.0)
"""Seconds between two faults."""

SETTLES_WITHIN = 300.0
"""Seconds for the last recipient to become final, once nothing is broken any more."""

SINGLES = "send.hello.hold"


def away_redis(world, workers, rng):
    """Redis is away for longer than commands wait."""
    kill_host(world.redis)
    assault.elapse(rng.uniform(3, 15))
    world.start_redis()


def server_network(world, workers, rng):
    """Nothing gets through to the mail server for a while."""
    with world.smtp_proxy.silence():
        assault.elapse(rng.uniform(2, 8))


class Soak:
    """One run: what is due when, and who is there to be hit."""

    def __init__(self, world, seed):
        self.world = world
        self.rng = random.Random(seed)
        self.books = Books(world)
        self.books.mailings.append(Mailing(SINGLES, None, "hold", is_enqueued=True))
        self.producers = {}
        self.faults = Counter()
        self.oddities = []
        self.again = 0
        self.workers = [world.start_worker(concurrency=2)]
        # They meet every outage and are never replaced: what they lose, they lose for good.
        self.veterans = {
            "worker (threads)": world.start_worker("threads", 2),
            "worker (prefork's main)": world.start_worker(concurrency=1),
            "shop": world.start_shop("shop", 1),
        }
        self.till = world.start_shop("till", 2)
        self.counts = Counts(world, self.veterans)

    def run(self, seconds):
        now = began = time.monotonic()
        campaign_at, fault_at, minute_at = now, now + 30, now
        while (now := time.monotonic()) < began + seconds:
            if now >= campaign_at:
                campaign_at = now + self.begin_campaign() / PACE
            if now >= fault_at:
                self.break_something()
                fault_at = time.monotonic() + self.rng.uniform(*PAUSES)
            if now >= minute_at:
                minute_at += 60
                self.minute((now - began) / 60)
            self.go_on()
            assault.elapse(0.2)

    def begin_campaign(self):
        number = len(self.books.mailings)
        one = Mailing(
            f"c{number}", self.rng.randrange(60, 400), self.rng.choice(["hold", "hold", "resend"])
        )
        self.books.mailings.append(one)
        self.world.wish({"answer": ["RCPT", f"<r1.{one.name}@", LATER, 3]})
        self._produce(one)
        return one.count

    def _produce(self, one):
        process = self.world.start_producer(one.count, one.name, one.on_uncertain)
        self.producers[one.name] = (one, process)

    def go_on(self):
        """Producers that were killed, or met a Redis that was away, are run again; so are the dead."""
        for one, process in list(self.producers.values()):
            if process.poll() is None:
                continue
            if process.returncode == 0:
                one.is_enqueued = True
                del self.producers[one.name]
            else:
                self.again += 1
                self._produce(one)
        if self.till.poll() is not None:
            self.till = self.world.start_shop("till", 2)
        for worker in [one for one in self.workers if one.poll() is not None]:
            self.oddities.append(f"a worker ended by itself with {worker.returncode}")
            self.workers.remove(worker)
            self.workers.append(self.world.start_worker(concurrency=2))

    def break_something(self):
        fault = self.rng.choice([*assault.ALL, away_redis, server_network, self.producer])
        self.faults[fault.__name__] += 1
        hits_all = fault in {assault.child, assault.frozen_worker}
        prefork = [*self.workers, self.veterans["worker (prefork's main)"]]
        try:
            fault(self.world, prefork if hits_all else self.workers, self.rng)
        except (AssertionError, redis_errors.RedisError, OSError) as exc:
            self.oddities.append(f"{fault.__name__}: {str(exc)[:300]}")
            self.world.mend()

    def producer(self, _world, _workers, _rng):
        """``kill -9`` of all that enqueue, but for the one that is to live."""
        for process in (self.till, *(process for _, process in self.producers.values())):
            kill_host(process)

    def minute(self, number):
        with contextlib.suppress(MailerError, redis_errors.RedisError, OSError):
            self.books.look()
        found = self.counts.take()
        said = [f"{name} {found[name]:.0f}" for name in sorted(found) if "descr" in name]
        said += [f"{name} {found[name]:.1f}" for name in sorted(found) if name.endswith("MiB")]
        over = sum(one.outcomes is not None for one in self.books.mailings)
        begun, keys = len(self.books.mailings) - 1, found.get("Redis, keys", 0)
        print(
            f"{number:5.1f} min: {self.books.accepted.total():,} taken, {begun} campaigns, {over} whole, "
            f"{self.faults.total()} faults, {len(self.oddities)} odd, {keys} keys; "
            + ", ".join(said),
            flush=True,
        )

    def settle(self):
        """Nothing is broken any more: wait until all is over; returns what is not."""
        ends = time.monotonic() + SETTLES_WITHIN
        while self.producers and time.monotonic() < ends:
            self.go_on()
            assault.elapse(0.2)
        self.world.close_shops()
        unequal = [f"{name} was never enqueued whole" for name in self.producers]
        while time.monotonic() < ends:
            assault.elapse(2)
            with contextlib.suppress(redis_errors.RedisError):
                still = self.books.close()
                if not still:
                    break
        else:
            unequal += still
        for name, process in self.veterans.items():
            if name != "shop" and process.poll() is not None:
                self.oddities.append(f"{name} ended with {process.returncode}")
        return unequal + self.oddities


def report(soak, unequal):
    """Print sums and growth; returns whether all is well."""
    sums, twice, wrong = soak.books.verdict()
    growths = list(soak.counts.growths())
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(soak.faults.items())))
    print(f"producers run again after an error or a kill: {soak.again}")
    said = ", ".join(f"{number:,} {word}" for word, number in sorted(sums.items()))
    print(
        f"{soak.books.accepted.total():,} taken by the mail server; when each campaign was over: {said}; "
        f"accepted twice, all where that was asked for: {twice}"
    )
    print(HEADING)
    for growth in growths:
        print(growth.line())
    wrong += unequal + [f"{one.name} grows" for one in growths if not one.is_fine]
    for line in wrong:
        print("WRONG:", line)
    print("all is well" if not wrong else f"{len(wrong)} things are wrong")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--keep", action="store_true", help="leave the folder, also if all is well")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    folder = Path(tempfile.mkdtemp(prefix="mailer-soak-"))
    print(f"seed {given.seed}, {given.minutes:g} minutes, in {folder}", flush=True)
    kept = max(1, min(5, round(given.minutes / 10)))
    with SoakWorld(
        folder / "world", kept, connections=10, sweep_every=1, requeue_after=5, lease=2
    ) as world:
        soak = Soak(world, given.seed)
        soak.run(given.minutes * 60)
        is_well = report(soak, soak.settle())
    if is_well and not given.keep:
        shutil.rmtree(folder)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
