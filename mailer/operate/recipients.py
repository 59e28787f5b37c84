"""Which recipients of a campaign have which outcome, as a set that others can be compared with.

So a campaign that was cancelled half-way goes on under another name, and nobody gets it twice.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import closing
from heapq import merge
from itertools import groupby
from time import time

from mailer.config import Settings
from mailer.errors import CampaignNotFoundError, InputError
from mailer.mail.counts import plural
from mailer.mail.recipients import fingerprint
from mailer.mail.status import Status
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.campaigns import CANCELLED, Campaigns

__all__ = ["Recipients", "accepted", "failed", "replayable"]

_MAY_HAVE_IT = (Status.ACCEPTED, Status.UNCERTAIN)
_HAS_IT_NOT = (Status.REJECTED, Status.DEAD, Status.DROPPED, Status.CANCELLED)


class Recipients:
    """A set of recipients, eight octets each; ``"ada@example.org" in it`` asks for one.

    *of* names the campaigns whose recipients they are. Of two sets, ``|`` makes one.
    """

    def __init__(self, keys: Iterable[bytes] = (), of: Iterable[str] = ()) -> None:
        self.of = tuple(of)
        # Ledger and history may both know somebody. Not by a set: of millions, that is a gigabyte.
        self._keys = _once(sorted(int.from_bytes(key, "big") for key in keys))

    def __or__(self, other: "Recipients") -> "Recipients":
        both = Recipients(of=dict.fromkeys((*self.of, *other.of)))
        both._keys = _once(merge(self._keys, other._keys))
        return both

    def without(self, other: "Recipients") -> "Recipients":
        """Those who are not in *other*."""
        left = Recipients(of=self.of)
        left._keys = array("Q", (one for one in self._keys if one.to_bytes(8, "big") not in other))
        return left

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


def _once(numbers: Iterable[int]) -> "array[int]":
    return array("Q", (number for number, _ in groupby(numbers)))


def accepted(settings: Settings, *names: str) -> Recipients:
    """Everyone who has got one of the campaigns, or may have: accepted, or the reply was lost.

    So has whoever got a campaign that one of these went on from: it left her out for that. Raises
    `InputError` where such a campaign is not known any more.

    Who was uncertain once is among them, whatever became of the dead letter; so is who was erased since.
    Where there is a history, so is everyone of whom it knows that: a ledger that was restored from a
    backup does not. Raises `InputError` while somebody is open, who may get it yet: cancel the campaign
    first.
    """
    found, asked = Recipients(of=names), set(names)
    waiting: list[tuple[str, str]] = [(name, "") for name in dict.fromkeys(names)]
    for name, later in waiting:
        try:
            found |= _accepted(settings, name)
        except CampaignNotFoundError as exc:
            if not later:
                raise
            raise InputError(_lost(name, later)) from exc
        before = [other for other in _before(settings, name) if other not in asked]
        asked.update(before)
        waiting += [(other, name) for other in before]
    return found


def _before(settings: Settings, name: str) -> list[str]:
    return Producer(settings).campaigns.before(name)


def _lost(name: str, later: str) -> str:
    return (
        f"campaign {later!r} left out who had got {name!r}, and {name!r} is not known any more: who has "
        "got it cannot be said. Take those out of the list by other records of yours"
    )


def _accepted(settings: Settings, name: str) -> Recipients:
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


def failed(settings: Settings, *names: str) -> Recipients:
    """Everyone whom one of the campaigns did not reach, nor another: rejected, dead, dropped, cancelled.

    Not who was uncertain once, not who was erased, and not of whom a history knows otherwise. Raises
    `InputError` while somebody is open.
    """
    found = Recipients(of=names)
    for name in dict.fromkeys(names):
        found |= _failed(settings, name)
    return found.without(accepted(settings, *names)) if len(names) > 1 else found


def _failed(settings: Settings, name: str) -> Recipients:
    told = Recipients(_told_by_history(settings, name))
    campaigns = _settled(settings, name)
    while True:
        unsure = campaigns.unsure(name)
        found = campaigns.fingerprints(name, _HAS_IT_NOT)
        has_not = Recipients(key for place, key in found if place not in unsure and key not in told)
        if campaigns.unsure(name) == unsure:  # else a purge went on meanwhile
            return has_not


def replayable(settings: Settings, name: str) -> int:
    """How many recipients a replay of dead letters could still reach: none of one cancelled, or gone."""
    try:
        found = Producer(settings).campaigns.progress(name, time())
    except CampaignNotFoundError:
        return 0
    if found.state == CANCELLED:
        return 0
    return sum(found.outcomes.get(one.word, 0) for one in (Status.DEAD, Status.UNCERTAIN))


def _settled(settings: Settings, name: str) -> Campaigns:
    """The ledger, where nobody of the campaign is open."""
    campaigns = Producer(settings).campaigns
    if left := campaigns.open_recipients(name):
        who = plural(left, "recipient")
        open_ = f"campaign {name!r} still has {who} open, who may get it yet: "
        if campaigns.progress(name, time()).state == CANCELLED:
            raise InputError(
                f"{open_}it is cancelled, and workers settle what they hold. "
                f"Try again when mailer status {name} shows none queued; a worker must be running"
            )
        raise InputError(
            f"{open_}wait until they are final, or cancel it first: mailer cancel {name}"
        )
    return campaigns
