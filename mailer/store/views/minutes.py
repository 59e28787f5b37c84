"""How many recipients of a campaign became final in each minute."""

from collections.abc import Mapping
from typing import Final

from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.connection import Client, reaching_redis

KEPT_DAYS: Final = 30
_DAY: Final = 1440


def minutes(
    client: Client, name: str, since: float, until: float
) -> Mapping[int, Mapping[Status, int]]:
    """By minute (since the epoch), how many got which status; nothing older than `KEPT_DAYS`."""
    last = int(until // 86400)
    days = range(max(int(since // 86400), last - KEPT_DAYS), last + 1)
    pipe = client.pipeline(transaction=False)
    for day in days:
        pipe.hgetall(keys.minutes(name, day))
    with reaching_redis():
        rows = pipe.execute()
    found: dict[int, dict[Status, int]] = {}
    for day, row in zip(days, rows, strict=True):
        for field, number in row.items():
            minute = day * _DAY + int(field[:-1])
            found.setdefault(minute, {})[Status(field[-1:].decode())] = int(number)
    return found
