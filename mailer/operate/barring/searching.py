"""Who of the suppression list is looked for, page by page, by address, scope, reason and source."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import time
from typing import Final

from mailer.config import Settings
from mailer.mail.barring.scopes import ALL
from mailer.operate.barring import suppression
from mailer.operate.barring.suppression import Suppressed
from mailer.queues.connections import Producer
from mailer.store.views.reasons import ReasonGroup, Reasons

SIZE: Final = 50
"""Entries on a page."""

_LOOKED_AT: Final = 2_000
"""Entries that one page looks at, at most, where only some are wanted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are looked for: of a *scope*, a *source*, with a *reason*; empty ones ask for any.

    *reason* is one that there is, or words that stand in it.
    """

    scope: str = ""
    reason: str = ""
    source: str = ""

    def fits(self, one: Suppressed, *, exactly: bool) -> bool:
        """Whether *one* is looked for, and its time is not over."""
        reason, words = one.reason.lower(), self.reason.lower()
        if one.until is not None and one.until <= time():
            return False
        if self.scope not in ("", one.scope) or self.source not in ("", one.source):
            return False
        return reason == words if exactly else words in reason


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, and where to go on; 0 at the end."""

    entries: tuple[Suppressed, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many entries there are by reason and by source; *others* share too many reasons."""

    reasons: Sequence[tuple[str, int]]
    sources: Sequence[tuple[str, int]]
    others: int


def counts(settings: Settings) -> Counts | None:
    """The list, counted; None while no worker of this version has done so."""
    found = _reasons(settings).all()
    if found is None:
        return None
    reasons, sources = Counter[str](), Counter[str]()
    for one in found:
        if not one.others:
            reasons[one.reason] += one.entries
            sources[one.source] += one.entries
    others = sum(one.entries for one in found if one.others)
    return Counts(reasons.most_common(), sources.most_common(), others)


def search(settings: Settings, wanted: Wanted, start: int) -> Page:
    """A page of entries that are *wanted*, from *start* on, which the page before has named.

    By reason or source the newest of each first, else in no order. Looks at about 2,000 entries at most.
    """
    found = _reasons(settings).all() if wanted.reason or wanted.source else None
    if found is not None:
        return _indexed(settings, wanted, found, start)
    look = partial(suppression.page, scoped=wanted.scope not in ("", ALL), settings=settings)
    fits = partial(wanted.fits, exactly=False)
    return _scanned(look, fits, start, SIZE if wanted == Wanted() else _LOOKED_AT)


def _indexed(settings: Settings, wanted: Wanted, known: Sequence[ReasonGroup], start: int) -> Page:
    words = wanted.reason.lower()
    exactly = bool(words) and any(one.reason.lower() == words for one in known)

    def may_have(one: ReasonGroup) -> bool:
        reason = one.reason.lower()
        has_words = reason == words if exactly else words in reason
        return one.others or (has_words and wanted.source in ("", one.source))

    # By number, not by size: a set keeps its place while somebody goes from page to page.
    sets = sorted(filter(may_have, known), key=lambda one: int(one.number))
    found: list[Suppressed] = []
    for place, one in _reasons(settings).entries(sets, start):
        if len(found) == SIZE or place >= start + _LOOKED_AT:
            return Page(tuple(found), place)
        if wanted.fits(one, exactly=exactly):
            found.append(one)
    return Page(tuple(found), 0)


def _scanned(
    look: Callable[[int, int], tuple[list[Suppressed], int]],
    fits: Callable[[Suppressed], bool],
    start: int,
    most: int,
) -> Page:
    """About a page of entries that fit, and where to go on; looks at about *most* entries."""
    found: list[Suppressed] = []
    looked = 0
    while looked < most and len(found) < SIZE:
        some, start = look(start, min(most, 500))
        looked += max(len(some), 1)
        found += filter(fits, some)
        if not start:
            break
    return Page(tuple(found), start)


def _reasons(settings: Settings) -> Reasons:
    return Reasons(Producer(settings).client)
