"""Who gets no mail, and which mail that is."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import time
from typing import Any, Final, TypeGuard

from mailer.mail.barring.scopes import ALL, applies
from mailer.mail.event import Told
from mailer.store import keys
from mailer.store.connection import Client, asking, load, reaching_redis
from mailer.store.reach import reading

_STEP: Final = 500
"""Entries that one call writes or reads."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One entry of the list: whom it is about, since when (seconds since the epoch) and why.

    *until* is when it is over, None for good; *source* is who put it there (``hand``, ``session``,
    ``file`` …), *evidence* what a server said. *scope* is which mail it stops
    (`mailer.mail.barring.scopes`). A mailbox that was known by its token alone shows as ``#`` and its
    fingerprint.
    """

    mailbox: str
    reason: str
    since: float
    until: float | None = None
    source: str = ""
    evidence: str = ""
    scope: str = ALL


class Suppression:
    """The suppression list, by fingerprint of the mailbox (`mailer.mail.recipients`).

    Mailbox, reason and time lie where version 0.1.0 reads them; what is new lies beside.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ask = asking(client)
        self._add = load(client, "barring", "suppress")
        self._remove = load(client, "barring", "unsuppress")
        self._expire = load(client, "barring", "suppress_expire")

    def add(self, entries: Iterable[tuple[bytes, Suppressed]]) -> int:
        """Put mailboxes on the list, and return how many are new.

        Who is there already for the same scope, and for as long, keeps the reason.
        """
        added, rest = 0, iter(entries)
        while chunk := list(islice(rest, _STEP)):
            flat: list[object] = []
            for fingerprint, one in chunk:
                why = json.dumps({"source": one.source, "evidence": one.evidence})
                flat += (fingerprint, one.mailbox, one.reason, one.since, one.until or 0)
                flat += (one.scope, why)
            added += int(self._add(*flat))
        return added

    def remove(
        self,
        fingerprints: Iterable[bytes],
        scope: str = "",
        reason: str = "",
        told: Told | None = None,
    ) -> int:
        """Take mailboxes off the list, where given only for that scope and reason; returns how many.

        *told* is what those who follow events are told where one was on it.
        """
        removed, rest = 0, iter(fingerprints)
        while chunk := list(islice(rest, _STEP)):
            removed += int(self._remove(scope, reason, (told or Told()).entry, *chunk))
        return removed

    def expire(self, now: float) -> int:
        """Take off the list those whose time is over; returns how many."""
        total = 0
        while taken := int(self._expire(now, _STEP)):
            total += taken
        return total

    def among(self, fingerprints: Sequence[bytes], mail: str) -> list[bool]:
        """For each fingerprint, whether it is to get no *mail*; two round trips, three where some are."""
        if not fingerprints or not self._ask("EXISTS", keys.SUPPRESSED):
            return [False] * len(fingerprints)
        found = self._ask("HMGET", keys.SUPPRESSED, *fingerprints)
        answers = [entry is not None for entry in found]
        scoped = [place for place, entry in enumerate(found) if entry and _is_scoped(entry)]
        scopes = self._scopes([fingerprints[place] for place in scoped])
        now = time()
        for place in scoped:
            answers[place] = any(
                applies(scope, mail) and not 0 < until <= now
                for scope, (_, _, until, *_) in scopes[fingerprints[place]].items()
            )
        return answers

    def changes(self) -> int:
        """A number that grows whenever somebody is put on the list."""
        return int(self._ask("GET", keys.SUPPRESSED_CHANGES) or 0)

    def find(self, fingerprint: bytes) -> list[Suppressed]:
        """All entries about one mailbox."""
        with reaching_redis():
            packed = self._client.hget(keys.SUPPRESSED, fingerprint)
        return self._entries({fingerprint: packed}).get(fingerprint, []) if packed else []

    def of(self, fingerprints: Sequence[bytes]) -> Mapping[bytes, list[Suppressed]]:
        """All entries about each of some mailboxes; nothing of those that are not on the list."""
        if not fingerprints:
            return {}
        with reaching_redis():
            found = self._client.hmget(keys.SUPPRESSED, fingerprints)
        page = {who: packed for who, packed in zip(fingerprints, found, strict=True) if packed}
        return self._entries(page)

    def __iter__(self) -> Iterator[Suppressed]:
        """Every entry of the list, in no order, streamed."""
        cursor = 0
        while True:
            found, cursor = self.page(cursor, _STEP)
            yield from found
            if cursor == 0:
                return

    def page(
        self, cursor: int, number: int, *, scoped: bool = False
    ) -> tuple[list[Suppressed], int]:
        """The entries of about *number* mailboxes, in no order, and where to go on; 0 at the end.

        *scoped* looks only at mailboxes that have an entry for less than all mail.
        """
        table = keys.SUPPRESSED_SCOPED if scoped else keys.SUPPRESSED
        with reaching_redis():
            cursor, page = self._client.hscan(table, cursor, count=number)
            if scoped and page:
                found = self._client.hmget(keys.SUPPRESSED, list(page))
                page = {who: entry for who, entry in zip(page, found, strict=True) if entry}
        return [entry for entries in self._entries(page).values() for entry in entries], cursor

    def __len__(self) -> int:
        """How many mailboxes are on the list."""
        with reaching_redis():
            return int(self._client.hlen(keys.SUPPRESSED))

    def _entries(self, page: Mapping[bytes, bytes]) -> Mapping[bytes, list[Suppressed]]:
        if not page:
            return {}
        people = list(page)
        with reaching_redis():
            why = self._client.hmget(keys.SUPPRESSED_WHY, people)
            until = self._client.zmscore(keys.SUPPRESSED_UNTIL, people)
        scopes, found = self._scopes(people), dict[bytes, list[Suppressed]]()
        for place, (fingerprint, packed) in enumerate(page.items()):
            known = reading.value(packed, keys.SUPPRESSED)
            mailbox, reason, since, *_ = known if _is_entry(known) else ("", "", 0.0)
            who = mailbox or f"#{fingerprint.hex()}"
            entries = found.setdefault(fingerprint, [])
            if not _is_scoped(packed):
                more = reading.table(why[place], keys.SUPPRESSED_WHY)
                source, evidence = more.get("source", ""), more.get("evidence", "")
                entries.append(Suppressed(who, reason, since, until[place], source, evidence))
            for scope, (its_reason, at, ends, source, said) in scopes[fingerprint].items():
                entries.append(Suppressed(who, its_reason, at, ends or None, source, said, scope))
        return found

    def _scopes(self, fingerprints: Sequence[bytes]) -> Mapping[bytes, Mapping[str, Sequence[Any]]]:
        """What entries that are not for all mail say of each of *fingerprints*."""
        if not fingerprints:
            return {}
        with reaching_redis():
            found = self._client.hmget(keys.SUPPRESSED_SCOPED, fingerprints)
        return {
            fingerprint: reading.table(packed, keys.SUPPRESSED_SCOPED)
            for fingerprint, packed in zip(fingerprints, found, strict=True)
        }


def _is_entry(known: object) -> TypeGuard[list[Any]]:
    """Whether it says who, why and since when; who is barred by another is barred all the same."""
    if not isinstance(known, list) or len(known) < 3:
        return False
    mailbox, reason, since = known[:3]
    return isinstance(mailbox, str) and isinstance(reason, str) and isinstance(since, int | float)


def _is_scoped(packed: bytes) -> bool:
    """Whether an entry holds only for what lies beside it: it has a fourth element."""
    return packed.endswith(b',"scoped"]')
