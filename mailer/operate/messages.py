"""One message of a campaign: what is known of it, and its bytes where they still lie in Redis.

The history knows each step. Without one, the ledger knows the outcome, and of those not accepted the last
reply. The bytes are kept while somebody may still send them: in a batch, or in a dead letter.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import InputError, PayloadError
from mailer.mail.event import CAME_BACK, weightiest
from mailer.mail.message import Message, SharedPart
from mailer.mail.payload import decode
from mailer.mail.record import Record
from mailer.mail.status import Status
from mailer.mail.stored import unpack
from mailer.operate.history import opened
from mailer.operate.outcomes import recorded
from mailer.queues.connections import Producer
from mailer.store.dead_letters import Filter

SIZE: Final = 50
"""Recipients on a page of a campaign's messages."""

LARGEST: Final = 5 * 1024 * 1024
"""Octets of a message that is shown."""

_LAST: Final = 2**31 - 1
"""The last position that a database can hold."""

_STEP: Final = 500
_LOOKED_AT: Final = 20_000
"""Recipients of a campaign that one page looks at, where only some are wanted."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages of a campaign, and the position from which to go on; None at the end."""

    records: tuple[Record, ...]
    more: int | None


@dataclass(frozen=True, slots=True)
class Content:
    """A message as it lies in Redis: its envelope and its *octets*, not yet signed."""

    reverse_path: str
    forward_path: str
    octets: bytes


def page(settings: Settings, campaign: str, start: int, outcome: str = "") -> Page:
    """Messages of *campaign* from position *start* on; with *outcome*, only those.

    Raises `CampaignNotFoundError` where nobody knows the campaign.
    """
    if settings.history.url is not None:
        with closing(opened(settings)) as history:
            found = history.page(campaign, start, SIZE + 1, outcome)
        if found:
            more = found[SIZE].position if len(found) > SIZE else None
            return Page(tuple(found[:SIZE]), more)
    total = Producer(settings).campaigns.progress(campaign, time()).total
    return _in_ledger(settings, campaign, range(start, total), outcome)


def message(settings: Settings, campaign: str, position: int) -> Record:
    """What is known of one message, step by step where there is a history.

    Raises `CampaignNotFoundError` where nobody knows the campaign, `InputError` for another position.
    """
    if settings.history.url is not None and position <= _LAST:
        with closing(opened(settings)) as history:
            if found := history.message(campaign, position):
                return found
    (found,) = _records(settings, campaign, [position])
    return found


def content(settings: Settings, campaign: str, position: int) -> Content | None:
    """The message's bytes, where they still lie in a batch or a dead letter; None where they are gone."""
    store = Producer(settings).store
    place = store.payloads.batch_with(campaign, position)
    if place is not None:
        return _content(settings, campaign, *place)
    for letter in islice(store.dead_letters.find(Filter(campaign=campaign), time()), 5_000):
        if position in letter.positions:
            offset = letter.positions.index(position)
            return in_letter(settings, letter.identifier, offset)
    return None


def in_letter(settings: Settings, identifier: str, offset: int) -> Content | None:
    """The message at *offset* of a dead letter. Raises `InputError`, `PayloadError`."""
    letters = Producer(settings).store.dead_letters
    letter = letters.get(identifier)
    return _content(settings, letter.campaign, letters.payload(identifier), offset)


def _content(settings: Settings, campaign: str, payload: bytes, offset: int) -> Content | None:
    entries = decode(payload)
    if offset >= len(entries):
        return None
    found = entries[offset].message
    if found.size > LARGEST:
        raise PayloadError(f"the message has {found.size} octets: too large to be shown here")
    octets = found.joined(_shared(settings, campaign, found))
    return Content(found.reverse_path, found.forward_path, octets)


def _shared(settings: Settings, campaign: str, one: Message) -> dict[str, bytes]:
    ledger = Producer(settings).ledger
    parts = {part.digest for part in one.content if isinstance(part, SharedPart)}
    packed = {digest: ledger.shared(campaign, digest) for digest in parts}
    return {digest: unpack(part) for digest, part in packed.items() if part is not None}


def _in_ledger(settings: Settings, campaign: str, places: range, outcome: str) -> Page:
    looked = places[:_LOOKED_AT]
    wanted = list(islice(_having(settings, campaign, looked, outcome), SIZE + 1))
    if len(wanted) > SIZE:
        more: int | None = wanted.pop()
    else:
        more = looked.stop if looked.stop < places.stop else None
    return Page(tuple(_records(settings, campaign, wanted)), more)


def _having(settings: Settings, campaign: str, places: range, outcome: str) -> Iterator[int]:
    """The positions among *places* whose recipients have that outcome; all where none is named.

    An outcome may be a word for what came back, too.
    """
    store = Producer(settings).store
    if outcome in CAME_BACK.values():
        for first in range(places.start, places.stop, _STEP):
            part = range(first, min(first + _STEP, places.stop))
            for position, back in sorted(store.feedback.returned_at(campaign, part).items()):
                if outcome == weightiest(CAME_BACK[one.kind] for one in back):
                    yield position
        return
    for position, letter in zip(places, store.payloads.letters(campaign, places), strict=False):
        if outcome in ("", Status.told(letter)):
            yield position


def _records(settings: Settings, campaign: str, places: Sequence[int]) -> Iterator[Record]:
    """What the ledger knows of the recipients at *places*.

    Raises `CampaignNotFoundError`, `InputError`.
    """
    store = Producer(settings).store
    progress = store.campaigns.progress(campaign, time())
    if places and places[-1] >= progress.total:
        raise InputError(f"campaign {campaign!r} has no recipient {places[-1] + 1}")
    account = str(progress.summary.get("account") or "")
    any_back = bool(store.feedback.counts(campaign))
    letters = store.campaigns.letters(campaign, places)
    for place, letter in zip(places, letters, strict=True):
        detail = store.campaigns.detail(campaign, place)
        here = range(place, place + 1)
        back = store.feedback.returned_at(campaign, here).get(place, ()) if any_back else ()
        yield recorded(campaign, place, letter, detail, back, account=account)
