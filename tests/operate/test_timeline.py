"""A campaign's outcomes over time: few enough steps for a picture, without a gap, and nobody lost."""

from itertools import pairwise
from time import time

import pytest

from mailer.config import Settings
from mailer.mail.status import Status
from mailer.operate.campaigns import status
from mailer.operate.timeline import STEPS, timeline
from mailer.store.ledger import Ledger, Settlement
from mailer.store.views.minutes import KEPT_DAYS
from tests.store.batches import claim, enqueue, open_campaign

MINUTE = 60.0
HOUR, DAY = 60 * MINUTE, 1440 * MINUTE


@pytest.fixture
def settings(redis_url):
    return Settings(redis=redis_url)


def settle(client, ago, *statuses, began=None):
    """A batch whose recipients became final so many seconds ago."""
    ref, _ = enqueue(client, range(len(statuses)) if began is None else began)
    claimed = claim(client, ref, now=time() - ago, lease=60.0)
    settled = [Settlement(p, s) for p, s in zip(claimed.positions, statuses, strict=True)]
    Ledger(client).commit(claimed, settled, (), time() - ago, None)


def run(client, moments):
    """A campaign with one recipient accepted at each of *moments*, in seconds before now."""
    open_campaign(client)
    for number, ago in enumerate(sorted(moments, reverse=True)):
        settle(client, ago, Status.ACCEPTED, began=[number])


def drawn(settings):
    return timeline(settings, status(settings, "spring"))


def test_before_anybody_is_final_there_is_nothing_to_draw(client, settings):
    open_campaign(client)
    enqueue(client, [1, 2])
    assert drawn(settings).steps == ()


@pytest.mark.parametrize(
    ("status_", "counted"),
    [
        (Status.ACCEPTED, (1, 0, 0)),
        (Status.REJECTED, (0, 1, 0)),
        (Status.UNCERTAIN, (0, 0, 1)),
        (Status.DEAD, (0, 0, 1)),
    ],
)
def test_each_outcome_is_accepted_refused_or_held(client, settings, status_, counted):
    open_campaign(client)
    settle(client, 0, status_)
    (step,) = drawn(settings).steps
    assert (step.accepted, step.refused, step.held) == counted
    assert step.total == 1


@pytest.mark.parametrize(
    ("span", "length"),
    [
        (0, 1),
        (50 * MINUTE, 1),
        (100 * MINUTE, 2),
        (4 * HOUR, 5),
        (9 * HOUR, 10),
        (14 * HOUR, 15),
        (28 * HOUR, 30),
        (2 * DAY, 60),
        (4 * DAY, 120),
        (9 * DAY, 240),
        (19 * DAY, 480),
        (28 * DAY, 1440),
    ],
)
def test_steps_are_as_short_as_the_picture_allows(client, settings, span, length):
    run(client, [span, 0] if span else [0])
    found = drawn(settings)
    assert found.minutes == length
    assert 1 <= len(found.steps) <= STEPS
    assert sum(step.total for step in found.steps) == (2 if span else 1)


def test_steps_follow_each_other_without_a_gap(client, settings):
    run(client, [3 * HOUR, 2 * HOUR, 0])
    found = drawn(settings)
    times = [step.at for step in found.steps]
    assert {later - earlier for earlier, later in pairwise(times)} == {found.minutes * MINUTE}
    assert all(at % (found.minutes * MINUTE) == 0 for at in times)
    assert [step.total for step in found.steps if step.total] == [1, 1, 1]
    assert found.steps[0].total == found.steps[-1].total == 1, "it begins and ends with somebody"


def test_of_a_campaign_older_than_a_month_the_last_month_is_drawn(client, settings):
    run(client, [(KEPT_DAYS + 10) * DAY, DAY, 0])
    assert sum(step.total for step in drawn(settings).steps) == 2
