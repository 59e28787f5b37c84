"""What people do about campaigns: look at them, pause, resume and cancel them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import CampaignChangedError, CampaignNotFoundError
from mailer.mail.policy import CampaignPolicy
from mailer.operate.failures import unaccepted
from mailer.queues.connections import Producer
from mailer.store.campaigns import CANCELLED, PAUSED, RUNNING, Failure
from mailer.store.campaigns import Progress as Status
from mailer.store.events import Aside, Backlog

__all__ = [
    "Page",
    "Status",
    "cancel",
    "failures",
    "late",
    "page",
    "pause",
    "policy",
    "resume",
    "set_aside",
    "standing",
    "status",
    "statuses",
]


LOOKED_AT: Final = 200
"""Campaigns whose progress one page of a list asks for at most."""

LATE = 60.0
"""Seconds that an event may wait before people are told that it does."""


def status(settings: Settings, name: str) -> Status:
    """How far the campaign is. Raises `CampaignNotFoundError`."""
    return Producer(settings).campaigns.progress(name, time())


def policy(settings: Settings, name: str) -> CampaignPolicy:
    """How the campaign is to be delivered: hours, retries, accounts. Raises `PayloadError`."""
    return Producer(settings).campaigns.policy(name)


def statuses(settings: Settings) -> list[Status]:
    """How far each campaign is, the newest first."""
    campaigns = Producer(settings).campaigns
    return [campaigns.progress(name, time()) for name in campaigns.names()]


@dataclass(frozen=True, slots=True)
class Page:
    """Some campaigns, and from which number of all to go on; None at the end."""

    campaigns: tuple[Status, ...]
    more: int | None


def page(
    settings: Settings, *, start: int = 0, size: int = 25, name: str = "", state: str = ""
) -> Page:
    """At most *size* campaigns from the *start*-th on, the newest first.

    Those whose name has *name* in it, and that are in *state*, a word of `standing`. Looks at
    `LOOKED_AT` campaigns at most: there may be more where it ends.
    """
    campaigns, now = Producer(settings).campaigns, time()
    found: list[Status] = []
    looked = 0
    for number, one in enumerate(campaigns.names()[start:], start):
        if name.lower() not in one.lower():
            continue
        if looked == LOOKED_AT or len(found) == size:
            return Page(tuple(found), number)
        looked += 1
        try:
            progress = campaigns.progress(one, now)
        except CampaignNotFoundError:  # forgotten meanwhile
            continue
        if state in ("", standing(progress)):
            found.append(progress)
    return Page(tuple(found), None)


def standing(one: Status) -> str:
    """In one word: ``running``, ``paused``, ``cancelled`` or ``finished``."""
    return "finished" if one.final and one.state == RUNNING else one.state


def failures(settings: Settings, name: str) -> Iterator[Failure]:
    """Everyone in the campaign who was not accepted, and why. Raises `CampaignNotFoundError`."""
    return unaccepted(settings, name)


def pause(settings: Settings, name: str) -> None:
    """Start no message of the campaign more, on any worker, from a second after this returns."""
    if Producer(settings).campaigns.set_state(name, PAUSED) == CANCELLED:
        raise _already_cancelled(name)


def resume(settings: Settings, name: str, *, accept_rate: bool = False) -> None:
    """Go on with a paused campaign; with *accept_rate* it pauses itself no more for what comes back."""
    producer = Producer(settings)
    if producer.campaigns.set_state(name, RUNNING) == CANCELLED:
        raise _already_cancelled(name)
    if accept_rate:
        producer.campaigns.accept_rate(name)
    producer.wake(f"campaign:{name}")


def cancel(settings: Settings, name: str) -> int:
    """Send nothing more of the campaign, for good; returns how many recipients that settled at once."""
    campaigns = Producer(settings).campaigns
    campaigns.set_state(name, CANCELLED)
    return sum(campaigns.cancel_batches(name))


def late(settings: Settings) -> list[Backlog]:
    """Who follows what happens, and is late or does not get on."""
    found = Producer(settings).store.events.backlogs(time())
    return [one for one in found if one.messages and (one.trouble or one.age > LATE)]


def set_aside(settings: Settings) -> Mapping[str, int]:
    """How many deliveries of events lie aside, by consumer."""
    return Aside(Producer(settings).client).counts()


def _already_cancelled(name: str) -> CampaignChangedError:
    return CampaignChangedError(f"campaign {name!r} was cancelled, and stays so")
