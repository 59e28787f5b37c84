"""Who never gets mail."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One address on the list: since when (seconds since the epoch) and why.

    *until* is when it is over, None for good; *source* is who put it there (``hand``, ``session``,
    ``file`` …), *evidence* what a server said. A mailbox that was known by its token alone shows as
    ``#`` and its fingerprint.
    """

    mailbox: str
    reason: str
    since: float
    until: float | None = None
    source: str = ""
    evidence: str = ""


class Suppression:
    """The suppression list, by fingerprint of the mailbox (`mailer.mail.recipients`).

    Mailbox, reason and time lie where version 0.1.0 reads them; what is new lies beside.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(self, entries: Iterable[tuple[bytes, Suppressed]]) -> int:
        """Put mailboxes on the list, and return how many are new; the others keep their reason."""
        added = 0
        for chunk in _chunks(entries):
            pipe = self._client.pipeline(transaction=False)
            for fingerprint, entry in chunk:
                packed = json.dumps([entry.mailbox, entry.reason, entry.since])
                pipe.hsetnx(keys.SUPPRESSED, fingerprint, packed)
            with reaching_redis():
                new = pipe.execute()
            self._describe([one for one, is_new in zip(chunk, new, strict=True) if is_new])
            added += sum(new)
        return added

    def _describe(self, entries: Sequence[tuple[bytes, Suppressed]]) -> None:
        """Write down what is known of new entries beside their reason."""
        pipe = self._client.pipeline(transaction=False)
        for fingerprint, entry in entries:
            why = {"source": entry.source, "evidence": entry.evidence}
            pipe.hsetnx(keys.SUPPRESSED_WHY, fingerprint, json.dumps(why))
            if entry.until is not None:
                pipe.zadd(keys.SUPPRESSED_UNTIL, {fingerprint: entry.until})
        with reaching_redis():
            pipe.execute()

    def remove(self, fingerprints: Sequence[bytes]) -> int:
        """Take mailboxes off the list; returns how many were on it."""
        if not fingerprints:
            return 0
        with reaching_redis():
            self._client.hdel(keys.SUPPRESSED_WHY, *fingerprints)
            self._client.zrem(keys.SUPPRESSED_UNTIL, *fingerprints)
            return int(self._client.hdel(keys.SUPPRESSED, *fingerprints))

    def expire(self, now: float) -> int:
        """Take off the list those whose time is over; returns how many."""
        with reaching_redis():
            over = self._client.zrangebyscore(keys.SUPPRESSED_UNTIL, "-inf", now)
        return self.remove(over)

    def remove_if(self, fingerprint: bytes, reason: str) -> bool:
        """Take a mailbox off the list if it is there for *reason*; returns whether it was."""
        with reaching_redis():
            packed = self._client.hget(keys.SUPPRESSED, fingerprint)
        return bool(packed and json.loads(packed)[1] == reason and self.remove([fingerprint]))

    def among(self, fingerprints: Sequence[bytes]) -> list[bool]:
        """For each fingerprint, whether it is on the list; one round trip, two when the list has any."""
        with reaching_redis():
            if not fingerprints or not self._client.exists(keys.SUPPRESSED):
                return [False] * len(fingerprints)
            found = self._client.hmget(keys.SUPPRESSED, fingerprints)
        return [entry is not None for entry in found]

    def __iter__(self) -> Iterator[Suppressed]:
        """Everyone on the list, in no order, streamed."""
        with reaching_redis():
            why = self._client.hgetall(keys.SUPPRESSED_WHY)
            until = dict(self._client.zrange(keys.SUPPRESSED_UNTIL, 0, -1, withscores=True))
            for fingerprint, packed in self._client.hscan_iter(keys.SUPPRESSED, count=1000):
                mailbox, reason, since, *_ = json.loads(packed)
                more = json.loads(why.get(fingerprint, b"{}"))
                yield Suppressed(
                    mailbox or f"#{fingerprint.hex()}",
                    reason,
                    since,
                    until.get(fingerprint),
                    more.get("source", ""),
                    more.get("evidence", ""),
                )

    def __len__(self) -> int:
        """How many are on the list."""
        with reaching_redis():
            return int(self._client.hlen(keys.SUPPRESSED))


def _chunks(
    entries: Iterable[tuple[bytes, Suppressed]], size: int = 1000
) -> Iterator[list[tuple[bytes, Suppressed]]]:
    chunk: list[tuple[bytes, Suppressed]] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
