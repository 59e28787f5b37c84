"""Pause, resume and cancel, as the mail server sees them: within a second, on every worker."""

import time

import pytest

from mailer.operate import campaigns
from tests.chaos.world import Verdict, World, wait_until
from tests.conftest import has_the_machine_to_itself

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

COUNT = 1_000

SOON = 1.0 if has_the_machine_to_itself() else 6.0
"""Seconds: what is promised, and what is asked of a machine that does other work beside."""


@pytest.fixture
def world(tmp_path):
    with World(tmp_path / "world", lease=15) as started:
        yield started


def accepted_after(world, when):
    return [event for event in world.events("accepted") if event["at"] > when]


def is_quiet(world):
    """Whether nothing has come for longer than a second."""
    return time.time() - world.events("accepted")[-1]["at"] > 1.5


def test_no_message_starts_a_second_after_pause_or_cancel_on_any_worker(world):
    world.wish({"delay": 0.2})
    world.start_worker(concurrency=2)
    world.start_worker(pool="threads", concurrency=2)
    world.enqueue(COUNT)
    wait_until(lambda: len(world.events("accepted")) > 100, what="a campaign under way")

    campaigns.pause(world.kept(), "spring")
    paused = time.time()
    wait_until(lambda: is_quiet(world), what="quiet")
    assert accepted_after(world, paused + SOON) == []
    assert world.progress().open > 0, world.words()

    before = len(world.events("accepted"))
    campaigns.resume(world.kept(), "spring")
    wait_until(lambda: len(world.events("accepted")) > before + 50, what="the campaign to go on")

    campaigns.cancel(world.kept(), "spring")
    cancelled = time.time()
    wait_until(lambda: is_quiet(world), what="quiet")
    assert accepted_after(world, cancelled + SOON) == []
    verdict = Verdict(world, COUNT)
    verdict.is_once(at_most_uncertain=0)
    assert verdict.outcomes["cancelled"] > 0
