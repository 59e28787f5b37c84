"""Which campaigns there are, in what state, and how far."""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailer.errors import CampaignChangedError, CampaignNotFoundError, InputError
from mailer.mail.payload import decode_detail, read_detail
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import OPEN, Detail, Status
from mailer.store import keys
from mailer.store.connection import Client, asking, load, reaching_redis, serves
from mailer.store.course import changes, lineage
from mailer.store.course.pending import Pending, pending
from mailer.store.course.progress import Progress, progresses
from mailer.store.reach import reading
from mailer.store.reach.fitness import refuse_eviction

RUNNING, PAUSED, CANCELLED = "running", "paused", "cancelled"

ERASED: Final = b"\xff" * 8
"""What stands for the fingerprint of a person who was erased."""

_PAGE = 500
# What one call cancels: Redis answers nobody meanwhile, and a recipient takes it some 15 µs.
_CANCEL_BATCHES: Final = 200
_CANCEL_RECIPIENTS: Final = 1000
_ORDER_STEP = 8_192


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that was not accepted, and why."""

    position: int
    status: Status
    detail: Detail


@dataclass(frozen=True, slots=True)
class Opened:
    """A run of enqueueing: its number, and how many batches the campaign had before."""

    run: int
    batches: int


class Campaigns:
    """The campaigns that one Redis knows."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ask = asking(client)
        self._open = load(client, "open")
        self._close = load(client, "close")
        self._control = load(client, "control")
        self._cancel = load(client, "cancel")
        self._next_batch = load(client, "next_batch")

    def open(  # noqa: PLR0913 - one row of the ledger
        self,
        name: str,
        *,
        digest: str,
        summary: Mapping[str, Any],
        policy: CampaignPolicy,
        accept_changes: bool,
        now: float,
        start: float = 0.0,
        look: bool = False,
    ) -> Opened:
        """Begin a run of enqueueing. Raises `CampaignChangedError` where the campaign is another.

        *start* is when a new one may begin; a known one keeps its own. Raises `ConfigError` for a Redis
        that may evict keys: recipients would be lost in silence. With *look* it only refuses, and writes
        nothing.
        """
        refuse_eviction(self._client)
        if not look:
            serves(self._client)
        self._refuse_changes(name, summary, policy, start, accept_changes=accept_changes)
        if not accept_changes:
            changes.refuse_restored(self._client, name)
        what, *rest = self._open(
            name,
            now,
            digest,
            json.dumps(summary),
            policy.encode(),
            int(accept_changes),
            policy.weight,
            start,
            int(look),
        )
        if what == b"cancelled":
            raise CampaignChangedError(
                f"campaign {name!r} was cancelled; enqueue it under another name, with "
                f"--skip-accepted-of {name} (skip=) so that nobody gets it twice"
            )
        if what == b"forgotten":
            raise CampaignChangedError(changes.forgotten(name, float(rest[0])))
        if what == b"changed":
            raise CampaignChangedError(changes.told(name, "template or content"))
        return Opened(int(rest[0]), int(rest[1]))

    def _refuse_changes(
        self,
        name: str,
        summary: Mapping[str, Any],
        policy: CampaignPolicy,
        start: float,
        *,
        accept_changes: bool,
    ) -> None:
        with reaching_redis():
            told = self._client.hmget(keys.campaign(name), ["summary", "policy", "start", "state"])
        if told[0] is None or told[3] == CANCELLED.encode():
            return
        before = json.loads(told[0]), CampaignPolicy.decode(told[1] or b"")
        what = changes.what_changed(name, before, (summary, policy))
        if what and not accept_changes:
            raise CampaignChangedError(what)
        # No version before this one wrote a start down.
        if told[2] and (what := changes.another_start(name, float(told[2]), start)):
            raise CampaignChangedError(what)

    def begin_check(self, name: str) -> int:
        """Begin a run that only compares rows with what is queued; 0 for a campaign not known yet."""
        with reaching_redis():
            if self._client.hget(keys.campaign(name), "created") is None:
                return 0
            return (self._client.hincrby(keys.campaign(name), "runs") - 1) % 65535 + 1

    def close(self, name: str) -> None:
        """End a run of enqueueing: every row was read."""
        self._close(name)

    def go_on_from(self, name: str, others: Iterable[str]) -> None:
        """Remember that *name* leaves out who has got *others*."""
        with reaching_redis():
            lineage.remember(self._client, name, others)

    def before(self, name: str) -> list[str]:
        """The campaigns that *name* went on from."""
        with reaching_redis():
            return lineage.before(self._client, name)

    def next_batch(self, name: str) -> str:
        """Allot the ref of the campaign's next batch."""
        return str(self._next_batch(name).decode())

    def share(self, name: str, digest: str, packed: bytes) -> None:
        """Store a part that the campaign's messages refer to, once."""
        with reaching_redis():
            self._client.hsetnx(keys.shared(name), digest, packed)

    def policy(self, name: str) -> CampaignPolicy:
        """What a worker must know of the campaign. Raises `PayloadError`."""
        return CampaignPolicy.decode(self._ask("HGET", keys.campaign(name), "policy") or b"")

    def set_state(self, name: str, state: str, why: str = "") -> str:
        """Pause, resume or cancel; returns the state before. Raises `CampaignNotFoundError`.

        *why* is shown with the state where no person said so.
        """
        before = self._control(name, state, why)
        if before is None:
            raise _not_found(name)
        return str(before.decode())

    def cancel_batches(self, name: str) -> Iterator[int]:
        """Settle the recipients of a cancelled campaign, some batches at a time; yields how many."""
        with reaching_redis():
            last = int(self._client.hget(keys.campaign(name), "batches") or 0)
        first = 1
        while first <= last:
            upto = min(first + _CANCEL_BATCHES - 1, last)
            cancelled, first = map(int, self._cancel(name, first, upto, _CANCEL_RECIPIENTS))
            yield cancelled

    def names(self, since: float = 0.0) -> list[str]:
        """All campaigns that were enqueued first at *since* or later, the newest first."""
        with reaching_redis():
            found = self._client.zrangebyscore(keys.CAMPAIGNS, since, "+inf")
        return [name.decode() for name in reversed(found)]

    def sender(self, name: str) -> str:
        """The sender that the campaign names; empty where there is no such campaign."""
        with reaching_redis():
            (summary,) = self._client.hmget(keys.campaign(name), ["summary"])
        return str(reading.table(summary, keys.campaign(name)).get("sender") or "")

    def counts_by_account(self) -> Iterator[tuple[str, dict[Status, int], dict[str, int]]]:
        """For each campaign its accounts (``a, b``), recipients by status, and what came back by kind."""
        names = self.names()
        for start in range(0, len(names), 500):
            pipe = self._client.pipeline(transaction=False)
            for name in names[start : start + 500]:
                pipe.hmget(keys.campaign(name), "summary")
                pipe.hgetall(keys.counts(name))
                pipe.hgetall(keys.backs(name))
            with reaching_redis():
                found = pipe.execute()
            for (summary,), counts, backs in zip(found[::3], found[1::3], found[2::3], strict=True):
                known = reading.wholes(counts, "mailer:counts")
                yield (
                    str(reading.table(summary, "mailer:campaign").get("account") or ""),
                    {one: known[one.value] for one in Status if one.value in known},
                    reading.wholes(backs, "mailer:backs"),
                )

    def open_recipients(self, name: str) -> int:
        """How many recipients of the campaign are queued, deferred or being transmitted."""
        with reaching_redis():
            found = self._client.hmget(keys.counts(name), sorted(OPEN))
        return sum(int(number or 0) for number in found)

    def progress(self, name: str, now: float) -> Progress:
        """How far the campaign is at *now*. Raises `CampaignNotFoundError`."""
        for found in progresses(self._client, [name], now):
            return found
        raise _not_found(name)

    def progresses(self, names: Iterable[str], now: float) -> Iterator[Progress]:
        """How far each of these campaigns is, in their order; those that are gone are left out."""
        return progresses(self._client, names, now)

    def pending(
        self, names: Sequence[str], accounts: Sequence[str], now: float
    ) -> Mapping[str, Pending]:
        """Which batches of each of these campaigns wait, or are parked for one of *accounts*."""
        return pending(self._client, names, accounts, now)

    def failures(self, name: str) -> Iterator[Failure]:
        """Everyone of whom something is remembered, by position. Raises `CampaignNotFoundError`.

        Holds the positions in memory, eight octets each, and a page of what is remembered.
        """
        positions = self._remembered(name)
        for first in range(0, len(positions), _PAGE):
            page = positions[first : first + _PAGE]
            with reaching_redis():
                found = self._client.hmget(keys.detail(name), [str(position) for position in page])
            letters = self.letters(name, page)
            for position, packed, letter in zip(page, found, letters, strict=True):
                if packed is not None:  # accepted meanwhile
                    yield Failure(position, Status.read(letter), read_detail(packed))

    def _remembered(self, name: str) -> "array[int]":
        self.must_be_there(name)
        positions: set[int] = set()
        cursor = 0
        while True:
            with reaching_redis():
                cursor, page = self._client.hscan(keys.detail(name), cursor, count=_PAGE)
            positions.update(map(int, page))
            if cursor == 0:
                return array("Q", sorted(positions))

    def fingerprints(
        self, name: str, statuses: Iterable[Status] = Status
    ) -> Iterator[tuple[int, bytes]]:
        """Position and fingerprint of all who have one of *statuses*, but for those who were erased.

        Raises what `standing` does.
        """
        return ((place, found) for place, _, found in self.standing(name, statuses))

    def standing(
        self, name: str, statuses: Iterable[Status]
    ) -> Iterator[tuple[int, Status, bytes]]:
        """Position, status and fingerprint of all who have one of *statuses*, but for the erased.

        Raises `CampaignNotFoundError`, and `InputError` where an older version has queued the campaign
        and kept no order of its recipients.
        """
        wanted = {ord(status.value): status for status in statuses}
        self.must_be_there(name)
        with reaching_redis():
            total = int(self._client.hget(keys.campaign(name), "next") or 0)
        for first in range(0, total, _ORDER_STEP):
            pipe = self._client.pipeline(transaction=False)
            pipe.getrange(keys.status(name), first, first + _ORDER_STEP - 1)
            pipe.getrange(keys.order(name), 8 * first, 8 * (first + _ORDER_STEP) - 1)
            with reaching_redis():
                letters, order = pipe.execute()
            for place, letter in enumerate(letters):
                if status := wanted.get(letter):
                    found = order[8 * place : 8 * place + 8]
                    if found == ERASED:
                        continue
                    if not found.strip(b"\0"):
                        raise InputError(
                            f"campaign {name!r} was queued by a version that kept no order of its "
                            "recipients: who of them has which outcome is not known any more"
                        )
                    yield first + place, status, found
        self.must_be_there(name)  # if it was forgotten meanwhile, these are not all

    def must_be_there(self, name: str) -> None:
        """Raise `CampaignNotFoundError` for a campaign that is not there, or is being forgotten."""
        with reaching_redis():
            if self._client.hget(keys.campaign(name), "created") is None:
                raise _not_found(name)

    def unsure(self, name: str) -> set[int]:
        """Positions that were uncertain once, and were replayed or dropped since."""
        with reaching_redis():
            return {int(position) for position in self._client.smembers(keys.unsure(name))}

    def erased(self, name: str) -> dict[int, bytes]:
        """The fingerprints of those who were erased, by position."""
        with reaching_redis():
            found = self._client.hgetall(keys.erased(name))
        return {int(position): fingerprint for position, fingerprint in found.items()}

    def places(self, name: str, fingerprint: bytes) -> Iterator[int]:
        """The positions of a recipient in the campaign: one, or none; of single messages, several."""
        with reaching_redis():
            total = int(self._client.hget(keys.campaign(name), "next") or 0)
        for first in range(0, total, _ORDER_STEP):
            last = 8 * (first + _ORDER_STEP) - 1
            with reaching_redis():
                order = self._client.getrange(keys.order(name), 8 * first, last)
            at = order.find(fingerprint)
            while at >= 0:
                if at % 8 == 0:
                    yield first + at // 8
                at = order.find(fingerprint, at + 1)

    def detail(self, name: str, position: int) -> Detail | None:
        """What is remembered of one recipient. Raises `PayloadError`."""
        with reaching_redis():
            packed = self._client.hget(keys.detail(name), str(position))
        return decode_detail(packed) if packed else None

    def letters(self, name: str, positions: Sequence[int]) -> list[str]:
        """The status letter of each of *positions*, in that order."""
        pipe = self._client.pipeline(transaction=False)
        for position in positions:
            pipe.getrange(keys.status(name), position, position)
        with reaching_redis():
            return [letter.decode() for letter in pipe.execute()]


def _not_found(name: str) -> CampaignNotFoundError:
    return CampaignNotFoundError(f"no campaign {name!r}; `mailer status` lists them")
