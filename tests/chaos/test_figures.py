"""`/metrics` after everything was killed: the ledger's are exact, a worker's never too many."""

import random
import sys
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailer.mail.status import OPEN, Status
from tests.chaos import assault
from tests.chaos.world import Verdict, World, wait_until
from tests.conftest import free_port

pytestmark = [pytest.mark.chaos(long=True), pytest.mark.timeout(600)]

COUNT, SEED, BATCH = 120, 5, 20

METRICS = """
[metrics]
listen = "127.0.0.1:{port}"
"""


def figures(port):
    """Each sample, by its name and the values of its labels."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def served(port):
    try:
        return figures(port)
    except OSError:
        return None


def test_the_figures_are_the_ledgers_and_the_mail_servers_whatever_was_killed(tmp_path):
    web, own = free_port(), free_port()
    world = World(tmp_path / "world")
    world.extra = METRICS.format(port=own)
    with world:
        world.wish({"delay": 0.01})
        world.wish({"answer": ["RCPT", "<r7@", "550 5.1.1 no such user", 1]})
        workers = [world.start_worker(concurrency=2)]
        world._start(sys.executable, "-m", "mailer", "web", "--port", web, log="web.log")
        world.enqueue(COUNT)
        rng = random.Random(SEED)
        for number, one in ((20, assault.child), (40, assault.server), (60, assault.redis)):
            assault.after_accepted(world, number)
            one(world, workers, rng)
        verdict = Verdict(world, COUNT)
        verdict.is_once(at_most_uncertain=60)
        found = wait_until(lambda: served(web), what="mailer web")
        counted = wait_until(lambda: served(own), what="the worker's figures")

    outcomes, account = verdict.outcomes, "primary"
    for status in Status:
        assert found["mailer_recipients", status.word] == outcomes.get(status.word, 0)
        if status not in OPEN:
            said = found.get(("mailer_messages_total", account, status.word), 0)
            assert said == outcomes.get(status.word, 0)
    assert found.get(("mailer_dead_letters", "uncertain"), 0) == verdict.uncertain
    assert found["mailer_queued_batches", "bulk"] == 0
    assert found["mailer_events_lag_seconds", "history"] == 0
    assert found["mailer_logins_total", account, "ok"] <= len(world.events("connected"))
    # The child that was killed may have had a reply that it had not counted; the others have counted all.
    taken = counted["mailer_replies_total", account, "250", "final"]
    assert outcomes["accepted"] - BATCH <= taken <= len(world.events("accepted"))
