"""Everybody of a campaign in the order of the list, and what became of each, as history or ledger knows.

The ledger knows the position and the outcome of each, what came back later and, of whom was not accepted,
the mailbox and the last reply while ``[retention] replies`` lasts.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from time import time
from typing import Final

from mailer.config import Settings
from mailer.mail.event import CAME_BACK, weightiest
from mailer.mail.record import Record
from mailer.mail.status import Detail, Status
from mailer.operate.failures import ByPlace, unaccepted
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Returned

__all__ = ["Record", "outcomes"]

_STEP: Final = 500
"""Recipients that are asked for at a time."""


def outcomes(settings: Settings, name: str, wanted: Collection[str] = ()) -> Iterator[Record]:
    """Every recipient of a campaign, streamed; with *wanted*, only those with one of these outcomes.

    What no history has read, because none is configured or it came later, the ledger answers. Raises
    `CampaignNotFoundError` where nobody knows the campaign.
    """
    if settings.history.url is not None:
        with closing(opened(settings)) as history:
            if history.counts(name):
                yield from history.export(name, list(wanted))
                return
    for one in _in_ledger(settings, name):
        if not wanted or one.outcome in wanted or one.later in wanted:
            yield one


def _in_ledger(settings: Settings, name: str) -> Iterator[Record]:
    store = Producer(settings).store
    progress = store.campaigns.progress(name, time())
    any_back = bool(store.feedback.counts(name))
    by_place = ByPlace(unaccepted(settings, name))
    for first in range(0, progress.total, _STEP):
        places = range(first, min(first + _STEP, progress.total))
        back = store.feedback.returned_at(name, places) if any_back else {}
        for place, letter in zip(places, store.payloads.letters(name, places), strict=False):
            failure, outcome = by_place.take(place), Status.told(letter)
            detail = failure.detail if failure and outcome != Status.ACCEPTED.word else None
            yield _record(name, place, outcome, detail, back.get(place, ()))


def _record(
    name: str, place: int, outcome: str, detail: Detail | None, back: Sequence[Returned]
) -> Record:
    known = detail or Detail("")
    mailboxes = [known.mailbox, *(one.recipient for one in back)]
    return Record(
        name,
        place,
        next(filter(None, mailboxes), ""),
        "",
        outcome,
        known.at,
        attempts=known.attempts,
        stage=known.stage,
        reply=known.reply,
        later=weightiest(CAME_BACK[one.kind] for one in back),
    )
