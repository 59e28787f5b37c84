"""Pause, resume and cancel, as the mail server sees them: within a second, on every worker."""

import time

import pytest

from mailer import campaign
from tests.chaos.assault import elapse
from tests.chaos.world import Verdict, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

COUNT = 800


def accepted_after(world, when):
    return [event for event in world.events("accepted") if event["at"] > when]


def test_no_message_starts_a_second_after_pause_or_cancel_on_any_worker(world):
    world.wish({"delay": 0.1})
    world.start_worker(concurrency=2)
    world.start_worker(pool="threads", concurrency=2)
    world.enqueue(COUNT)
    wait_until(lambda: len(world.events("accepted")) > 100, what="a campaign under way")

    campaign.pause(world.kept(), "spring")
    paused = time.time()
    elapse(2.5)
    assert accepted_after(world, paused + 1) == []
    assert world.progress().open > 0, world.words()

    before = len(world.events("accepted"))
    campaign.resume(world.kept(), "spring")
    wait_until(lambda: len(world.events("accepted")) > before + 50, 5, "the campaign to go on")

    campaign.cancel(world.kept(), "spring")
    cancelled = time.time()
    elapse(1.5)
    assert accepted_after(world, cancelled + 1) == []
    verdict = Verdict(world, COUNT)
    verdict.is_once(at_most_uncertain=0)
    assert verdict.outcomes["cancelled"] > 0
