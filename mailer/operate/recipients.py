"""Which recipients of a campaign have which outcome, as a set that others can be compared with.

So a campaign that was cancelled half-way goes on under another name, and nobody gets it twice.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.recipients import fingerprint
from mailer.mail.status import OPEN, Status
from mailer.queues.connections import Producer

__all__ = ["Recipients", "accepted", "failed"]

_MAY_HAVE_IT = (Status.ACCEPTED, Status.UNCERTAIN)
_HAS_IT_NOT = (Status.REJECTED, Status.DEAD, Status.DROPPED, Status.CANCELLED)


class Recipients:
    """A set of recipients, eight octets each; ``"ada@example.org" in it`` asks for one."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = array("Q", sorted(int.from_bytes(key, "big") for key in keys))

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

    Raises `InputError` while somebody is open, who may get it yet: cancel the campaign first.
    """
    return _of(settings, name, _MAY_HAVE_IT)


def failed(settings: Settings, name: str) -> Recipients:
    """Everyone who has certainly not got the campaign: rejected, dead, dropped, cancelled.

    Raises `InputError` while somebody is open.
    """
    return _of(settings, name, _HAS_IT_NOT)


def _of(settings: Settings, name: str, statuses: Iterable[Status]) -> Recipients:
    campaigns = Producer(settings).campaigns
    if left := campaigns.open_recipients(name):
        raise InputError(
            f"campaign {name!r} still has {left} recipients open, who may get it yet: "
            f"wait until they are final, or cancel it first: mailer cancel {name}"
        )
    assert not OPEN & set(statuses)
    return Recipients(campaigns.fingerprints(name, statuses))
