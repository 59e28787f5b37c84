"""How the application is told: in order, again until it is taken, and no event holds up the others.

A delivery that is not taken is tried again, with growing pauses. If it is refused again and again, its
events are tried in small parts. An event that is refused alone while others are taken is set aside. If
nothing at all is taken, all wait; those that wait for too long, or are too many, are set aside, too.
"""

import logging
from collections.abc import Iterator, Sequence
from time import monotonic, time
from typing import Final, Protocol

from mailer.config.events import Events
from mailer.errors import EventsNotTakenError
from mailer.mail.event import Event
from mailer.store.connection import Client
from mailer.store.events import Aside, EventStream, SetAside
from mailer.worker.telling.shown import delivery, shown

log = logging.getLogger(__name__)

IN_PARTS: Final = 3
"""Refusals of a whole delivery before its events are tried in parts."""

TRIES: Final = 6
"""Refusals of one event, while others are taken, before it is set aside."""

PATIENCE: Final = (1.0, 300.0)
"""Seconds until it is tried again: after the first refusal, and at most."""

_FULL: Final = 0.9
_RELIEVED: Final = 0.8
"""Shares of ``max_backlog``. With more unread than the first, events for a way that takes nothing are set
aside, until no more than the second is unread."""

_ENOUGH: Final = 1.5
"""Times ``time_limit``. If nothing was taken by then, a pass in parts ends: many parts would take hours,
and sending waits for a consumer that is too far behind."""

_AGAIN: Final = 20
"""Deliveries that were set aside and are told again, as people asked, before the next new one."""


class Teller(Protocol):
    """What delivers: a helper process, or the like."""

    def tell(self, body: bytes) -> None:
        """Deliver *body*. Raises `EventsNotTakenError` unless it was taken."""

    def close(self) -> None:
        """Close connections and processes."""


