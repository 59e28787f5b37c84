"""How one person is taken out of Redis: replies, messages that wait, dead letters, what came back.

What stays are fingerprints by which a campaign knows that it has queued somebody, until the campaign is
forgotten: without them a list enqueued again would mail her once more. The suppression list stays, too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailer.errors import PayloadError
from mailer.mail.message import Message
from mailer.mail.payload import Entry, decode, encode
from mailer.mail.recipients import fingerprint
from mailer.mail.said import Said
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.dead_letters import DeadLetter, DeadLetters, Filter
from mailer.store.positions import unpack_positions

KINDS: Final = (
    "bounce",
    "delayed",
    "delivered",
    "complaint",
    "unsubscribe",
    "auto_reply",
    "report",
)
"""What may have come back of a message, as `come_back.lua` names it."""

_NOBODY: Final = Entry(Message("", "", (b"",), ""), bytes(8))
"""What stands in a batch in the place of a message that was taken out."""

_PAGE: Final = 500

_PATIENCE: Final = 5
"""How often a batch is read again that workers change meanwhile."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a person in one *place*, and how often."""

    place: str
    campaign: str
    number: int


class Erasing:
    """The erasing of one person, as Redis sees her."""

    def __init__(self, client: Client, mailbox: str) -> None:
        self._client = client
        self._mailbox = mailbox
        self._key = fingerprint(mailbox)
        self._campaigns = Campaigns(client)
        self._letters = DeadLetters(client)
        self._erase = load(client, "erase")
        self._erase_dead = load(client, "erase_dead")

    def erase(self, now: float) -> Iterator[Found]:
        """Take her out everywhere; yields what was found where. To do it twice does nothing more."""
        for letter in self._letters.find(Filter(), now):
            if self._out_of_letter(letter, now):
                yield Found("dead letters", letter.campaign, 1)
        for name in self._campaigns.names():
            for position in list(self._campaigns.places(name, self._key)):
                yield from self._out_of_campaign(name, position)
        with reaching_redis():
            if self._client.unlink(keys.refusals(self._key)):
                yield Found("refusals counted", "", 1)
            unknown = [
                one
                for one in self._client.zrange(keys.UNKNOWN, 0, -1, withscores=True)
                if self._mailbox.lower().encode() in one[0].lower()
            ]
            if unknown:
                self._client.zrem(keys.UNKNOWN, *(one for one, _ in unknown))
                yield Found("what came back and proved nothing", "", len(unknown))

    def _out_of_campaign(self, name: str, position: int) -> Iterator[Found]:
        for _ in range(_PATIENCE):
            ref, fence, payload = self._holding(name, position)
            removed = self._erase(name, position, self._key, ref, fence, payload, *KINDS)
            if removed[0] == b"busy":
                yield Found("being sent", name, 1)
                return
            if removed[0] == b"again":
                continue
            yield Found("queued, and cancelled" if removed[1] else "ledger", name, 1)
            return
        yield Found("being sent", name, 1)

    def _holding(self, name: str, position: int) -> tuple[str, str, bytes]:
        """The batch that holds her message, its fence, and its payload without it; empty for none."""
        with reaching_redis():
            last = int(self._client.hget(keys.campaign(name), "batches") or 0)
        for first in range(1, last + 1, _PAGE):
            refs = [f"{name}:{number}" for number in range(first, min(first + _PAGE, last + 1))]
            pipe = self._client.pipeline(transaction=False)
            for ref in refs:
                pipe.hmget(keys.batch(ref), "positions", "fence")
            with reaching_redis():
                rows = pipe.execute()
            for ref, (positions, fence) in zip(refs, rows, strict=True):
                places = unpack_positions(positions.decode()) if positions else ()
                if position in places:
                    payload = self._without(self._payload(ref), places, position)
                    return ref, fence.decode(), payload
        return "", "", b""

    def _payload(self, ref: str) -> bytes:
        with reaching_redis():
            return self._client.get(keys.payload(ref)) or b""

    @staticmethod
    def _without(payload: bytes, places: Sequence[int], position: int) -> bytes:
        try:
            entries = decode(payload)
        except PayloadError:
            return payload  # nobody can read it, this one neither
        entries[places.index(position)] = _NOBODY
        return encode(entries)

    def _out_of_letter(self, letter: DeadLetter, now: float) -> bool:
        payload = self._letters.payload(letter.identifier)
        try:
            entries = decode(payload)
        except PayloadError:
            return False
        hers = [at for at, entry in enumerate(entries) if entry.fingerprint == self._key]
        for at in hers:
            if letter.messages <= 1:
                self._letters.drop(letter.identifier, now)
                break
            position = letter.positions[at]
            without = self._without(payload, letter.positions, position)
            said = self._said_without(letter.said).encode()
            self._erase_dead(letter.identifier, position, without, said)
        return bool(hers)

    def _said_without(self, said: Said) -> Said:
        written = re.compile(re.escape(self._mailbox), re.IGNORECASE)

        def clean(text: str) -> str:
            return written.sub("(erased)", text)

        return replace(said, text=clean(said.text), dialogue=tuple(map(clean, said.dialogue)))
