"""Who never gets mail: put on the list, taken off, shown; `mailer.suppression` in Python."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import time

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.recipients import BrokenRow, Rejected, parse
from mailer.queues.connections import Producer
from mailer.store.suppression import Suppressed, Suppression
from mailer.store.views.suppressed import SuppressedPages

__all__ = [
    "Imported",
    "Suppressed",
    "add",
    "entries",
    "find",
    "number",
    "page",
    "put",
    "put_rows",
    "remove",
]


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


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of rows that were to be put on the list."""

    read: int
    added: int
    faults: tuple[Rejected, ...]


def put_rows(
    settings: Settings, rows: Iterable[Mapping[str, object] | BrokenRow], reason: str
) -> Imported:
    """Put the addresses of *rows* on the list; a field ``reason`` says why, else *reason* does.

    Rows that name nobody are left out and returned.
    """
    now, faults, keyed = time(), list[Rejected](), list[tuple[bytes, Suppressed]]()
    for number, row in enumerate(rows, start=1):
        one = parse(row, number)
        if isinstance(one, Rejected):
            faults.append(one)
            continue
        why = str(one.fields.get("reason") or reason)
        keyed.append((one.key, Suppressed(one.mailbox, why, now, source="import")))
    return Imported(len(keyed), put(settings, keyed), tuple(faults))


def find(settings: Settings, email: str) -> list[Suppressed]:
    """What the list says of one address. Raises `InputError` for what is none."""
    ((key, _),) = _keyed([email])
    return _pages(settings).find(key)


def page(settings: Settings, cursor: int, number: int) -> tuple[list[Suppressed], int]:
    """About *number* entries, in no order, and the cursor to go on from; 0 at the end."""
    return _pages(settings).page(cursor, number)


def number(settings: Settings) -> int:
    """How many mailboxes are on the list."""
    return len(_list(settings))


def _pages(settings: Settings) -> SuppressedPages:
    return SuppressedPages(Producer(settings).client)
