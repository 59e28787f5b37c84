"""The suppression list for who looks: one mailbox, or some entries at a time."""

import json
from collections.abc import Iterator, Mapping

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis
from mailer.store.suppression import Suppressed


class SuppressedPages:
    """The list of one Redis, in pieces."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, fingerprint: bytes) -> list[Suppressed]:
        """What the list says of one mailbox; nothing where it is not on it."""
        with reaching_redis():
            packed = self._client.hget(keys.SUPPRESSED, fingerprint)
        return list(self._entries({fingerprint: packed})) if packed else []

    def page(self, cursor: int, number: int) -> tuple[list[Suppressed], int]:
        """The entries of about *number* mailboxes, in no order, and where to go on; 0 at the end."""
        with reaching_redis():
            cursor, page = self._client.hscan(keys.SUPPRESSED, cursor, count=number)
        return list(self._entries(page)), cursor

    def _entries(self, page: Mapping[bytes, bytes]) -> Iterator[Suppressed]:
        if not page:
            return
        people = list(page)
        with reaching_redis():
            why = self._client.hmget(keys.SUPPRESSED_WHY, people)
            until = self._client.zmscore(keys.SUPPRESSED_UNTIL, people)
        for (fingerprint, packed), said, ends in zip(page.items(), why, until, strict=True):
            mailbox, reason, since, *_ = json.loads(packed)
            more = json.loads(said or b"{}")
            yield Suppressed(
                mailbox or f"#{fingerprint.hex()}",
                reason,
                since,
                ends,
                more.get("source", ""),
                more.get("evidence", ""),
            )
