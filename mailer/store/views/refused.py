"""Who of a campaign was not accepted: a fair sample, since there may be a million."""

from dataclasses import dataclass

from mailer.mail.payload import read_detail
from mailer.mail.status import Status
from mailer.store import keys
from mailer.store.campaigns import Campaigns, Failure
from mailer.store.connection import Client, reaching_redis


@dataclass(frozen=True, slots=True)
class Sample:
    """*failures* drawn at random out of so many; all of them where they are as many as *total*."""

    total: int
    failures: tuple[Failure, ...]


class Refused:
    """What is remembered of recipients that were not accepted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._campaigns = Campaigns(client)

    def sample(self, name: str, number: int) -> Sample:
        """At most *number* of those of whom something is remembered, each as likely as another."""
        with reaching_redis():
            total = self._client.hlen(keys.detail(name))
            flat = self._client.hrandfield(keys.detail(name), number, withvalues=True)
        drawn = list(zip(flat[::2], flat[1::2], strict=True))
        letters = self._campaigns.letters(name, [int(position) for position, _ in drawn])
        failures = (
            Failure(int(position), Status.read(letter), read_detail(packed))
            for (position, packed), letter in zip(drawn, letters, strict=True)
        )
        return Sample(max(total, len(drawn)), tuple(failures))
