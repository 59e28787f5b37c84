"""How many of a campaign each receiver has taken, and whose mail of it is held back."""

from collections.abc import Mapping
from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, asking, load, reaching_redis
from mailer.store.reach import reading

MOST: Final = 5000
"""Domains counted of a campaign: those beyond are too small for the brake to judge."""


class Receivers:
    """Receivers are domains of mailboxes, in lower case."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ask = asking(client)
        self._count = load(client, "receivers_count")

    def count(self, campaign: str, accepted: Mapping[str, int]) -> None:
        """So many more messages were *accepted*, by domain; one round trip."""
        flat = [part for pair in accepted.items() for part in pair]
        if flat:
            self._count(campaign, MOST, *flat)

    def held(self, campaign: str) -> Mapping[str, str]:
        """Whose mail waits until somebody says ``--accept-rate``, and why."""
        found = reading.fields(self._ask("HGETALL", keys.stopped(campaign)))
        return {reading.text(domain): reading.text(why) for domain, why in found.items()}

    def let_go(self, campaign: str) -> None:
        """Hold nothing back any more, now and later: somebody has looked."""
        with reaching_redis():
            self._client.hset(keys.campaign(campaign), "accept_rate", "1")
            # First into the set that sweeps look at: after a crash here, they wake what is parked.
            self._client.sadd(keys.RESUMED, campaign)
            self._client.delete(keys.stopped(campaign))
