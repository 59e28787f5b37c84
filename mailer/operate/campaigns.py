"""What people do about campaigns: look at them, move, pause, resume and cancel them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import CampaignChangedError
from mailer.mail.policy import CampaignPolicy
from mailer.operate.health import nobody_works
from mailer.operate.states import STATES, states_of, told
from mailer.queues.connections import Producer
from mailer.queues.publish import publish
from mailer.store.campaigns import CANCELLED, PAUSED, RUNNING, Failure
from mailer.store.course.pending import Pending
from mailer.store.course.progress import Progress as Status
from mailer.store.course.schedule import Schedule
from mailer.store.events import Aside, Backlog
from mailer.store.feedback.receivers import Receivers

__all__ = [
    "STATES",
    "Page",
    "Status",
    "cancel",
    "failures",
    "held",
    "late",
    "may_be_sent",
    "page",
    "pause",
    "policy",
    "resume",
    "schedule",
    "set_aside",
    "status",
    "statuses",
    "unattended",
]


LOOKED_AT: Final = 200
"""Campaigns whose progress one page of a list asks for at most."""

_PAGE: Final = 100

AT_REST: Final = 60.0
"""Seconds since a campaign's last outcome after which it is asked whether its batches are still there."""

LATE = 60.0
"""Seconds that an event may wait before people are told that it does."""


def status(settings: Settings, name: str) -> Status:
    """How far the campaign is. Raises `CampaignNotFoundError`."""
    producer, now = Producer(settings), time()
    return _told(producer, [producer.campaigns.progress(name, now)], now)[0]


def policy(settings: Settings, name: str) -> CampaignPolicy:
    """How the campaign is to be delivered: hours, retries, accounts. Raises `PayloadError`."""
    return Producer(settings).campaigns.policy(name)


def statuses(settings: Settings, since: float = 0.0, state: str = "") -> Iterator[Status]:
    """How far each campaign is, the newest first, streamed.

    Only those first enqueued at *since* or later, and in that *state*, one of `STATES`.
    """
    producer, now = Producer(settings), time()
    found = producer.campaigns.progresses(producer.campaigns.names(since), now)
    while page := list(islice(found, _PAGE)):
        for one in _told(producer, page, now):
            if not state or state in states_of(one):
                yield one


def _told(producer: Producer, found: Sequence[Status], now: float) -> list[Status]:
    """The same with their states in words; what waits is looked for where somebody is open."""
    moving = [one for one in found if one.open and one.state == RUNNING and one.start <= now]
    names = sorted({name for one in moving for name in one.accounts})
    breaker = producer.links.breaker
    accounts = {name: breaker.state(name, now) for name in names}
    by_name = {one.campaign: one for one in moving}
    waits = producer.campaigns.pending([*by_name], names, now)
    # Asked only where it may be the reason: who watches looks each second.
    idle = names if any(one.idle and one.waiting for one in waits.values()) else ()
    subjects = [f"{kind}:{name}" for name in idle for kind in ("account", "secret")]
    lacking = producer.links.able.nobody_can(subjects, now) if subjects else ()
    lost = {name: _lost(producer, one, now) for name, one in by_name.items() if not waits[name].any}
    return [
        told(
            replace(one, unheld=lost.get(one.campaign, 0)),
            waits.get(one.campaign, Pending()),
            accounts,
            lacking,
            now,
        )
        for one in found
    ]


def _lost(producer: Producer, one: Status, now: float) -> int:
    """How many of a campaign, none of whose batches is to be seen, are in no batch."""
    if not one.enqueued or now - max(one.active or 0.0, one.created) < AT_REST:
        return 0
    return len(producer.links.unheld.unheld_in(one.campaign))


def schedule(settings: Settings, name: str, start: float) -> None:
    """Let the campaign begin at *start*, seconds since the epoch: at once where that is over.

    What is being transmitted is finished. Raises `CampaignNotFoundError`, `InputError` where nobody of it
    is open, `CampaignChangedError` where it was cancelled.
    """
    producer, now = Producer(settings), time()
    moved = Schedule(producer.client).move(name, now, start)
    publish(producer.broker, producer.ledger, moved)


@dataclass(frozen=True, slots=True)
class Page:
    """Some campaigns, and from which number of all to go on; None at the end."""

    campaigns: tuple[Status, ...]
    more: int | None


