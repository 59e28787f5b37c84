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
from mailer.mail.record import Record, Step
from mailer.mail.status import Detail, Status
from mailer.operate.failures import ByPlace, unaccepted
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.feedback.records import Returned

__all__ = ["Record", "columns", "outcomes", "recorded"]

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


def columns(settings: Settings, name: str) -> list[str]:
    """The columns of a campaign's list: what its rows have, all together. Only a history knows them."""
    if settings.history.url is None:
        return []
    with closing(opened(settings)) as history:
        return history.columns(name)


def _in_ledger(settings: Settings, name: str) -> Iterator[Record]:
    store = Producer(settings).store
    progress = store.campaigns.progress(name, time())
    any_back = bool(store.feedback.counts(name))
    by_place = ByPlace(unaccepted(settings, name))
    for first in range(0, progress.total, _STEP):
        places = range(first, min(first + _STEP, progress.total))
        back = store.feedback.returned_at(name, places) if any_back else {}
        for place, letter in zip(places, store.payloads.letters(name, places), strict=False):
            failure = by_place.take(place)
            detail = failure.detail if failure else None
            yield recorded(name, place, letter, detail, back.get(place, ()))


def recorded(  # noqa: PLR0913 - what lies in several keys of the ledger
    name: str,
    place: int,
    letter: str,
    detail: Detail | None,
    back: Sequence[Returned],
    *,
    mailbox: str = "",
    message_id: str = "",
    account: str = "",
) -> Record:
    """What the ledger knows of the recipient at *place* of the campaign *name*, as a history tells it.

    *letter* is the outcome, *detail* what was said last, *back* what came back. *mailbox*, *message_id*
    and *account* are what the caller knows beside it.
    """
    # One that was put off before it was accepted may still have its detail: it was read a moment earlier.
    refused = detail if Status.read(letter) is not Status.ACCEPTED else None
    known = refused or Detail("")
    mailboxes = (mailbox, known.mailbox, *(one.recipient for one in back))
    return Record(
        name,
        place,
        next(filter(None, mailboxes), ""),
        message_id,
        Status.told(letter),
        known.at,
        account=account,
        attempts=known.attempts,
        stage=known.stage,
        reply=known.reply,
        later=weightiest(CAME_BACK[one.kind] for one in back),
        steps=tuple(map(_step, back)),
    )


def _step(one: Returned) -> Step:
    return Step(
        CAME_BACK[one.kind],
        one.at,
        stage=one.source,
        reply=one.reply,
        reason=one.reason,
        permanent=one.permanent,
    )
