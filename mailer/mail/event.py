"""What happened to a recipient, and how that is written down until a consumer has read it.

A worker writes one entry for each note that it makes in the ledger, with all recipients of that note
in it; a producer writes one for each batch, and who takes in what comes back one for each report. An
entry is ``b"E" + version + kind + msgpack``, where *kind* is ``o`` (outcomes), ``q`` (a queued batch; the
msgpack is compressed with zstd) or ``b`` (what came back; since version 2). All have golden entries in
the tests: an older version's is read by every newer consumer, a newer one's waits for a worker of it.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, NamedTuple, cast

import msgpack

from mailer.errors import PayloadError, PayloadTooNewError
from mailer.mail.status import Detail, Status

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = 1
"""The version that outcomes and queued batches are written in: workers of before read them."""
CAME_BACK_VERSION: Final = 2
QUEUED: Final = Status.QUEUED.word

CAME_BACK: Final = {
    "auto_reply": "auto_reply",
    "report": "reported",
    "delayed": "delayed",
    "delivered": "delivered",
    "bounce": "bounced",
    "unsubscribe": "unsubscribed",
    "complaint": "complained",
}
"""The word for each kind of what comes back; of two about one message, the later in this list counts."""

BACK_AGAIN: Final = "resubscribed"
"""Said of whoever has left, and takes that back."""

WEIGHTS: Final = {word: number for number, word in enumerate(CAME_BACK.values(), 1)} | {
    BACK_AGAIN: [*CAME_BACK].index("unsubscribe") + 1
}
"""How much a word for what came later says of the message; of two that say as much, the newer counts."""

LATER: Final = tuple(WEIGHTS)

ORDER_BITS: Final = 20
"""An event's order is the milliseconds of its entry, and in these bits the count in one of them."""

_MAX_UNPACKED: Final = 1 << 28

_WORDS: Final = {status.value: status.word for status in Status}


def moment_of(order: int) -> float:
    """When the entry of an event's *order* came into the stream, in seconds since the epoch."""
    return (order >> ORDER_BITS) / 1000


class Event(NamedTuple):
    """One thing that happened to one recipient.

    A tuple, for a history reads two of each message: a frozen dataclass is made in six times the time.

    *outcome* is a status word (``accepted``), or a word for what came back later (``bounced``). *batch*,
    *fence* and *attempt* say in which try it happened. *at* is in seconds since the epoch. *row* is
    the recipient's row as JSON, in the event of its queueing. *order* is the entry's place in the stream:
    of two events of one recipient, the later has the higher.

    Of what came back, *stage* is the way by which it came, *key* the recipient's fingerprint, *reason*
    and *permanent* are of a bounce; *position* is negative where the campaign kept no order.
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
    reason: str = ""
    permanent: bool = False
    key: bytes = b""

    @property
    def noted(self) -> float:
        """When it came into the stream, in seconds since the epoch."""
        return moment_of(self.order)

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


def encode_came_back(event: Event) -> Told:
    """Write down what came back of one message."""
    packed = cast(
        "bytes",
        msgpack.packb(
            (
                event.campaign,
                event.position,
                event.outcome,
                event.at,
                event.mailbox,
                event.message_id,
                event.stage,
                event.code,
                event.reply,
                event.reason,
                event.permanent,
                event.key,
                event.attempt,
            )
        ),
    )
    return Told(1, b"E" + bytes([CAME_BACK_VERSION]) + b"b" + packed)


def weightier(older: str, newer: str) -> str:
    """Which of two words for what came later says more of the message."""
    return newer if WEIGHTS.get(newer, 0) >= WEIGHTS.get(older, 0) else older


def weightiest(words: Iterable[str]) -> str:
    """The one of *words*, from the oldest to the newest, that says most; empty where there is none."""
    return reduce(weightier, words, "")


def decode_entry(entry: bytes, start: int, order: int, ref: str = "") -> list[Event]:
    """Read the events of one entry; those of a queued batch stand from *start*. Raises `PayloadError`.

    Of an entry that only a newer version can read, that is `PayloadTooNewError`. *ref* is the batch where
    the entry does not name it: the ledger numbered it after the entry was made.
    """
    if entry[:1] != b"E" or len(entry) < 4:
        raise PayloadError("not an entry of events: it does not begin with its mark")
    if entry[1] > CAME_BACK_VERSION:
        raise PayloadTooNewError(
            f"events of version {entry[1]}, this mailer reads {CAME_BACK_VERSION}: update it",
            CAME_BACK_VERSION,
            entry[1],
        )
    read = {b"o": _outcomes, b"q": _queued, b"b": _came_back}.get(entry[2:3])
    if read is None:
        raise PayloadError("events of an unknown kind")
    try:
        return list(read(entry[3:], start, order, ref))
    except Exception as exc:  # whatever damaged bytes provoke in two libraries
        raise PayloadError(f"damaged events: {exc}") from exc


def _batch_of(ref: str) -> tuple[str, int]:
    campaign, _, batch = ref.rpartition(":")
    return campaign, int(batch)


def _outcomes(packed: bytes, _start: int, order: int, named: str) -> Iterator[Event]:
    ref, fence, account, at, rows = msgpack.unpackb(packed)
    campaign, batch = _batch_of(named or ref)
    for position, letter, attempt, mailbox, message_id, stage, code, reply in rows:
        yield Event(
            campaign,
            position,
            _WORDS[letter],
            at,
            batch,
            fence,
            attempt,
            account,
            mailbox,
            message_id,
            stage,
            code,
            reply,
            "",
            order,
        )


def _queued(packed: bytes, start: int, order: int, named: str) -> Iterator[Event]:
    unpacked = zstd.ZstdDecompressor().decompress(packed, _MAX_UNPACKED)
    ref, account, at, rows = cast("tuple[str, str, float, list[Any]]", msgpack.unpackb(unpacked))
    campaign, batch = _batch_of(named or ref)
    for position, (mailbox, message_id, row) in enumerate(rows, start):
        yield Event(
            campaign,
            position,
            QUEUED,
            at,
            batch,
            account=account,
            mailbox=mailbox,
            message_id=message_id,
            row=row,
            order=order,
        )


def _came_back(packed: bytes, _start: int, order: int, named: str) -> Iterator[Event]:
    campaign, position, word, at, mailbox, message_id, *said = msgpack.unpackb(packed)
    stage, code, reply, reason, permanent, key, attempt = said
    campaign, batch = _batch_of(named) if named else (campaign, 0)
    yield Event(
        campaign,
        position,
        word,
        at,
        batch,
        attempt=attempt,
        mailbox=mailbox,
        message_id=message_id,
        stage=stage,
        code=code,
        reply=reply,
        reason=reason,
        permanent=permanent,
        key=key,
        order=order,
    )


def moved(
    campaign: str, letter: str, positions: Sequence[int], at: float, order: int
) -> list[Event]:
    """The events of recipients that a script moved by itself: cancelled, dropped, queued again."""
    word = Status(letter).word
    return [Event(campaign, position, word, at, fence=order, order=order) for position in positions]
