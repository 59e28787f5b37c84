"""How what happened gets into the history: the consumer that writes it down."""

import logging
from collections.abc import Sequence
from time import monotonic, time
from typing import Final

from mailer.config import Settings
from mailer.errors import HistoryRefusesError
from mailer.history import open_history
from mailer.mail.event import Event

log = logging.getLogger(__name__)

_TIDY_EVERY: Final = 3600.0


class HistoryWriter:
    """The consumer that writes the history, and takes out of it what is too old."""

    name = "history"
    chunk = 5_000

    def __init__(self, settings: Settings) -> None:
        assert settings.history.url is not None
        self._history = open_history(settings.history.url)
        self._keep = settings.history.keep
        self._is_made = (
            self._history.is_postgresql
        )  # there, `mailer history upgrade` makes the tables
        self._tidy_at = 0.0

    def take(self, events: Sequence[Event]) -> None:
        """Write *events* down."""
        if not self._is_made:
            self._history.upgrade()
            self._is_made = True
        self._write(events)
        if monotonic() >= self._tidy_at:
            self._history.drop_before(time() - self._keep)
            self._tidy_at = monotonic() + _TIDY_EVERY

    def _write(self, events: Sequence[Event]) -> None:
        """Write *events*; one that can never be stored is passed over, and holds up no other."""
        try:
            self._history.write(events)
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
