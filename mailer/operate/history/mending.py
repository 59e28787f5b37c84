"""What a history lacks that the ledger knows, put in afterwards: outcomes of which it was never told.

Events may be lost before the history has read them, where somebody else takes them out of Redis. The
ledger still knows who has which outcome, what came back and, of those not accepted, the last reply.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Final

from mailer.config import Settings
from mailer.errors import CampaignNotFoundError, InputError
from mailer.mail.event import CAME_BACK, Event, weightier
from mailer.mail.status import OPEN, Detail, Status
from mailer.operate.failures import ByPlace, unaccepted
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store import Store
from mailer.store.events import HISTORY, Gaps, Rewinds
from mailer.store.feedback.records import Returned, event_of

if TYPE_CHECKING:
    from mailer.history import History

NOT_KNOWN: Final = "put in out of the ledger: when, and what the server said, is not known"
"""Stands where the reply would: nobody is to take the time of mending for that of the outcome."""

_FINAL: Final = tuple(status for status in Status if status not in OPEN)
_PAGE: Final = 5_000

_PATIENCE: Final = 30.0
"""Seconds for which a history that is behind is waited for."""

_LOOK: Final = 0.2

_Standing = tuple[int, Status, bytes]
_Known = Mapping[int, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Mended:
    """Of how many recipients of *campaign* something was put in; *why* nothing could be."""

    campaign: str
    recipients: int = 0
    why: str = ""


def mend(settings: Settings, names: Sequence[str] = ()) -> Iterator[Mended]:
    """Put into the history what only the ledger knows of these campaigns, or of all.

    To do it twice changes nothing more. After all, nothing more is said of what the history has missed,
    nor of what it knows and Redis, restored from a backup, does not.
    Raises `InputError` where it is behind and does not catch up: no worker reads for it.
    """
    producer = Producer(settings)
    gaps, rewinds = Gaps(producer.client), Rewinds(producer.client, HISTORY)
    seen, rewound = gaps.of(HISTORY), rewinds.seen()
    with closing(opened(settings)) as history:
        for name in names or producer.campaigns.names():
            try:
                yield _Mending(settings, producer.store, history, name).mended()
            except CampaignNotFoundError as exc:
                if names:
                    raise
                yield Mended(name, why=str(exc))  # forgotten meanwhile
    if seen and not names:
        gaps.close(seen)
    if rewound and not names:
        rewinds.close(rewound)


class _Mending:
    """The mending of one campaign."""

    def __init__(self, settings: Settings, store: Store, history: "History", name: str) -> None:
        self._store, self._history, self._name = store, history, name
        # Before the letters are read. Whatever is told from now on has a higher order and wins: what is
        # put in stands for what was lost before, and for no more.
        self._order = store.events.cursor(HISTORY)
        self._details = ByPlace(unaccepted(settings, name))
        self._any_back = bool(store.feedback.counts(name))

    def mended(self) -> Mended:
        """Put in what is missing."""
        number = 0
        found = self._store.campaigns.standing(self._name, _FINAL)
        try:
            while page := list(islice(found, _PAGE)):
                number += self._put_in(page)
        except InputError as exc:
            if isinstance(exc, _BehindError):
                raise
            return Mended(self._name, number, str(exc))  # queued by a version that kept no order
        return Mended(self._name, number)

    def _put_in(self, page: Sequence[_Standing]) -> int:
        places = range(page[0][0], page[-1][0] + 1)
        back = self._store.feedback.returned_at(self._name, places) if self._any_back else {}
        if not any(self._lacking(page, self._known(places), back)):
            return 0
        self._wait_until_read()  # what is missing may only be on its way
        lacking = list(self._lacking(page, self._known(places), back))
        details = {place: self._details.take(place) for place, _, _ in page}
        events: list[Event] = []
        for (place, status, key), has_outcome, news in lacking:
            if not has_outcome:
                failure = details[place]
                detail = failure.detail if failure and status is not Status.ACCEPTED else None
                events.append(self._outcome(place, status, key, detail))
            events += (event_of(self._name, place, key, one) for one in news)
        self._history.write([one._replace(order=self._order) for one in events])
        return len(lacking)

    def _known(self, places: range) -> _Known:
        return self._history.standing(self._name, places)

    def _lacking(
        self, page: Sequence[_Standing], known: _Known, back: Mapping[int, Sequence[Returned]]
    ) -> Iterator[tuple[_Standing, bool, list[Returned]]]:
        """Those of *page* of whom the history knows less: has it the outcome; what came back since."""
        for one in page:
            place, status, _ = one
            outcome, later = known.get(place, ("", ""))
            news = [each for each in back.get(place, ()) if _is_news(later, each)]
            # Whoever has got it stays one who has: a ledger that says otherwise is older.
            has_outcome = outcome in {status.word, Status.ACCEPTED.word}
            if news or not has_outcome:
                yield one, has_outcome, news

    def _outcome(self, place: int, status: Status, key: bytes, detail: Detail | None) -> Event:
        known = detail or Detail("")
        return Event(
            self._name,
            place,
            status.word,
            known.at or time(),
            attempt=known.attempts,
            mailbox=known.mailbox,
            stage=known.stage,
            code=known.code,
            reply=known.reply or NOT_KNOWN,
            key=key,
        )

    def _wait_until_read(self) -> None:
        end, deadline = self._store.events.end(), monotonic() + _PATIENCE
        while self._store.events.cursor(HISTORY) < end:
            if monotonic() > deadline:
                raise _BehindError(
                    "the history has not read yet what waits for it (mailer events list): "
                    "a worker must be running, and its database be there; then try again"
                )
            sleep(_LOOK)


class _BehindError(InputError):
    """What the history lacks may be on its way."""


def _is_news(later: str, one: Returned) -> bool:
    word = CAME_BACK[one.kind]
    return word != later and weightier(later, word) == word