def page(
    settings: Settings, *, start: int = 0, size: int = 25, name: str = "", state: str = ""
) -> Page:
    """At most *size* campaigns from the *start*-th on, the newest first.

    Those whose name has *name* in it, and that are in *state*, one of `STATES`. Looks at `LOOKED_AT`
    campaigns at most: there may be more where it ends.
    """
    producer, now = Producer(settings), time()
    named = enumerate(producer.campaigns.names())
    fitting = {one: n for n, one in named if n >= start and name.lower() in one.lower()}
    looked = list(islice(fitting, LOOKED_AT + 1))
    progresses = producer.campaigns.progresses(looked[:LOOKED_AT], now)
    found: list[Status] = []
    while part := list(islice(progresses, size)):
        for one in _told(producer, part, now):
            if state and state not in states_of(one):
                continue
            if len(found) == size:
                return Page(tuple(found), fitting[one.campaign])
            found.append(one)
    return Page(tuple(found), fitting[looked[-1]] if len(looked) > LOOKED_AT else None)


def failures(settings: Settings, name: str) -> Iterator[Failure]:
    """Everyone in the campaign who was not accepted, and why. Raises `CampaignNotFoundError`."""
    from mailer.operate.failures import unaccepted  # noqa: PLC0415 - `status` does without

    return unaccepted(settings, name)


def pause(settings: Settings, name: str) -> bool:
    """Start no message of the campaign more, on any worker, from a second after this returns.

    False where it is over: its state stays as it is.
    """
    campaigns = Producer(settings).campaigns
    if _is_over(campaigns.progress(name, time())):
        return False
    if campaigns.set_state(name, PAUSED) == CANCELLED:
        raise _already_cancelled(name)
    return True


def resume(settings: Settings, name: str, *, accept_rate: bool = False) -> bool:
    """Go on with a paused campaign; with *accept_rate* it pauses itself no more for what comes back.

    False where it is over: there is nothing to go on with.
    """
    producer = Producer(settings)
    if _is_over(producer.campaigns.progress(name, time())):
        return False
    if producer.campaigns.set_state(name, RUNNING) == CANCELLED:
        raise _already_cancelled(name)
    if accept_rate:
        Receivers(producer.client).let_go(name)
        producer.wake(f"receivers:{name}")
    producer.wake(f"campaign:{name}")
    return True


def cancel(settings: Settings, name: str) -> int | None:
    """Send nothing more of the campaign, for good; returns how many recipients that settled at once.

    Those whom no batch holds are among them, and stay known as people who may have got it.
    None where it is over: its state stays as it is. What lies in the dead letters could still be
    replayed: a campaign with such is not over here.
    """
    producer = Producer(settings)
    campaigns = producer.campaigns
    progress = campaigns.progress(name, time())
    has_letters = any(progress.outcomes.get(word) for word in ("dead", "uncertain"))
    if _is_over(progress) and not has_letters:
        return None
    campaigns.set_state(name, CANCELLED)
    for _ in campaigns.cancel_batches(name):
        pass  # some at a time: Redis serves others between
    producer.links.unheld.settle_unheld(name)
    # Not the sum of what each step says: one whose reply was lost is repeated, and finds nothing.
    now = campaigns.progress(name, time())
    return now.outcomes["cancelled"] - progress.outcomes["cancelled"]


def late(settings: Settings) -> list[Backlog]:
    """Who follows what happens, and is late or does not get on."""
    found = Producer(settings).store.events.backlogs(time())
    return [one for one in found if one.messages and (one.trouble or one.age > LATE)]


def held(settings: Settings, name: str) -> str:
    """What is to be said of those of a cancelled campaign whom workers hold; empty where none are."""
    number = status(settings, name).open
    if not number:
        return ""
    return f"workers hold {number:,} more: they finish what is begun and cancel the rest"


def set_aside(settings: Settings) -> Mapping[str, int]:
    """How many deliveries of events lie aside, by consumer."""
    return Aside(Producer(settings).client).counts()


def unattended(settings: Settings) -> int:
    """How many recipients could be sent to now, where no worker runs; else 0."""
    if not nobody_works(settings):
        return 0
    producer, now = Producer(settings), time()
    newest = islice(producer.campaigns.names(), _PAGE)
    found = producer.campaigns.progresses(newest, now)
    return sum(one.open for one in found if may_be_sent(one, now))


def may_be_sent(one: Status, now: float) -> bool:
    """Whether workers may send something of it now: it is neither paused nor left to its time."""
    return bool(one.open) and one.state == RUNNING and one.start <= now


def _is_over(progress: Status) -> bool:
    """Whether nobody of it is open any more, and nobody stopped it before."""
    return progress.final and progress.state == RUNNING


def _already_cancelled(name: str) -> CampaignChangedError:
    return CampaignChangedError(f"campaign {name!r} was cancelled, and stays so")