class Courier:
    """The consumer called *name*, one way to the application."""

    def __init__(self, name: str, settings: Events, client: Client, teller: Teller) -> None:
        self.name = name
        self.chunk = settings.batch
        self._settings = settings
        self._stream = EventStream(client)
        self._aside = Aside(client)
        self._teller = teller
        self._done: set[str] = set()
        self._tries: dict[str, int] = {}
        self._failures = 0
        self._in_parts = False
        self._is_full = False
        self._why = ""
        self._again_at = 0.0
        self._asked = ""

    def begin(self) -> None:
        """Nothing is to be looked up: whoever told before has left all that was not taken."""

    def take(self, events: Sequence[Event]) -> None:
        """Tell the *events* that are wanted. Raises `EventsNotTakenError` until all are told or aside."""
        if not self._failures:
            self._tell_again()
        elif self._is_asked():
            self._again_at = 0.0
        left = [
            one
            for one in events
            if one.outcome in self._settings.kinds and one.identifier not in self._done
        ]
        if left and monotonic() < self._again_at:
            left = self._given_up(left)
            if left:
                raise EventsNotTakenError(self._why, self._again_at - monotonic())
        if left:
            self._bring(left)
        self._done.clear()
        self._tries.clear()
        self._in_parts = False

    def close(self) -> None:
        """End the process that tells."""
        self._teller.close()

    def _bring(self, left: Sequence[Event]) -> None:
        """Deliver what is *left*, in order; in parts, if the whole was refused too often."""
        in_parts = self._in_parts or self._failures % (IN_PARTS + 1) == IN_PARTS
        refused: list[Event] = []
        held: set[tuple[str, int]] = set()
        taken, wait = False, 0.0
        enough = monotonic() + _ENOUGH * self._settings.time_limit
        # In growing parts (one, two, four …) at first: they show soon whether anything is taken. Once
        # something was, each event by itself.
        first, most = (1 if in_parts else self.chunk), (1 if self._in_parts else self.chunk)
        for part in _parcels(left, first, most):
            # Events of one message are told in order: those after a refused one wait.
            parcel = [one for one in part if _message(one) not in held]
            if not parcel:
                continue
            try:
                self._teller.tell(delivery([shown(one) for one in parcel]))
            except EventsNotTakenError as exc:
                self._why, wait = str(exc), exc.wait
                held |= {_message(one) for one in parcel}
                refused += parcel if len(parcel) == 1 else []
                if not in_parts or (not taken and monotonic() > enough):
                    break
            else:
                taken = True
                self._done |= {one.identifier for one in parcel}
        if held:
            self._refused(refused, in_parts=in_parts, taken=taken, wait=wait)
        self._failures, self._is_full = 0, False

    def _refused(self, alone: Sequence[Event], *, in_parts: bool, taken: bool, wait: float) -> None:
        """Decide what follows from a refusal, and raise it; *alone* are those refused by themselves."""
        self._in_parts = in_parts and (self._in_parts or taken)
        if not self._in_parts:
            self._failures = 1 if taken else self._failures + 1
            raise self._later(self._failures, wait)
        # Others were taken, so the fault is in the events that were refused alone.
        self._failures = 0
        for one in alone:
            self._tries[one.identifier] = self._tries.get(one.identifier, 0) + 1
            if self._tries[one.identifier] >= TRIES:
                del self._tries[one.identifier]
                self._set_aside([one], self._why)
        raise self._later(max(self._tries.values(), default=1), wait)

    def _later(self, times: int, wait: float) -> EventsNotTakenError:
        shortest, longest = PATIENCE
        # What comes meanwhile is to be tried some times, too, before it is given up.
        longest = min(longest, self._settings.give_up_after / 4)
        pause = max(min(shortest * 2.0 ** (times - 1), longest), wait)
        self._again_at = monotonic() + pause
        return EventsNotTakenError(self._why, pause)

    def _given_up(self, left: list[Event]) -> list[Event]:
        """Where nothing is taken: set aside what waits for too long, or is too much; returns the rest."""
        if self._failures < IN_PARTS:
            return left
        unread = self._stream.unread().get(self.name, 0)
        self._is_full = unread > self._settings.max_backlog * (
            _RELIEVED if self._is_full else _FULL
        )
        oldest = time() - self._settings.give_up_after
        given_up = [one for one in left if self._is_full or one.noted < oldest]
        if given_up:
            what = "too many wait" if self._is_full else "for too long"
            self._set_aside(given_up, f"{self._why} ({what})")
        return [one for one in left if one.identifier not in self._done]

    def _set_aside(self, events: Sequence[Event], why: str) -> None:
        for parcel in _parcels(events, self.chunk, self.chunk):
            body = delivery([shown(one) for one in parcel])
            self._aside.put(self.name, body, len(parcel), why)
            self._done |= {one.identifier for one in parcel}
        log.error(
            "%s: %d events are set aside: %s; mailer events list", self.name, len(events), why
        )

    def _is_asked(self) -> bool:
        """Whether people have asked, since the last look, to tell something again: it may be mended."""
        last, self._asked = self._asked, self._aside.newest_to_tell_again(self.name)
        return self._asked not in {last, ""}

    def _tell_again(self) -> None:
        """Tell what people have asked to be told again; what is refused is set aside again."""
        for _ in range(_AGAIN):
            found = self._aside.to_tell_again(self.name)
            if found is None:
                return
            self._tell_once(found)

    def _tell_once(self, found: SetAside) -> None:
        try:
            self._teller.tell(found.body)
        except EventsNotTakenError as exc:
            self._aside.put(self.name, found.body, found.events, str(exc), found.identifier)
        else:
            self._aside.told(found)


def _message(event: Event) -> tuple[str, int]:
    return event.campaign, event.position


def _parcels(events: Sequence[Event], first: int, most: int) -> Iterator[list[Event]]:
    """Cut *events* into parts, in order: *first* events, then twice as many each time, at most *most*."""
    at, size = 0, first
    while at < len(events):
        yield list(events[at : at + size])
        at += size
        size = min(size * 2, most)
