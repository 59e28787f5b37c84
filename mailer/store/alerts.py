"""Which events somebody is still to be told of.

The script that stops an account notes the event in the same step, so that no crash swallows it. One
worker takes it under a lease, tells somebody, and strikes it out. So it is told once for the whole
cluster, and a second time only if that worker died in between.
"""

import json
import uuid
from dataclasses import asdict, dataclass
from typing import Final

from mailer.mail.said import without_addresses
from mailer.store import keys
from mailer.store.client import Client
from mailer.store.connection import load, reaching_redis
from mailer.store.reach import reading

ACCOUNT_STOPPED: Final = "account_stopped"
ACCOUNT_STARTED: Final = "account_started"
DEAD_LETTERS: Final = "dead_letters"
CAMPAIGN_PAUSED: Final = "campaign_paused"
RECEIVER_HELD: Final = "receiver_held"
EVENTS_LATE: Final = "events_late"
EVENTS_SET_ASIDE: Final = "events_set_aside"
EVENTS_MISSED: Final = "events_missed"
LEDGER_RESTORED: Final = "ledger_restored"

LEASE: Final = 120.0
"""Seconds after which another worker tells of an event that was taken and not struck out."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that somebody must know; *at* is seconds since the epoch.

    *event* is ``account_stopped``, ``account_started`` or ``dead_letters``; of an account, *account*,
    and where it was stopped *reason*, *stage* and *reply* (without addresses); of dead letters,
    *dead_letters* is how many there were at least. ``events_late`` and ``events_set_aside`` are about a
    *consumer* of events that is behind or did not take some: of how many *messages*, and the *reason*;
    so is ``events_missed``, of what left Redis before it had read it, and ``ledger_restored``, of what it
    knows and a Redis that was restored from a backup does not.
    ``campaign_paused`` and ``receiver_held`` are about a *campaign* of which too much comes back: all or
    one receiver's; *reason* says how much.
    """

    event: str
    at: float
    account: str = ""
    reason: str = ""
    stage: str = ""
    reply: str = ""
    dead_letters: int = 0
    consumer: str = ""
    messages: int = 0
    campaign: str = ""

    def as_json(self) -> str:
        """The event as hooks and commands get it."""
        return json.dumps({key: value for key, value in asdict(self).items() if value})

    def __str__(self) -> str:
        if self.event in _WORDS:
            return _WORDS[self.event].format(self)
        if self.event == EVENTS_LATE:
            why = f": {self.reason}" if self.reason else ""
            return f"{self.consumer} is behind by the events of {self.messages} messages{why}"
        what = " ".join(part for part in (self.stage, self.reply) if part)
        return f"account {self.account} was stopped ({self.reason}){': ' if what else ''}{what}"


_WORDS: Final = {
    DEAD_LETTERS: "{0.dead_letters} dead letters or more: mailer dead list",
    ACCOUNT_STARTED: "account {0.account} was started",
    EVENTS_SET_ASIDE: "{0.consumer} did not take events: mailer events list",
    EVENTS_MISSED: "{0.consumer} missed what became of {0.messages} messages: mailer events list",
    LEDGER_RESTORED: (
        "Redis was restored: it is older than the {0.consumer} by what became of {0.messages} messages: "
        "mailer events list"
    ),
    CAMPAIGN_PAUSED: "campaign {0.campaign} paused itself: {0.reason}",
    RECEIVER_HELD: "campaign {0.campaign} holds back its mail to {0.reason}",
}


def written(event: Event) -> str:
    """The event as the scripts note it; two events of the same content differ by a random part."""
    event = Event(**{**asdict(event), "reply": without_addresses(event.reply)})
    # Without what is empty: workers of the last version know none of the newer fields.
    said = {name: value for name, value in asdict(event).items() if value or name == "at"}
    return json.dumps([uuid.uuid4().hex, said])


class Outbox:
    """The events of one Redis that are still to be told."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._take = load(client, "alert_take")
        self._watch = load(client, "alert_watch")
        self._note = load(client, "alert_note")

    def __len__(self) -> int:
        """How many events are noted, those taken included."""
        with reaching_redis():
            return self._client.zcard(keys.ALERTS)

    def take(self, now: float) -> tuple[str, Event] | None:
        """An event that this caller is to tell of, and the token to strike it out with."""
        while found := self._take(now, now + LEASE):
            token = reading.text(found)
            try:
                return token, Event(**json.loads(found)[1])
            except (ValueError, TypeError, LookupError):
                reading.passed_over(keys.ALERTS)
                with reaching_redis():
                    self._client.zrem(keys.ALERTS, found)
        return None

    def strike_out(self, token: str) -> None:
        """Somebody was told."""
        with reaching_redis():
            self._client.zrem(keys.ALERTS, token)

    def watch_dead_letters(self, threshold: int, now: float) -> int:
        """Note an event when there are *threshold* dead letters; returns how many there are."""
        event = Event(DEAD_LETTERS, now, dead_letters=threshold)
        return int(self._watch(threshold, now, written(event)))

    def watch(self, event: Event, *, holds: bool) -> None:
        """Note *event* where it *holds*, once until it does no more."""
        subject = f"{event.event}:{event.consumer}"
        self._note(subject, "1" if holds else "", event.at, written(event))
