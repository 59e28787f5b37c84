"""Where in its campaign the message stands that something came back of."""

from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis

_STEP: Final = 65_536
"""Positions read at a time: half a megabyte."""


def place(client: Client, campaign: str, fingerprint: bytes) -> int:
    """The position of a recipient's message in *campaign*: of several single ones, the newest's.

    Negative, and made from the fingerprint, where the campaign has kept no order of its recipients.
    """
    with reaching_redis():
        total = int(client.hget(keys.campaign(campaign), "next") or 0)
    for first in range(total - total % _STEP, -1, -_STEP):
        pipe = client.pipeline(transaction=False)
        pipe.getrange(keys.order(campaign), 8 * first, 8 * (first + _STEP) - 1)
        with reaching_redis():
            (order,) = pipe.execute()
        at = order.rfind(fingerprint)
        while at >= 0 and at % 8:
            at = order.rfind(fingerprint, 0, at + 7)
        if at >= 0:
            return first + int(at) // 8
    return -1 - (int.from_bytes(fingerprint, "big") & 0x3FFFFFFF)
