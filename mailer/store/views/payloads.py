"""Where the bytes of one recipient's message lie, while a batch still holds them."""

from collections.abc import Sequence
from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis
from mailer.store.positions import unpack_positions

_STEP: Final = 1_000
_MOST_BATCHES: Final = 20_000
"""Batches of a campaign that are asked whose they are, the newest; ten million recipients at 500 each."""


class Payloads:
    """The batches of one Redis, asked for one recipient."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def batch_with(self, campaign: str, position: int) -> tuple[bytes, int] | None:
        """The payload that holds the recipient's message, and the message's place in it."""
        with reaching_redis():
            last = int(self._client.hget(keys.campaign(campaign), "batches") or 0)
        first = max(1, last - _MOST_BATCHES + 1)
        for start in range(first, last + 1, _STEP):
            refs = [f"{campaign}:{n}" for n in range(start, min(start + _STEP, last + 1))]
            pipe = self._client.pipeline(transaction=False)
            for ref in refs:
                pipe.hmget(keys.batch(ref), "positions", "without")
            with reaching_redis():
                rows = pipe.execute()
            for ref, (held, without) in zip(refs, rows, strict=True):
                if held and _holds(held, without, position):
                    return self._payload(ref), unpack_positions(held.decode()).index(position)
        return None

    def letters(self, campaign: str, places: range) -> str:
        """The status letters of the recipients at *places*, as far as there are recipients."""
        if not places:
            return ""
        pipe = self._client.pipeline(transaction=False)
        pipe.getrange(keys.status(campaign), places.start, places.stop - 1)
        with reaching_redis():
            (found,) = pipe.execute()
        return str(found.decode())

    def _payload(self, ref: str) -> bytes:
        with reaching_redis():
            return self._client.get(keys.payload(ref)) or b""


def _holds(held: bytes, without: bytes | None, position: int) -> bool:
    start, plus, number = held.partition(b"+")
    if plus and not int(start) <= position < int(start) + int(number):
        return False
    elsewhere: Sequence[int] = unpack_positions(without.decode()) if without else ()
    return position in unpack_positions(held.decode()) and position not in elsewhere
