"""Which recipients of a campaign have which outcome, as a set that others can be compared with.

So a campaign that was cancelled half-way goes on under another name, and nobody gets it twice.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from time import time

from mailer.config import Settings
from mailer.errors import CampaignNotFoundError, InputError
from mailer.mail.recipients import fingerprint
from mailer.mail.status import Status
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.campaigns import CANCELLED, Campaigns

__all__ = ["Recipients", "accepted", "failed"]

_MAY_HAVE_IT = (Status.ACCEPTED, Status.UNCERTAIN)
_HAS_IT_NOT = (Status.REJECTED, Status.DEAD, Status.DROPPED, Status.CANCELLED)


class Recipients:
    """A set of recipients, eight octets each; ``"ada@example.org" in it`` asks for one."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        # Ledger and history may both know somebody. Not by a set: of millions, that is a gigabyte.
        numbers = sorted(int.from_bytes(key, "big") for key in keys)
        self._keys = array("Q", (number for number, _ in groupby(numbers)))

    def __contains__(self, who: object) -> bool:
        """Whether a mailbox, or a recipient's fingerprint, is in the set."""
        key = fingerprint(who) if isinstance(who, str) else who
        if not isinstance(key, bytes):
            return False
        number = int.from_bytes(key, "big")
        place = bisect_left(self._keys, number)
        return place < len(self._keys) and self._keys[place] == number

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Recipients {len(self)}>"


def accepted(settings: Settings, name: str) -> Recipients:
    """Everyone who has got the campaign, or may have: accepted, or transmitted and the reply lost.

    Who was uncertain once is among them, whatever became of the dead letter; so is who was erased since.
    Where there is a history, so is everyone of whom it knows that: a ledger that was restored from a
    backup does not. Raises `InputError` while somebody is open, who may get it yet: cancel the campaign
    first.
    """
    told = list(_told_by_history(settings, name))
    campaigns = _settled(settings, name)
    try:
        campaigns.must_be_there(name)
    except CampaignNotFoundError:
        if not (told and _history_is_whole(settings, name)):
            raise
        return Recipients(told)
    return Recipients([*told, *_by_ledger(campaigns, name)])


def _by_ledger(campaigns: Campaigns, name: str) -> list[bytes]:
    has = [key for _, key in campaigns.fingerprints(name, _MAY_HAVE_IT)]
    # Read after the letters: whom a purge or an erasure took from there meanwhile stands here.
    unsure, erased = campaigns.unsure(name), campaigns.erased(name)
    if unsure:
        has += (key for place, key in campaigns.fingerprints(name) if place in unsure)
    for (place, key), letter in zip(
        erased.items(), campaigns.letters(name, list(erased)), strict=True
    ):
        if place in unsure or letter in _MAY_HAVE_IT:
            has.append(key)
    campaigns.must_be_there(name)  # else it was forgotten meanwhile: who was unsure, too
    return has


def _told_by_history(settings: Settings, name: str) -> Iterator[bytes]:
    if settings.history.url is None:
        return
    with closing(opened(settings)) as history:
        for number in history.persons(name, [status.word for status in _MAY_HAVE_IT]):
            yield number.to_bytes(8, "big", signed=True)


def _history_is_whole(settings: Settings, name: str) -> bool:
    """Whether it knows every recipient: none is missing before the last."""
    with closing(opened(settings)) as history:
        number = sum(history.counts(name).values())
        return [one.position for one in history.page(name, number - 1, 2)] == [number - 1]


def failed(settings: Settings, name: str) -> Recipients:
    """Everyone who has certainly not got the campaign: rejected, dead, dropped, cancelled.

    Not who was uncertain once, not who was erased, and not of whom a history knows otherwise. Raises
    `InputError` while somebody is open.
    """
    told = Recipients(_told_by_history(settings, name))
    campaigns = _settled(settings, name)
    while True:
        unsure = campaigns.unsure(name)
        found = campaigns.fingerprints(name, _HAS_IT_NOT)
        has_not = Recipients(key for place, key in found if place not in unsure and key not in told)
        if campaigns.unsure(name) == unsure:  # else a purge went on meanwhile
            return has_not


def _settled(settings: Settings, name: str) -> Campaigns:
    """The ledger, where nobody of the campaign is open."""
    campaigns = Producer(settings).campaigns
    if left := campaigns.open_recipients(name):
        open_ = f"campaign {name!r} still has {left} recipients open, who may get it yet: "
        if campaigns.progress(name, time()).state == CANCELLED:
            raise InputError(
                f"{open_}it is cancelled, and workers settle what they hold. "
                f"Try again when mailer status {name} shows none queued; a worker must be running"
            )
        raise InputError(
            f"{open_}wait until they are final, or cancel it first: mailer cancel {name}"
        )
    return campaigns
