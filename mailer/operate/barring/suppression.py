"""Who gets no mail: put on the list, taken off, found, shown, read from files and written to them."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import time
from typing import IO

from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.barring.scopes import ALL, checked
from mailer.mail.recipients import Rejected, parse
from mailer.mail.rows import Row
from mailer.operate.barring.files import Defaults, entry_of, rows_of, write
from mailer.queues.connections import Producer
from mailer.store.suppression import Suppressed, Suppression

__all__ = [
    "Imported",
    "Suppressed",
    "add",
    "entries",
    "export",
    "find",
    "load",
    "number",
    "page",
    "put_rows",
    "remove",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: rows *read*, of them new ones *added*, left out as well *passed_over*.

    *faults* are rows that name nobody, each with the reason.
    """

    read: int
    added: int
    passed_over: int
    faults: tuple[Rejected, ...]


def add(
    emails: str | Iterable[str],
    *,
    reason: str = "by hand",
    scope: str = ALL,
    until: datetime | float | None = None,
    settings: Settings | None = None,
) -> int:
    """Put addresses on the list, for good or *until* a time; returns how many are new.

    *scope* is ``all`` mail, ``bulk`` mail (receipts still go), or a List-ID. Raises `InputError` for what
    is no address, no scope or a time that is over, before anything is written.
    """
    ends = until.timestamp() if isinstance(until, datetime) else until
    now, which = time(), checked(scope)
    if ends is not None and ends <= now:
        told = f"{datetime.fromtimestamp(ends).astimezone():%Y-%m-%d %H:%M:%S}"
        raise InputError(f"until {told}: that time is over, nobody was put on the list")
    found = [
        (key, Suppressed(mailbox, reason, now, ends, "hand", scope=which))
        for key, mailbox in _keyed(emails)
    ]
    return _list(settings).add(found)


def remove(
    emails: str | Iterable[str], *, scope: str | None = None, settings: Settings | None = None
) -> int:
    """Take addresses off the list, in one *scope* or in all of them; returns how many were on it.

    Raises `InputError` for what is no address, before anything is changed.
    """
    which = checked(scope) if scope else ""
    return _list(settings).remove([key for key, _ in _keyed(emails)], which)


def find(email: str, *, settings: Settings | None = None) -> list[Suppressed]:
    """Every entry about an address. Raises `InputError` for what is none."""
    ((key, _),) = _keyed(email)
    return _list(settings).find(key)


def entries(*, settings: Settings | None = None) -> Iterator[Suppressed]:
    """Every entry, in no order, streamed. Those whose time is over are taken off first."""
    found = _list(settings)
    found.expire(time())
    return iter(found)


def load(  # noqa: PLR0913 - what holds where rows do not say it
    source: str | Path | IO[bytes],
    *,
    reason: str = "imported",
    scope: str = ALL,
    encoding: str | None = None,
    notice: Callable[[str], object] = log.warning,
    settings: Settings | None = None,
) -> Imported:
    """Put on the list whom a file names: ours, or what another mailer exported (`docs/feedback.md`).

    *reason* and *scope* hold where a row says none. Rows that name nobody are left out and told. Raises
    `InputError` for a file that cannot be read.
    """
    rows = rows_of(source, encoding, notice)
    return put_rows(rows, reason=reason, scope=scope, settings=settings)


def put_rows(
    rows: Iterable[Row],
    *,
    reason: str = "imported",
    scope: str = ALL,
    settings: Settings | None = None,
) -> Imported:
    """The same for *rows* that were read already."""
    defaults = Defaults(reason, checked(scope), time())
    faults: list[Rejected] = []
    counts = {"read": 0, "passed": 0}

    def found() -> Iterator[tuple[bytes, Suppressed]]:
        for place, row in enumerate(rows, start=1):
            one = entry_of(row, place, defaults)
            if isinstance(one, Rejected):
                faults.append(one)
            elif one is None:
                counts["passed"] += 1
            else:
                counts["read"] += 1
                yield one

    added = _list(settings).add(found())
    return Imported(counts["read"], added, counts["passed"], tuple(faults))


def page(
    cursor: int, size: int, *, scoped: bool = False, settings: Settings | None = None
) -> tuple[list[Suppressed], int]:
    """About *size* entries, in no order, and the cursor to go on from; 0 at the end.

    *scoped* looks only at mailboxes that have an entry for less than all mail.
    """
    return _list(settings).page(cursor, size, scoped=scoped)


def number(*, settings: Settings | None = None) -> int:
    """How many mailboxes are on the list."""
    return len(_list(settings))


def export(target: IO[str], *, as_json: bool = False, settings: Settings | None = None) -> int:
    """Write every entry to *target*, as CSV or JSON Lines that `load` reads; returns how many."""
    return write(entries(settings=settings), target, as_json=as_json)


def _list(settings: Settings | None) -> Suppression:
    return Suppression(Producer(settings).client)


def _keyed(emails: str | Iterable[str]) -> Iterator[tuple[bytes, str]]:
    for email in [emails] if isinstance(emails, str) else emails:
        one = parse({"email": email}, 1)
        if isinstance(one, Rejected):
            raise InputError(f"{email!r}: {one.reason}")
        yield one.key, one.mailbox
