"""Who never gets mail."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One address on the list: since when (seconds since the epoch) and why."""

    mailbox: str
    reason: str
    since: float


class Suppression:
    """The suppression list, by fingerprint of the mailbox (`mailer.mail.recipients`)."""

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
                added += sum(pipe.execute())
        return added

    def remove(self, fingerprints: Sequence[bytes]) -> int:
        """Take mailboxes off the list; returns how many were on it."""
        if not fingerprints:
            return 0
        with reaching_redis():
            return int(self._client.hdel(keys.SUPPRESSED, *fingerprints))

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
            for _, packed in self._client.hscan_iter(keys.SUPPRESSED, count=1000):
                yield Suppressed(*json.loads(packed))

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
