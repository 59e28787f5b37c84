"""What happened to a recipient, and how that is written down until a consumer has read it.

A worker writes one entry for each note that it makes in the ledger, with all recipients of that note
in it; a producer writes one for each batch. An entry is ``b"E" + version + kind + msgpack``, where
*kind* is ``o`` (outcomes) or ``q`` (a queued batch; the msgpack is compressed with zstd). Both have
golden files in the tests: an entry of an older version is read by every newer consumer.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import msgpack

from mailer.errors import PayloadError
from mailer.mail.status import Detail, Status

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = 1
QUEUED: Final = Status.QUEUED.word

_MAX_UNPACKED: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one recipient.

    *outcome* is a status word (``accepted``), or a word for what came back later (``bounced``). *batch*,
    *fence* and *attempt* say in which try it happened. *at* is in seconds since the epoch. *row* is
    the recipient's row as JSON, in the event of its queueing. *order* is the entry's place in the stream:
    of two events of one recipient, the later has the higher.
    """

    campaign: str
    position: int
    outcome: str
    at: float
    batch: int = 0
    fence: int = 0
    attempt: int = 0
    account: str = ""
    mailbox: str = ""
    message_id: str = ""
    stage: str = ""
    code: int = 0
    reply: str = ""
    row: str = ""
    order: int = 0

    @property
    def identifier(self) -> str:
        """Equal for two readings of one event, and for nothing else."""
        tried = f"{self.batch}.{self.fence}.{self.attempt}"
        return f"{self.campaign}:{self.position}:{tried}:{self.outcome}:{self.at:.3f}"


@dataclass(frozen=True, slots=True)
class Happened:
    """What a worker notes of one recipient: the letter it got, and what the server said."""

    position: int
    status: Status
    mailbox: str
    message_id: str
    detail: Detail


@dataclass(frozen=True, slots=True)
class Told:
    """An entry about so many recipients; of 0, it says that there is nothing to tell."""

    number: int = 0
    entry: bytes = b""


def encode_outcomes(
    ref: str, fence: int, account: str, at: float, outcomes: Sequence[Happened]
) -> Told:
    """Write down what became of some recipients of the batch *ref*."""
    if not outcomes:
        return Told()
    rows = [
        (
            one.position,
            one.status.value,
            one.detail.attempts,
            one.mailbox,
            one.message_id,
            one.detail.stage,
            one.detail.code,
            one.detail.reply,
        )
        for one in outcomes
    ]
    packed = cast("bytes", msgpack.packb((ref, fence, account, at, rows)))
    return Told(len(rows), b"E" + bytes([VERSION]) + b"o" + packed)


def encode_queued(ref: str, account: str, at: float, rows: Sequence[tuple[str, str, str]]) -> bytes:
    """Write down that a batch was queued: mailbox, Message-ID and row (JSON) of each recipient."""
    packed = cast("bytes", msgpack.packb((ref, account, at, rows)))
    return b"E" + bytes([VERSION]) + b"q" + zstd.compress(packed, 3)


def decode_entry(entry: bytes, start: int, order: int, ref: str = "") -> Iterator[Event]:
    """Read the events of one entry; those of a queued batch stand from *start*. Raises `PayloadError`.

    *ref* is the batch where the entry does not name it: the ledger numbered it after the entry was made.
    """
    if entry[:1] != b"E" or len(entry) < 4:
        raise PayloadError("not an entry of events: it does not begin with its mark")
    if entry[1] != VERSION:
        raise PayloadError(f"events of version {entry[1]}, this mailer reads {VERSION}: update it")
    try:
        events = list((_outcomes if entry[2:3] == b"o" else _queued)(entry[3:], start))
    except Exception as exc:  # whatever damaged bytes provoke in two libraries
        raise PayloadError(f"damaged events: {exc}") from exc
    campaign, _, batch = ref.rpartition(":")
    named = {"campaign": campaign, "batch": int(batch)} if ref else {}
    for event in events:
        yield replace(event, order=order, **named)  # type: ignore[arg-type] # of two kinds


def _outcomes(packed: bytes, _start: int) -> Iterator[Event]:
    ref, fence, account, at, rows = msgpack.unpackb(packed)
    campaign, _, batch = ref.rpartition(":")
    for position, letter, attempt, mailbox, message_id, stage, code, reply in rows:
        yield Event(
            campaign,
            position,
            Status(letter).word,
            at,
            int(batch),
            fence,
            attempt,
            account,
            mailbox,
            message_id,
            stage,
            code,
            reply,
        )


def _queued(packed: bytes, start: int) -> Iterator[Event]:
    unpacked = zstd.ZstdDecompressor().decompress(packed, _MAX_UNPACKED)
    ref, account, at, rows = cast("tuple[str, str, float, list[Any]]", msgpack.unpackb(unpacked))
    campaign, _, batch = ref.rpartition(":")
    for offset, (mailbox, message_id, row) in enumerate(rows):
        yield Event(
            campaign,
            start + offset,
            QUEUED,
            at,
            int(batch),
            account=account,
            mailbox=mailbox,
            message_id=message_id,
            row=row,
        )


def moved(
    campaign: str, letter: str, positions: Sequence[int], at: float, order: int
) -> list[Event]:
    """The events of recipients that a script moved by itself: cancelled, dropped, queued again."""
    word = Status(letter).word
    return [Event(campaign, position, word, at, fence=order, order=order) for position in positions]
