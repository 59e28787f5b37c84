"""What came back, over what was heard first: once for each campaign, recipient and kind."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailer.mail.barring.dropping import Dropping
from mailer.mail.barring.scopes import ALL
from mailer.mail.event import CAME_BACK, Event, Told, encode_came_back
from mailer.store import keys
from mailer.store.connection import Client, load_many, reaching_redis
from mailer.store.feedback.places import place
from mailer.store.reach import reading

_UNASKED: Final = b"?"

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

    def packed(self) -> str:
        """How it is written down."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @property
    def reply(self) -> str:
        """What the server said, with its status code."""
        return self.said if self.status in self.said else f"{self.status} {self.said}".strip()


@dataclass(frozen=True, slots=True)
class Noted:
    """What a record did: *answer* is new, known, worse or gone (there is no such campaign).

    *paused* is why the campaign paused itself now, *held* which receiver's mail is held back, and why.
    """

    answer: str
    dropped: bool
    paused: str
    held: str = ""


@dataclass(frozen=True, slots=True)
class Brake:
    """At which shares of the accepted a campaign pauses itself; None for never."""

    bounces: float | None = 0.05
    complaints: float | None = 0.003
    after: int = 200


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be written down of *one* message of *campaign*, and what follows from it.

    *rule* is applied to its recipient, *brake* to its campaign. With *campaign* ``""`` only the rule is.
    *told* makes what is told to those who follow events, where it is news; it is called where somebody
    does. *scope* is which mail a dropped recipient gets no more.
    """

    campaign: str
    key: bytes
    one: Returned
    rule: Dropping | None
    brake: Brake
    told: Callable[[], Told] | None = None
    scope: str = ALL

    def without_campaign(self) -> "Note":
        """The same, of which only the rule is applied."""
        return replace(self, campaign="")

    def arguments(self, entry: bytes | str) -> list[object]:
        """What the script is given, with the *entry* of events about it."""
        one, rule, brake = self.one, self.rule, self.brake
        why = json.dumps({"source": one.source, "evidence": one.said, "campaign": self.campaign})
        policy = (rule.times, rule.span, rule.lasts, rule.memory) if rule else ("", "", "", "")
        return [
            self.campaign,
            self.key,
            one.kind,
            one.at,
            one.packed(),
            "1" if one.permanent else "",
            one.recipient,
            one.reason or one.kind,
            why,
            *policy,
            "" if brake.bounces is None else brake.bounces,
            "" if brake.complaints is None else brake.complaints,
            brake.after,
            entry,
            self.scope,
            one.recipient.rpartition("@")[2].lower(),
        ]


def event_of(campaign: str, position: int, key: bytes, one: Returned) -> Event:
    """What came back, as those who follow events are told."""
    return Event(
        campaign,
        position,
        CAME_BACK[one.kind],
        one.at,
        mailbox=one.recipient,
        stage=one.source,
        code=one.code,
        reply=one.reply,
        # A bounce for now that becomes one for good is another event, also in the same moment.
        attempt=int(one.permanent),
        reason=one.reason,
        permanent=one.permanent,
        key=key,
    )


class Feedback:
    """What came back, in Redis."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._come_back = load_many(client, "barring", "come_back")

    def told(self, campaign: str, key: bytes, one: Returned, message_id: str = "") -> Told:
        """What those who follow events are told of *one*."""
        at = self.place(campaign, key)
        return encode_came_back(event_of(campaign, at, key, one)._replace(message_id=message_id))

    def place(self, campaign: str, key: bytes) -> int:
        """Where the message to that recipient stands in *campaign*, as an event names it."""
        return place(self._client, campaign, key)

    def note(self, note: Note) -> Noted:
        """Write one down, in one round trip. Repeated, it changes nothing."""
        (noted,) = self.note_all((note,))
        return noted

    def note_all(self, notes: Sequence[Note]) -> list[Noted]:
        """Write *notes* down in one round trip, and one more for each that somebody follows."""
        replies = self._come_back(
            [note.arguments(_UNASKED if note.told else b"") for note in notes]
        )
        return [self._noted(note, *reply) for note, reply in zip(notes, replies, strict=True)]

    def _noted(
        self, note: Note, answer: bytes, dropped: bytes, paused: bytes, held: bytes
    ) -> Noted:
        if note.told and answer == b"followed":
            (reply,) = self._come_back([note.arguments(note.told().entry)])
            answer, dropped, paused, held = reply
        return Noted(answer.decode(), dropped == b"1", paused.decode(), held.decode())

    def counts(self, campaign: str) -> Mapping[str, int]:
        """How many recipients, by kind; ``permanent`` are those that bounced for good."""
        with reaching_redis():
            found = self._client.hgetall(keys.backs(campaign))
        return reading.wholes(found, keys.backs(campaign))

    def returned(self, campaign: str) -> Iterator[Returned]:
        """Every record of a campaign, in no order."""
        with reaching_redis():
            for _, packed in self._client.hscan_iter(keys.back(campaign), count=500):
                yield from _read(packed)

    def returned_of(self, campaign: str, key: bytes) -> list[Returned]:
        """What came back of the message to one recipient, the first first."""
        fields = [kind.encode() + key for kind in CAME_BACK]
        with reaching_redis():
            found = self._client.hmget(keys.back(campaign), fields)
        back = [one for packed in found if packed for one in _read(packed)]
        return sorted(back, key=lambda one: one.at)

    def returned_at(self, campaign: str, places: range) -> Mapping[int, list[Returned]]:
        """What came back of the messages at *places*, by position; nothing of the others."""
        pipe = self._client.pipeline(transaction=False)
        pipe.getrange(keys.order(campaign), 8 * places.start, 8 * places.stop - 1)
        with reaching_redis():
            (order,) = pipe.execute()
        known = range(len(order) // 8)
        fields = [kind.encode() + order[8 * n : 8 * n + 8] for n in known for kind in CAME_BACK]
        if not fields:
            return {}
        with reaching_redis():
            found = self._client.hmget(keys.back(campaign), fields)
        kinds, back = len(CAME_BACK), dict[int, list[Returned]]()
        for number, packed in enumerate(found):
            if packed:
                back.setdefault(places.start + number // kinds, []).extend(_read(packed))
        return back

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
        read = ((at, reading.table(packed, keys.UNKNOWN)) for packed, at in reversed(found))
        return [(at, summary) for at, summary in read if summary]

    def bookmark(self, place: str) -> str:
        """How far *place* was read; empty where it never was."""
        with reaching_redis():
            return (self._client.get(keys.bookmark(place)) or b"").decode()

    def set_bookmark(self, place: str, bookmark: str) -> None:
        """*place* is read up to *bookmark*: what lies before it is recorded."""
        with reaching_redis():
            self._client.set(keys.bookmark(place), bookmark)

    def read_there(self, place: str) -> frozenset[str]:
        """The ids of what lay at *place* and was recorded."""
        with reaching_redis():
            return frozenset(one.decode() for one in self._client.smembers(keys.read_there(place)))

    def note_read(self, place: str, identifier: str) -> None:
        """What bears that *identifier* at *place* is recorded."""
        with reaching_redis():
            self._client.sadd(keys.read_there(place), identifier)

    def forget_read(self, place: str, identifiers: Collection[str]) -> None:
        """What bore those *identifiers* lies there no more."""
        if identifiers:
            with reaching_redis():
                self._client.srem(keys.read_there(place), *identifiers)


def _read(packed: bytes) -> Iterator[Returned]:
    """Yield the record; nothing where it is another version's, or junk."""
    try:
        yield Returned(**json.loads(packed))
    except (ValueError, TypeError):
        reading.passed_over("mailer:back")
