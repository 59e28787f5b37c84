"""What came back, over what was heard first: once for each campaign, recipient and kind."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from mailer.mail.dropping import Dropping
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis

MAX_UNKNOWN = 500
"""How many messages that were not understood are kept; the oldest go."""


@dataclass(frozen=True, slots=True)
class Returned:
    """One record: what came back of the message of a campaign to one recipient.

    *at* are seconds since the epoch, *source* says by which way it came and *proof* how its message was
    found. *said* is what the server wrote, at most some hundred characters.
    """

    kind: str
    recipient: str
    at: float
    status: str = ""
    code: int = 0
    reason: str = ""
    permanent: bool = False
    said: str = ""
    source: str = ""
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """What a record did: *answer* is new, known, worse or gone (there is no such campaign)."""

    answer: str
    dropped: bool
    paused: str


@dataclass(frozen=True, slots=True)
class Brake:
    """At which shares of the accepted a campaign pauses itself; None for never."""

    bounces: float | None = 0.05
    complaints: float | None = 0.003
    after: int = 200


class Feedback:
    """What came back, in Redis."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._come_back = load(client, "come_back")

    def note(
        self, campaign: str, key: bytes, one: Returned, rule: Dropping | None, brake: Brake
    ) -> Noted:
        """Write *one* down, apply *rule* to its recipient and *brake* to its campaign; one round trip.

        Repeated, it changes nothing. With *campaign* ``""`` only the rule is applied.
        """
        why = json.dumps({"source": one.source, "evidence": one.said, "campaign": campaign})
        policy = (rule.times, rule.span, rule.lasts, rule.memory) if rule else ("", "", "", "")
        answer, dropped, paused = self._come_back(
            campaign,
            key,
            one.kind,
            one.at,
            json.dumps(asdict(one)),
            "1" if one.permanent else "",
            one.recipient,
            one.reason or one.kind,
            why,
            *policy,
            "" if brake.bounces is None else brake.bounces,
            "" if brake.complaints is None else brake.complaints,
            brake.after,
        )
        return Noted(answer.decode(), dropped == b"1", paused.decode())

    def counts(self, campaign: str) -> Mapping[str, int]:
        """How many recipients, by kind; ``permanent`` are those that bounced for good."""
        with reaching_redis():
            found = self._client.hgetall(keys.backs(campaign))
        return {kind.decode(): int(number) for kind, number in found.items()}

    def returned(self, campaign: str) -> Iterator[Returned]:
        """Every record of a campaign, in no order."""
        with reaching_redis():
            for _, packed in self._client.hscan_iter(keys.back(campaign), count=500):
                yield Returned(**json.loads(packed))

    def keep(self, summary: Mapping[str, object], now: float) -> None:
        """Keep what proved nothing, the newest `MAX_UNKNOWN` of it; the same one is kept once."""
        pipe = self._client.pipeline(transaction=False)
        pipe.zadd(keys.UNKNOWN, {json.dumps(summary): now})
        pipe.zremrangebyrank(keys.UNKNOWN, 0, -MAX_UNKNOWN - 1)
        with reaching_redis():
            pipe.execute()

    def unknown(self) -> list[tuple[float, Mapping[str, object]]]:
        """What proved nothing, each with its time, the newest first."""
        with reaching_redis():
            found = self._client.zrange(keys.UNKNOWN, 0, -1, withscores=True)
        return [(at, json.loads(packed)) for packed, at in reversed(found)]

    def bookmark(self, place: str) -> str:
        """How far *place* was read; empty where it never was."""
        with reaching_redis():
            return (self._client.get(keys.bookmark(place)) or b"").decode()

    def set_bookmark(self, place: str, bookmark: str) -> None:
        """*place* is read up to *bookmark*: what lies before it is recorded."""
        with reaching_redis():
            self._client.set(keys.bookmark(place), bookmark)
