"""How one person is taken out of everything, and what is found of her on the way."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic, sleep, time
from typing import Final

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.counts import plural
from mailer.mail.recipients import Rejected, fingerprint, parse
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.events import Aside, Backlog, EventStream
from mailer.store.retention.erasing import Erasing, Found

__all__ = ["Erased", "Found", "erase"]

_PATIENCE: Final = 3.0
"""Seconds for which those who read events are waited for: workers that run have read all in one."""

_LOOK: Final = 0.1


@dataclass(frozen=True, slots=True)
class Erased:
    """What was found of a person, and what keeps her yet.

    *suppressed* says that she stays on the suppression list. *again* says in words why the same is to be
    done once more, and *unread* of how many messages events wait that may name her.
    """

    found: list[Found] = field(default_factory=list)
    suppressed: bool = False
    again: tuple[str, ...] = ()


def erase(settings: Settings, address: str) -> Erased:
    """Take the person with that mailbox out of Redis and the history. Raises `InputError`.

    Done twice, it finds nothing more.
    """
    one = parse({"email": address}, 1)
    if isinstance(one, Rejected):
        raise InputError(f"{address!r} is no address: {one.reason}")
    store = Producer(settings).store
    found = list(Erasing(store.client, one.mailbox).erase(time()))
    # What a reader has in its hands just now would be written after it was erased.
    late = _who_has_not_read(store.events)
    if number := store.audit.forget(one.mailbox):
        found.append(Found("audit log", "", number))
    if number := Aside(store.client).erase(one.mailbox):
        found.append(Found("events set aside", "", number))
    if settings.history.url is not None:
        with closing(opened(settings)) as history:
            if number := history.erase(one.mailbox):
                found.append(Found("history", "", number))
    return Erased(
        [one for one in found if one.place != "being sent"],
        bool(store.suppression.find(fingerprint(one.mailbox))),
        tuple(_again(found, late)),
    )


def _who_has_not_read(events: EventStream) -> list[Backlog]:
    """Who has not read what happened until now; they are waited for a moment."""
    end, deadline = events.end(), monotonic() + _PATIENCE
    while late := [
        one for one in events.backlogs(time()) if one.messages and events.cursor(one.consumer) < end
    ]:
        if monotonic() > deadline:
            break
        sleep(_LOOK)
    return late


def _again(found: list[Found], unread: list[Backlog]) -> Iterator[str]:
    for one in found:
        if one.place == "being sent":
            yield f"a worker has a batch of {one.campaign} in its hands that holds her message"
    for late in unread:
        what = plural(late.messages, "message")
        yield f"{late.consumer} has not read yet what became of {what}"
