"""Who is told when an account stops or starts, dead letters pile up, or events are not taken.

There are three ways, all optional: a Python function named in ``mailer.toml`` (``alerts.hook``);
functions that installed packages announce in the entry point group ``mailer.alerts``; and a command
(``alerts.command``). A function is called with the `Event`; the command gets it as JSON on standard
input.

Each event is told once by all workers together, even if a way fails: the failure is logged. If a worker
is killed while it tells, another tells the event two minutes later.
"""

import logging
import subprocess
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import LedgerUnavailableError
from mailer.store.alerts import (
    EVENTS_LATE,
    EVENTS_MISSED,
    EVENTS_SET_ASIDE,
    LEDGER_RESTORED,
    Event,
    Outbox,
)
from mailer.store.client import Client
from mailer.store.events import HISTORY, Aside, EventStream, Gaps, Rewinds
from mailer.worker.named import folder_on_path, named

log = logging.getLogger(__name__)

GROUP: Final = "mailer.alerts"

TIMEOUT: Final = 30.0
"""Seconds that the command may take."""

LATE: Final = 300.0
"""Seconds that an event may wait before somebody is told that its consumer is behind."""

Hook = Callable[[Event], object]


class Alerts:
    """Tells of events as the settings say. Raises `ConfigError` for a hook that cannot be imported."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings.alerts
        self._follows = settings.follows
        self._events = EventStream(client)
        self._aside = Aside(client)
        self._gaps = Gaps(client)
        self._rewinds = Rewinds(client, HISTORY)
        self._outbox = Outbox(client)
        self._hooks = hooks(settings)
        self._teller: threading.Thread | None = None

    def sweep(self, now: float) -> None:
        """Look for what is to be told, and tell it in a thread: a slow hook must not stop the sweep."""
        if self._settings.dead_letters is not None:
            self._outbox.watch_dead_letters(self._settings.dead_letters, now)
        if self._follows:
            self._watch_consumers(now)
        if len(self._outbox) and not (self._teller and self._teller.is_alive()):
            self._teller = threading.Thread(target=self._tell_all, name="mailer-alert", daemon=True)
            self._teller.start()

    def _watch_consumers(self, now: float) -> None:
        aside = self._aside.counts()
        missed = {one.consumer: one.recipients for one in self._gaps.all()}
        for one in self._events.backlogs(now):
            late = Event(
                EVENTS_LATE, now, consumer=one.consumer, messages=one.messages, reason=one.trouble
            )
            self._outbox.watch(late, holds=one.age > LATE)
            left = Event(EVENTS_SET_ASIDE, now, consumer=one.consumer)
            self._outbox.watch(left, holds=bool(aside.get(one.consumer)))
            number = missed.get(one.consumer, 0)
            gap = Event(EVENTS_MISSED, now, consumer=one.consumer, messages=number)
            self._outbox.watch(gap, holds=number > 0)
        older = self._rewinds.seen()
        number = older.recipients if older else 0
        restored = Event(LEDGER_RESTORED, now, consumer="history", messages=number)
        self._outbox.watch(restored, holds=number > 0)

    def tell(self, now: float) -> int:
        """Tell all new events, in this thread; returns how many. Raises `LedgerUnavailableError`."""
        told = 0
        while taken := self._outbox.take(now):
            token, event = taken
            log.warning("%s", event)
            for hook in self._hooks:
                try:
                    hook(event)
                except Exception:  # a stranger's code
                    log.exception("the alert hook %s failed", getattr(hook, "__name__", hook))
            if self._settings.command:
                _run(self._settings.command, event)
            self._outbox.strike_out(token)
            told += 1
        return told

    def _tell_all(self) -> None:
        try:
            self.tell(time())
        except LedgerUnavailableError as exc:
            log.warning("alerts wait: %s", exc)


def hooks(settings: Settings) -> list[Hook]:
    """The functions that are told. Raises `ConfigError` that says which cannot be imported, and why."""
    found: list[Hook] = [point.load() for point in entry_points(group=GROUP)]
    if settings.alerts.hook:
        place = f"{settings.file.name if settings.file else 'configuration'}: alerts.hook"
        with folder_on_path(settings):
            found.append(named(settings.alerts.hook, place))
    return found


def _run(command: tuple[str, ...], event: Event) -> None:
    try:
        subprocess.run(  # noqa: S603 - the administrator's own words, and no shell
            command,
            input=event.as_json(),
            text=True,
            check=True,
            timeout=TIMEOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except subprocess.CalledProcessError as exc:
        why = (exc.stderr or "").strip().rpartition("\n")[2]
        log.warning("the alert command %s: exit status %d: %s", command[0], exc.returncode, why)
    except (OSError, subprocess.TimeoutExpired) as exc:
        log.warning("the alert command %s failed: %s", command[0], exc)
