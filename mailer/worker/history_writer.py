"""How events get into the history: the consumer that writes them down."""

import logging
from collections.abc import Sequence
from time import monotonic, time
from typing import Final

from mailer.config import Settings
from mailer.errors import HistoryRefusesError
from mailer.history import open_history
from mailer.mail.event import Event, moment_of
from mailer.store.connection import Client
from mailer.store.events import Rewinds, Rewound
from mailer.store.events.rewound import is_another

log = logging.getLogger(__name__)

_TIDY_EVERY: Final = 3600.0  # seconds between two removals of what is too old

_MARGIN: Final = 86400.0
"""Seconds that pass at most from when something happened until it is in the stream."""

_NAMED: Final = 1_000
"""Campaigns that are named where Redis knows less of them than the history; the largest ones."""


class HistoryWriter:
    """The consumer that writes the history, and removes from it what is older than ``history.keep``.

    It notices a Redis that is older than the history: restored from a backup, or emptied.
    """

    name = "history"
    chunk = 5_000

    def __init__(self, settings: Settings, client: Client) -> None:
        assert settings.history.url is not None
        self._history = open_history(settings.history.url)
        self._rewinds = Rewinds(client, self.name)
        self._keep = settings.history.keep
        # In PostgreSQL, `mailer history upgrade` makes the tables: a worker may lack the right to.
        self._is_made = self._history.is_postgresql
        self._tidy_at = 0.0
        self._ledger = ""
        self._cursor = 0

    def begin(self) -> None:
        """Go on from where the process came that read before."""
        if not self._is_made:
            self._history.upgrade()
            self._is_made = True
        self._ledger = self._rewinds.ledger()
        taken, cursor = self._history.taken(self._ledger), self._rewinds.cursor()
        # A ledger that the history has never heard of stands for the one that it had heard of.
        known = self._history.last_taken() if taken is None else taken
        is_lost = taken is None and known > cursor and is_another(self._ledger)
        if is_lost or (taken is not None and self._rewinds.is_rewound(taken)):
            self._note_rewound(known)
            # Noted first: a crash between the two says it twice, and never not at all.
            self._history.begin_at(self._ledger, cursor)
        elif taken is None:
            self._history.begin_at(self._ledger, cursor)
        self._cursor = cursor

    def take(self, events: Sequence[Event]) -> None:
        """Write *events* down. Raises `HistoryUnavailableError`: then they are given again."""
        if self._is_older():
            self.begin()
        self._write(events)
        self._cursor = max((one.order for one in events), default=self._cursor)
        if monotonic() >= self._tidy_at:
            self._history.drop_before(time() - self._keep)
            self._tidy_at = monotonic() + _TIDY_EVERY

    def _is_older(self) -> bool:
        """Whether Redis has another cursor than it had: it was restored, or emptied, meanwhile."""
        return self._rewinds.cursor() < self._cursor

    def _note_rewound(self, taken: int) -> None:
        known = self._rewinds.known(taken)
        since = moment_of(known)
        campaigns = self._history.known_since(known, since - _MARGIN)
        largest = sorted(campaigns, key=campaigns.__getitem__, reverse=True)[:_NAMED]
        found = Rewound(
            max(sum(campaigns.values()), 1),
            since,
            moment_of(taken),
            {name: campaigns[name] for name in largest},
        )
        self._rewinds.note(found, taken)
        log.error(
            "Redis is older than the history, which knows what became of %d recipients since: was it "
            "restored from a backup? mailer events list",
            found.recipients,
        )

    def _write(self, events: Sequence[Event]) -> None:
        """Write *events*; one that the database refuses is logged and passed over, found by halving."""
        try:
            self._history.write(events, self._ledger)
        except HistoryRefusesError as exc:
            if len(events) == 1:
                log.error("history: event %s is passed over: %s", events[0].identifier, exc)  # noqa: TRY400
                return
            middle = len(events) // 2
            self._write(events[:middle])
            self._write(events[middle:])

    def close(self) -> None:
        """Close the connections."""
        self._history.close()
