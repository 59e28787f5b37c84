"""What became of a campaign's recipients over time: few enough steps for a picture."""

from dataclasses import dataclass
from time import time
from typing import Final

from mailer.config import Settings
from mailer.mail.status import Status
from mailer.queues.connections import Producer
from mailer.store.course.progress import Progress
from mailer.store.views.minutes import KEPT_DAYS, minutes

STEPS: Final = 60
"""How many steps a picture has at most."""

_LENGTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)


@dataclass(frozen=True, slots=True)
class Step:
    """Recipients that became final from *at* (seconds since the epoch) on, until the next step."""

    at: float
    accepted: int
    refused: int
    held: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.accepted + self.refused + self.held


@dataclass(frozen=True, slots=True)
class Timeline:
    """Steps of *minutes* each, without a gap; *refused* are rejected, *held* uncertain or dead."""

    minutes: int
    steps: tuple[Step, ...]


def timeline(settings: Settings, campaign: Progress) -> Timeline:
    """The campaign's outcomes by time: from its first to its newest, of the last month at most."""
    now = time()
    since = max(campaign.started or campaign.created, now - KEPT_DAYS * 86400)
    client = Producer(settings).client
    found = minutes(client, campaign.campaign, since, max(campaign.active or now, since) + 60)
    if not found:
        return Timeline(1, ())
    first, last = min(found), max(found)
    length = next((one for one in _LENGTHS if (last - first) // one < STEPS), _LENGTHS[-1])
    counted: dict[int, dict[Status, int]] = {}
    for minute, numbers in found.items():
        step = counted.setdefault(minute // length, {})
        for status, number in numbers.items():
            step[status] = step.get(status, 0) + number
    places = range(first // length, last // length + 1)
    return Timeline(length, tuple(_step(n * length * 60, counted.get(n, {})) for n in places))


def _step(at: float, numbers: dict[Status, int]) -> Step:
    held = numbers.get(Status.UNCERTAIN, 0) + numbers.get(Status.DEAD, 0)
    return Step(at, numbers.get(Status.ACCEPTED, 0), numbers.get(Status.REJECTED, 0), held)
