"""What the ledger answers to a producer, without Redis: for tests.

It follows `single.lua`, `reserve.lua`, `enqueue.lua`, `open.lua` and `control.lua`; a test asks both the
same questions and compares. Nobody claims a batch here: what is queued stays so until it is cancelled.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailer.errors import CampaignChangedError, CampaignNotFoundError
from mailer.mail.payload import VERSION
from mailer.mail.policy import CampaignPolicy
from mailer.mail.status import OPEN, Status
from mailer.mail.stored import unpack
from mailer.queues.broker import Task
from mailer.queues.connections import Links
from mailer.store.campaigns import CANCELLED, RUNNING, Opened
from mailer.store.course.pending import Pending
from mailer.store.course.progress import Progress
from mailer.store.ledger import BULK, Enqueued, Known
from mailer.store.singles import Single, Written

Arrived = Callable[[str, str, bytes], None]
"""Told of each batch: its ref, account and payload."""


@dataclass(slots=True)
class _Campaign:
    digest: str
    summary: Mapping[str, Any]
    created: float
    state: str = RUNNING
    runs: int = 0
    batches: int = 0
    enqueued: bool = False
    successor: int = 2
    outcomes: dict[str, int] = field(default_factory=dict)
    seen: dict[bytes, tuple[int, int]] = field(default_factory=dict)


class MemoryLinks(Links):
    """What a producer talks to, in memory; *arrived* is told of each batch."""

    def __init__(self, arrived: Arrived, noted: Callable[..., None]) -> None:
        self._all: dict[str, _Campaign] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self.shared: dict[str, bytes] = {}
        self._arrived = arrived
        self._noted = noted
        # Each of these is one and the same: the methods' names do not meet.
        here: Any = self
        self.campaigns = self.ledger = self.singles = self.dispatch = here
        self.broker = self.breaker = self.able = self.unheld = here

    def ring(self, task: Task) -> None:
        """Nobody works here."""

    def payload_version(self) -> int:
        """The newest: what is read here was written here."""
        return VERSION

    def noted(
        self,
        ref: str,
        contexts: Sequence[Mapping[str, object]],
        for_all: Mapping[str, object],
    ) -> None:
        """Keep what the messages of *ref* were made of."""
        self._noted(ref, [{**for_all, **own} for own in contexts])

    def check(self) -> None:
        """There is nothing that could be away."""

    @property
    def usable(self) -> bool:
        """All accounts are."""
        return True

    def nobody_can(self, _subjects: Collection[str], _now: float) -> set[str]:
        """Whoever sends here lacks nothing."""
        return set()

    def unheld_in(self, _name: str) -> list[int]:
        """Here, nobody falls out of a batch."""
        return []

    def settle_unheld(self, _name: str) -> None:
        """There is nobody."""

    def take(self, _ref: str, _now: float, _queue: str = BULK) -> bool:
        """It is everybody's turn."""
        return True

    # Single messages.

    def write(self, one: Single, now: float) -> Written:
        """As `single.lua`."""
        known = self._keys.get(one.key) if one.key is not None else None
        if known:
            return Written("again" if known[0] == one.digest else "other", message_id=known[1])
        name = one.campaign
        first = self._all.get(name)
        if first and first.state == CANCELLED:
            later = self._all.get(f"{name}.{first.successor}")
            first.successor += bool(later and later.state == CANCELLED)
            name = f"{name}.{first.successor}"
        campaign = self._all.setdefault(name, _Campaign("", one.summary, now))
        campaign.enqueued = True
        if one.key is not None:
            self._keys[one.key] = one.digest, one.message_id
        ref = self.next_batch(name)
        self._count(campaign, len(one.fingerprints))
        self._arrived(ref, one.account, one.payload)
        return Written("queued", ref=ref)

    # Campaigns.

    def open(  # noqa: PLR0913 - the ledger's
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
        """As `open.lua`."""
        del policy, start
        campaign = self._all.get(name) or _Campaign(digest, summary, now)
        if campaign.state == CANCELLED:
            raise CampaignChangedError(
                f"campaign {name!r} was cancelled; enqueue it under another name"
            )
        if campaign.digest != digest and not accept_changes:
            raise CampaignChangedError(
                f"campaign {name!r} was enqueued before with another content"
            )
        if look:
            return Opened(0, 0)
        self._all[name] = campaign
        campaign.digest, campaign.summary, campaign.enqueued = digest, summary, False
        campaign.runs += 1
        return Opened(campaign.runs, campaign.batches)

    def go_on_from(self, _name: str, _others: Iterable[str]) -> None:
        """Nothing to remember: nobody goes on from a campaign of a test."""

    def begin_check(self, name: str) -> int:
        """A run that only compares; 0 for a campaign that is not known yet."""
        if name not in self._all:
            return 0
        self._all[name].runs += 1
        return self._all[name].runs

    def close(self, name: str) -> None:
        """End a run."""
        self._all[name].enqueued = True

    def next_batch(self, name: str) -> str:
        """Allot the ref of the next batch."""
        self._all[name].batches += 1
        return f"{name}:{self._all[name].batches}"

    def share(self, _name: str, digest: str, packed: bytes) -> None:
        """Keep a part that messages refer to."""
        self.shared[digest] = unpack(packed)

    def open_recipients(self, _name: str) -> int:
        """Nobody lags behind: there are no workers."""
        return 0

    def names(self, since: float = 0.0) -> list[str]:
        """All campaigns that were enqueued first at *since* or later, the newest first."""
        return [name for name, one in reversed(self._all.items()) if one.created >= since]

    def set_state(self, name: str, state: str, why: str = "") -> str:
        """As `control.lua`."""
        del why
        campaign = self._known(name)
        before = campaign.state
        if before != CANCELLED:
            campaign.state = state
        return before

    def cancel_batches(self, name: str) -> Iterator[int]:
        """Settle all that is queued."""
        outcomes = self._known(name).outcomes
        cancelled = outcomes.pop(Status.QUEUED.word, 0)
        outcomes[Status.CANCELLED.word] = outcomes.get(Status.CANCELLED.word, 0) + cancelled
        yield cancelled

    def progress(self, name: str, now: float) -> Progress:
        """How far the campaign is: nothing is sent here."""
        del now
        campaign = self._known(name)
        words = [status.word for status in Status if status is not Status.TRANSMITTING]
        outcomes = {word: campaign.outcomes.get(word, 0) for word in words}
        waiting = sum(outcomes.get(status.word, 0) for status in OPEN)
        return Progress(
            campaign=name,
            state=campaign.state,
            total=sum(outcomes.values()),
            outcomes=outcomes,
            rate=0.0,
            time_left=None if waiting else 0.0,
            enqueued=campaign.enqueued,
            created=campaign.created,
            started=None,
            active=None,
            summary=campaign.summary,
        )

    def pending(
        self, names: Sequence[str], _accounts: Sequence[str], _now: float
    ) -> Mapping[str, Pending]:
        """Nothing waits for a time here."""
        return {name: Pending() for name in names}

    def _known(self, name: str) -> _Campaign:
        if name not in self._all:
            raise CampaignNotFoundError(f"no campaign {name!r}; `mailer status` lists them")
        return self._all[name]

    # Recipients and batches. `Breaker.state` and the ledger's methods.

    def state(self, _account: str, _now: float) -> "MemoryLinks":
        """The state of an account: usable."""
        return self

    def reserve(
        self,
        campaign: str,
        run: int,
        who: Sequence[Known],
        mail: str = "",
        now: float = 0.0,
    ) -> str:
        """As `reserve.lua`; nobody is suppressed."""
        del mail, now
        known = self._all.get(campaign)
        return "".join(self._letter(known, run, one) for one in who)

    def _letter(self, campaign: _Campaign | None, run: int, one: Known) -> str:
        seen = campaign.seen.get(one.fingerprint) if campaign else None
        if campaign is None or seen is None:
            return "n"
        if run and seen[1] == run:
            return "d"
        if run:
            campaign.seen[one.fingerprint] = seen[0], run
        return "k" if seen[0] == one.digest else "c"

    def enqueue(  # noqa: PLR0913 - the ledger's
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
        """As `enqueue.lua`; nobody follows events or traces here."""
        del queue, told, trace
        campaign = self._all[ref.rpartition(":")[0]]
        if campaign.state == CANCELLED:
            return Enqueued("cancelled")
        taken = [i for i, one in enumerate(recipients) if one.fingerprint in campaign.seen]
        if taken:
            return Enqueued("taken", tuple(taken))
        campaign.seen |= {one.fingerprint: (one.digest, run) for one in recipients}
        self._count(campaign, len(recipients))
        self._arrived(ref, account, payload)
        return Enqueued("waiting" if due > now else "queued")

    @staticmethod
    def _count(campaign: _Campaign, number: int) -> None:
        campaign.outcomes[Status.QUEUED.word] = (
            campaign.outcomes.get(Status.QUEUED.word, 0) + number
        )
