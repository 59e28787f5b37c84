"""What became of each recipient, and who may send now.

Only here is decided what is already done. A batch is worked on under a lease with a fence, a number that
grows with each claim: whoever holds an older one can change nothing. Every change is one Lua script, so a
crash falls between two of them and never inside one.
"""

import dataclasses
import struct
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Union

from mailer.mail.barring.scopes import BULK as BULK_MAIL
from mailer.mail.event import Told
from mailer.mail.payload import encode_detail, read_detail
from mailer.mail.status import OPEN, Detail, Status
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.positions import pack_positions, unpack_positions
from mailer.store.workers.single_watch import SingleWatch

if TYPE_CHECKING:
    from mailer.mail.recipients import Recipient

Known = Union["Fresh", "Recipient"]
BULK: Final = "bulk"
PRIORITY: Final = "priority"


class Verdict(StrEnum):
    """What the ledger says to a worker that wants to go on with a batch."""

    GO = "go"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    LOST = "lost"


@dataclasses.dataclass(frozen=True, slots=True)
class Fresh:
    """What `reserve` and `enqueue` see of a recipient: fingerprint (8 octets), digest of its row."""

    fingerprint: bytes
    digest: int


@dataclasses.dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of a batch: of those at *taken* another producer was faster, and none was written."""

    state: str
    taken: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A lease on a batch: all that a worker needs to send it.

    *letters* has one status per position; *details* what is known of those tried before, by position.
    *deaths* counts the leases on this batch that nobody ended. *made* is when its messages could first
    have left (seconds since the epoch), *began* when those marked as transmitting were begun; 0.0 where
    nobody said it. *trace* is the ``traceparent`` of who queued it, or "".
    """

    ref: str
    fence: int
    deaths: int
    positions: tuple[int, ...]
    letters: str
    account: str
    queue: str
    payload: bytes = dataclasses.field(repr=False)
    details: Mapping[int, Detail] = dataclasses.field(repr=False)
    made: float = 0.0
    trace: str = ""
    began: float = 0.0

    @property
    def campaign(self) -> str:
        """The campaign's id."""
        return self.ref.rpartition(":")[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Unclaimed:
    """Why a batch could not be claimed: ``gone``, ``busy``, ``waiting``, ``parked``, ``cancelled``."""

    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Settlement:
    """One recipient's new status, with what is to be remembered of it.

    Of an accepted one nothing is: *known* says that the ledger has something to forget. *unsure*:
    whatever becomes of the recipient, the message may have arrived.
    """

    position: int
    status: Status
    detail: Detail | None = None
    known: bool = False
    unsure: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Some of a batch's messages, to be a batch of their own; *account* ``""`` is as before."""

    positions: Sequence[int]
    payload: bytes
    account: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Burial:
    """A dead letter to be: which positions, in what payload, and why.

    *payload* holds exactly *positions*, in that order; None takes the whole batch's as it lies. *said* is
    a packed `Said`. Of the positions, those with one of *letters* are buried; the others stay the batch's
    own, though their messages lie in the payload. *unsure* is as in `Settlement`.
    """

    identifier: str
    status: Status
    reason: str
    said: bytes
    positions: Sequence[int]
    payload: bytes | None = None
    details: Sequence[tuple[int, Detail]] = ()
    told: Told | None = None
    letters: str = "".join(sorted(OPEN))
    unsure: bool = False


class Ledger:
    """The ledger's scripts as methods, in seconds since the epoch; its notes ask for *singles*, too."""

    def __init__(self, client: Client, singles: SingleWatch | None = None) -> None:
        self._client = client
        self._singles = singles or SingleWatch()
        self._reserve = load(client, "seen", "barring", "reserve")
        self._enqueue = load(client, "seen", "enqueue")
        self._claim = load(client, "claim")
        self._commit = load(client, "waits", "commit")
        self._release = load(client, "release")
        self._bury = load(client, "bury")
        self._split = load(client, "split")

    # Producers.

    def reserve(
        self, campaign: str, run: int, who: Sequence[Known], mail: str = BULK_MAIL, now: float = 0
    ) -> str:
        """One letter each: ``n`` new, ``d`` duplicate, ``k`` known, ``c`` known with another row.

        ``s`` is suppressed for this *mail* at *now*. With *run* 0 it only looks, and marks none.
        """
        answer: bytes = self._reserve(campaign, run, *_named(who), now, mail)
        return answer.decode()

    def enqueue(  # noqa: PLR0913 - one row of the ledger
        self,
        ref: str,
        *,
        run: int,
        queue: str,
        account: str,
        payload: bytes,
        recipients: Sequence[Known],
        now: float,
        due: float = 0.0,
        told: bytes = b"",
        trace: str = "",
    ) -> Enqueued:
        """Write a batch down, all or nothing; with a later *due* it waits for its time.

        *told* is the entry of events that says so; *trace* the caller's ``traceparent``.
        """
        state, *taken = self._enqueue(
            ref,
            run,
            now,
            due,
            queue,
            account,
            payload,
            *_named(recipients),
            told,
            trace,
        )
        return Enqueued(state.decode(), tuple(int(offset) for offset in taken))

    # Workers.

    def claim(self, ref: str, owner: str, now: float, ends: float) -> Claim | Unclaimed:
        """Take the lease on a batch until *ends*, unless another worker has a living one."""
        what, *rest = self._claim(ref, owner, now, ends)
        if what != b"claimed":
            return Unclaimed(what.decode())
        (*head, made, trace, began), told = rest[:10], rest[10:]
        fence, deaths, positions, letters, account, queue, payload = head
        details = {
            int(position): read_detail(packed)
            for position, packed in zip(told[::2], told[1::2], strict=True)
        }
        return Claim(
            ref,
            int(fence),
            int(deaths),
            unpack_positions(positions.decode()),
            letters.decode(),
            account.decode(),
            queue.decode(),
            payload,
            details,
            float(made),
            trace.decode(),
            float(began),
        )

    def commit(  # noqa: PLR0913, PLR0917 - one step of the ledger
        self,
        claim: Claim,
        settled: Sequence[Settlement],
        starting: Sequence[int],
        now: float,
        ends: float | None,
        told: Told | None = None,
        *,
        began: float | None = None,
    ) -> Verdict:
        """Record what is *settled*, mark positions *starting* as transmitting, renew the lease.

        With *ends* None the lease is not renewed, which saves a little. A campaign of which the first
        hundred recipients are all rejected pauses itself. *told* is for those who follow what happens.
        *began* is written down with the marks, for whoever must judge them after a crash.

        One round trip. Unless it is `Verdict.GO`, *starting* was not marked and must not be sent; with
        `Verdict.LOST` nothing was recorded at all.
        """
        positions = [*starting, *(one.position for one in settled)]
        accepted, forget = list[str](), list[str]()
        others: list[object] = []
        for one in settled:
            if one.status is Status.ACCEPTED:
                accepted.append(str(one.position))
                if one.known:
                    forget.append(str(one.position))
            else:
                detail = encode_detail(one.detail) if one.detail else b""
                others += (one.position, one.status.value + "?" * one.unsure, detail)
        asked = self._singles.asked()
        answer: bytes = self._commit(
            claim.ref,
            claim.fence,
            now,
            "" if ends is None else ends,
            claim.account,
            ",".join(accepted),
            ",".join(forget),
            ",".join(map(str, starting)),
            min(positions, default=""),
            max(positions, default=""),
            *_told(told),
            "" if began is None else began,
            *asked,
            *others,
        )
        return Verdict(self._singles.answered(answer.decode(), asked))

    def give_back(self, claim: Claim, now: float) -> str:
        """End the lease: ``final`` when nobody is open, else ``queued`` (publish its task)."""
        return self._ended(claim, now, "queued", "")

    def wait(self, claim: Claim, now: float, due: float) -> str:
        """End the lease until *due*: ``waiting``, or ``queued`` when that has passed, or ``final``."""
        return self._ended(claim, now, "waiting", due)

    def park(self, claim: Claim, now: float, event: str) -> str:
        """End the lease until *event* is over: ``parked``, ``queued`` when it is, or ``final``."""
        return self._ended(claim, now, "parked", event)

    def bury(self, claim: Claim, burial: Burial, now: float) -> int:
        """Move recipients into a dead letter; returns how many were open, -1 where the lease is lost."""
        told: list[object] = []
        for position, detail in burial.details:
            told += (position, encode_detail(detail))
        answer = self._bury(
            claim.ref,
            claim.fence,
            now,
            burial.identifier,
            burial.status.value + "?" * burial.unsure,
            burial.reason,
            burial.said,
            burial.payload or b"",
            pack_positions(burial.positions),
            *_told(burial.told),
            burial.letters,
            *told,
        )
        return int(answer[1]) if answer[0] == b"buried" else -1

    def split(
        self, claim: Claim, parts: Sequence[Part], now: float, *, deaths: int = 0
    ) -> tuple[str, ...]:
        """Cut a batch into *parts*; returns their refs, queued. Each starts with *deaths* against it."""
        flat = [
            x for one in parts for x in (pack_positions(one.positions), one.payload, one.account)
        ]
        answer = self._split(claim.ref, claim.fence, now, deaths, *flat)
        return tuple(ref.decode() for ref in answer[2:]) if answer[0] == b"split" else ()

    def tasks(self, batches: Sequence[tuple[str, str]]) -> list[tuple[str, str, int, str]]:
        """Of each (queue, ref) that still is a batch: queue, ref, number of messages, account."""
        pipe = self._client.pipeline(transaction=False)
        for _, ref in batches:
            pipe.hmget(keys.batch(ref), "positions", "account")
        with reaching_redis():
            rows = pipe.execute()
        return [
            (queue, ref, len(unpack_positions(positions.decode())), account.decode())
            for (queue, ref), (positions, account) in zip(batches, rows, strict=True)
            if positions is not None
        ]

    def shared(self, campaign: str, digest: str) -> bytes | None:
        """The bytes of a part that the campaign stores once; compressed as `share` stored them."""
        with reaching_redis():
            return self._client.hget(keys.shared(campaign), digest)

    def _ended(self, claim: Claim, now: float, how: str, what: object) -> str:
        answer = self._release(claim.ref, claim.fence, now, how, what)
        return str(answer[0].decode())


def _told(told: Told | None) -> tuple[object, bytes]:
    """The entry as the scripts take it; without one they tell who was moved, if somebody follows it."""
    return (told.number, told.entry) if told else ("", b"")


def _named(who: Sequence[Known]) -> tuple[bytes, bytes]:
    """Fingerprints and digests as the scripts take them, each in one piece."""
    digests = struct.pack(f">{len(who)}I", *[one.digest for one in who])
    return b"".join([one.fingerprint for one in who]), digests
