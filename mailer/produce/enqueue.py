"""From rows to queued batches: check, skip what is known, compose, write down, publish.

At any moment it holds only a few batches in memory. It can be killed anywhere and run again: recipients
that the ledger knows are skipped, and a batch that was written down but not published is found by the
workers' sweep.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from time import sleep, time
from typing import Final

from mailer.compose import Design
from mailer.errors import (
    CampaignChangedError,
    CampaignNotFoundError,
    InputError,
    InvalidRowsError,
)
from mailer.mail.barring.scopes import BULK as BULK_MAIL
from mailer.mail.recipients import Recipient, Rejected, parse
from mailer.operate.recipients import Recipients
from mailer.produce.ahead import Ahead
from mailer.produce.batching import LOOK, Batching, Cut, chunks
from mailer.produce.composing import Composed, Maker, compose, told
from mailer.produce.faults import Faults, rows_differ
from mailer.produce.receipt import LEFT_OUT, Receipt
from mailer.produce.renderers import Renderers
from mailer.produce.spool import Row, read_twice
from mailer.queues.broker import Task
from mailer.store.campaigns import Campaigns
from mailer.store.dispatch import Dispatch
from mailer.store.ledger import BULK, Ledger

Progress = Callable[[int], None]

BACKLOG_POLL: Final = 0.2
"""Seconds between two looks at how far the workers are behind."""
KEPT: Final = 20_000
"""Rows whose recipients are kept from the check for the queueing, ten megabytes: they are parsed once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a campaign is to be enqueued."""

    campaign: str
    design: Design | None
    route: Callable[[Recipient], str]
    batch_size: int
    due: float = 0.0
    check: bool = True
    skip_faulty: bool = False
    accept_changes: bool = False
    processes: int = 1
    max_backlog: int | None = None
    progress: Progress | None = None
    checked: Progress | None = None
    tells: bool = False
    trace: str = ""
    mail: str = BULK_MAIL
    skip: Recipients | None = None
    only: Recipients | None = None

    def wants(self, recipient: Recipient) -> bool:
        """Whether the recipient is not in `skip`, and in `only` where that is given."""
        if self.skip is not None and recipient.key in self.skip:
            return False
        return self.only is None or recipient.key in self.only

    @property
    def after(self) -> tuple[str, ...]:
        """The names of the campaigns whose recipients are in `skip` and `only`."""
        return tuple(name for one in (self.skip, self.only) if one is not None for name in one.of)


class Enqueuer:
    """One run of enqueueing a campaign."""

    def __init__(  # noqa: PLR0913 - where rows come from, and all that batches go to
        self,
        plan: Plan,
        composer: Maker,
        *,
        campaigns: Campaigns,
        ledger: Ledger,
        turns: Dispatch,
        ring: Callable[[Task], None],
        noted: Callable[[str, Sequence[Mapping[str, object]], Mapping[str, object]], None],
        payload_version: Callable[[], int],
    ) -> None:
        self._plan = plan
        self._composer = composer
        self._campaigns = campaigns
        self._ledger = ledger
        self._turns = turns
        self._ring = ring
        self._noted = noted
        self._payload_version = payload_version
        self._receipt = Receipt(plan.campaign)
        self._under_way: set[bytes] = set()
        self._parsed: dict[int, Recipient] = {}
        self._run = 0

    def run(self, rows: Iterable[Row], open_campaign: Callable[[], int]) -> Receipt:
        """Check *rows*, then queue them; *open_campaign* is called between, and returns the run."""
        if self._plan.check:
            with (
                read_twice(rows) as (first, again),
                closing(Ahead(tells=self._plan.tells)) as ahead,
            ):
                self._check(first, ahead)
                self._begin(open_campaign)
                self._queue(again(), ahead)
        else:
            self._begin(open_campaign)
            self._queue(rows)
        return self._receipt

    def _begin(self, open_campaign: Callable[[], int]) -> None:
        self._run = open_campaign()
        # Before the first recipient is left out: a third campaign that skips this one's must skip those,
        # too.
        self._campaigns.go_on_from(self._plan.campaign, self._plan.after)

    # Before the first message is queued.

    def _check(self, rows: Iterable[Row], ahead: Ahead) -> None:
        faults = Faults()
        changed: list[int] = []
        for composed in self._compose(self._checked(rows, ahead, faults, changed)):
            if not self._plan.skip_faulty:
                for _, reason in composed.faults:
                    faults.add(reason)
            ahead.keep(composed)
        if faults:
            raise InvalidRowsError(faults.told("nothing was queued"))
        if changed and not self._plan.accept_changes:
            raise rows_differ(self._plan.campaign, changed, "nothing was queued")

    def _checked(
        self, rows: Iterable[Row], ahead: Ahead, faults: Faults, changed: list[int]
    ) -> Iterator[Cut]:
        """What will be queued if nothing changes, in batches; all other rows are checked here."""
        # A run of its own: so a second row for a recipient is a duplicate, and not a row that has
        # changed.
        run = self._campaigns.begin_check(self._plan.campaign)
        batching = Batching(self._plan.route, self._plan.batch_size)
        for chunk in chunks(rows, LOOK):
            recipients = []
            for number, row in chunk:
                one = parse(row, number)
                if isinstance(one, Rejected):
                    continue
                recipients.append(one)
                if number <= KEPT and one.fields is row:
                    self._parsed[number] = one
            fresh = []
            for one, answer in zip(recipients, self._reserved(run, recipients), strict=True):
                if answer == "c":
                    changed.append(one.row)
                if answer == "n" and ahead.has_room and self._plan.wants(one):
                    fresh.append(one)
                elif fault := self._fault(one):
                    faults.add(fault)
            yield from batching.put(fresh)
            if self._plan.checked:
                self._plan.checked(len(chunk))
        yield from batching.rest()

    def _fault(self, recipient: Recipient) -> str | None:
        if self._plan.skip_faulty:
            return None
        try:
            self._composer.check(recipient)
        except InputError as exc:
            return str(exc)
        return None

    # Queueing.

    def _queue(self, rows: Iterable[Row], ahead: Ahead | None = None) -> None:
        for composed in self._compose(self._batches(rows), ahead):
            self._write(composed)

    def _batches(self, rows: Iterable[Row]) -> Iterator[Cut]:
        """Recipients new to the campaign, in batches of one account each."""
        size = self._plan.batch_size
        batching = Batching(self._plan.route, size)
        for chunk in chunks(rows, min(LOOK, size)):
            yield from batching.put(self._new(chunk))
            if self._plan.progress:
                self._plan.progress(len(chunk))
        yield from batching.rest()

    def _new(self, chunk: Sequence[tuple[int, Row]]) -> Iterator[Recipient]:
        recipients = []
        for number, row in chunk:
            kept = self._parsed.pop(number, None)
            one = kept if kept and kept.fields is row else parse(row, number)
            if isinstance(one, Rejected):
                self._receipt.leave_out(number, one.kind, one.reason)
            elif one.key in self._under_way:
                self._receipt.leave_out(number, "duplicate")
            else:
                self._under_way.add(one.key)
                recipients.append(one)
                if one.note:
                    self._receipt.notes[number] = one.note
        answers = self._reserved(self._run, recipients)
        for one, answer in zip(recipients, answers, strict=True):
            if answer == "n" and self._plan.wants(one):
                yield one
            else:
                self._under_way.discard(one.key)
                self._receipt.leave_out(one.row, LEFT_OUT[answer])

    def _reserved(self, run: int, recipients: Sequence[Recipient]) -> str:
        plan = self._plan
        return self._ledger.reserve(plan.campaign, run, recipients, plan.mail, time())

    def _compose(self, batches: Iterator[Cut], ahead: Ahead | None = None) -> Iterator[Composed]:
        """The messages of *batches*, in their order: those made *ahead*, else made now."""
        count = self._plan.processes
        if count <= 1:
            for cut in batches:
                version = self._payload_version()
                made = ahead.take(*cut, version) if ahead else None
                yield made or compose(self._composer, *cut, version)
            return
        assert self._plan.design is not None, "messages that are given are not rendered"
        with Renderers(count, self._plan.design, self._composer) as renderers:
            pending: deque[Future[Composed]] = deque()
            for cut in batches:
                version = self._payload_version()
                made = ahead.take(*cut, version) if ahead else None
                pending.append(_done(made) if made else renderers.submit(*cut, version))
                if len(pending) > 2 * count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _write(self, composed: Composed) -> None:
        """Write one batch into the ledger and publish its task."""
        for row, reason in composed.faults:
            self._receipt.leave_out(row, "invalid", reason)
        recipients = composed.recipients
        if recipients:
            self._stay_near()
            ref = self._campaigns.next_batch(self._plan.campaign)
            done = self._ledger.enqueue(
                ref,
                run=self._run,
                queue=BULK,
                account=composed.account,
                payload=composed.payload,
                recipients=recipients,
                now=time(),
                due=self._plan.due,
                told=told(ref, composed) if self._plan.tells else b"",
                trace=self._plan.trace,
            )
            if done.state == "taken":
                self._without_taken(composed, done.taken)
                return
            if done.state == "cancelled":
                raise CampaignChangedError(
                    f"campaign {self._plan.campaign!r} was cancelled while it was enqueued"
                )
            if done.state == "gone":
                raise CampaignNotFoundError(_emptied(self._plan.campaign, self._receipt.queued))
            self._receipt.queued += len(recipients)
            for_all = self._plan.design.context if self._plan.design else {}
            self._noted(ref, [one.fields for one in recipients], for_all)
            if done.state == "queued" and self._turns.take(ref, time()):
                self._ring(Task(BULK, ref, len(recipients), composed.account))
        self._under_way.difference_update(one.key for one in recipients)

    def _without_taken(self, composed: Composed, taken: Sequence[int]) -> None:
        """Another producer has queued some of them since: make the batch again without those."""
        for offset in taken:
            self._receipt.leave_out(composed.recipients[offset].row, "already_queued")
            self._under_way.discard(composed.recipients[offset].key)
        left = tuple(
            one for offset, one in enumerate(composed.recipients) if offset not in set(taken)
        )
        self._write(compose(self._composer, composed.account, left, self._payload_version()))

    def _stay_near(self) -> None:
        """Wait until at most ``max_backlog`` recipients of the campaign are open."""
        limit = self._plan.max_backlog
        while limit and self._campaigns.open_recipients(self._plan.campaign) > limit:
            sleep(BACKLOG_POLL)


def _done(composed: Composed) -> Future[Composed]:
    future: Future[Composed] = Future()
    future.set_result(composed)
    return future


def _emptied(campaign: str, queued: int) -> str:
    return (
        f"campaign {campaign!r} has gone from Redis while it was enqueued: somebody emptied Redis, or it "
        f"was started again without appendonly yes. Of the {queued:,} recipients queued until then some "
        "may have got it, and Redis knows of none: look into the mail server's log before you enqueue "
        "it again (docs/redis.md)"
    )
