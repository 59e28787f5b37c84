"""From which campaigns one goes on: it left out who has got them."""

import json
from collections.abc import Iterable

from mailer.store import keys
from mailer.store.client import Client
from mailer.store.reach import reading


def remember(client: Client, name: str, others: Iterable[str]) -> None:
    """Write down that *name* goes on from *others*, beside those that it went on from before."""
    known = before(client, name)
    new = [other for other in dict.fromkeys(others) if other not in known and other != name]
    if new:
        client.hset(keys.campaign(name), "after", json.dumps([*known, *new]))


def before(client: Client, name: str) -> list[str]:
    """The campaigns that *name* went on from, the first first; those before them are theirs to say."""
    found = reading.value(client.hget(keys.campaign(name), "after"), "mailer:campaign")
    return [other for other in found if isinstance(other, str)] if isinstance(found, list) else []
