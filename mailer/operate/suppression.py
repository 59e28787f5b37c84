"""Who never gets mail: put on the list, taken off, shown; `mailer.suppression` in Python."""

from collections.abc import Iterable, Iterator
from time import time

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.recipients import Rejected, parse
from mailer.queues.connections import Producer
from mailer.store.suppression import Suppressed, Suppression

__all__ = ["Suppressed", "add", "entries", "put", "remove"]


def add(
    settings: Settings, emails: Iterable[str], *, reason: str, until: float | None = None
) -> int:
    """Put addresses on the list, for good or *until* a time; returns how many are new.

    Raises `InputError` for what is no address, before anything is written.
    """
    now = time()
    keyed = list(_keyed(emails))
    return put(
        settings,
        ((key, Suppressed(mailbox, reason, now, until, "hand")) for key, mailbox in keyed),
    )


def put(settings: Settings, entries: Iterable[tuple[bytes, Suppressed]]) -> int:
    """Put entries on the list by their fingerprints; returns how many are new."""
    return _list(settings).add(entries)


def remove(settings: Settings, emails: Iterable[str]) -> int:
    """Take addresses off the list; returns how many were on it. Raises `InputError`."""
    return _list(settings).remove([key for key, _ in _keyed(emails)])


def entries(settings: Settings) -> Iterator[Suppressed]:
    """Everyone on the list, in no order. Those whose time is over are taken off first."""
    found = _list(settings)
    found.expire(time())
    return iter(found)


def _list(settings: Settings) -> Suppression:
    return Suppression(Producer(settings).client)


def _keyed(emails: Iterable[str]) -> Iterator[tuple[bytes, str]]:
    for email in emails:
        one = parse({"email": email}, 1)
        if isinstance(one, Rejected):
            raise InputError(f"{email!r}: {one.reason}")
        yield one.key, one.mailbox
