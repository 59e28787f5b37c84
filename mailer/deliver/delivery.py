"""What a worker process delivers with: it takes a batch, has it sent, and reports.

Here the ledger (`mailer.store`) and the SMTP engine (`mailer.smtp`) meet; nothing here knows Celery. At
every moment each recipient is final, or waits in Redis, or is under a lease that lapses. So a crash
between any two lines loses nothing.
"""

import threading
import uuid
from collections.abc import Callable
from time import monotonic, time
from typing import Final

from mailer.config import Settings
from mailer.deliver.batch import RENEW_AFTER, Batch
from mailer.deliver.batch_run import BatchRun
from mailer.deliver.malloc import keep_freed
from mailer.deliver.observer import Observer
from mailer.deliver.recorder import Report, bury_unread
from mailer.deliver.runs import OTHERS_LOOK, Run, Runs
from mailer.deliver.tools import Tools
from mailer.deliver.unable import UnableError
from mailer.errors import (
    LeaseLostError,
    PayloadError,
    PayloadTooNewError,
    TooLittleMemoryError,
)
from mailer.mail.payload import decode
from mailer.smtp import Proceed
from mailer.store.connection import Client
from mailer.store.ledger import PRIORITY, Claim, Ledger, Unclaimed, Verdict
from mailer.store.workers.single_watch import LOOK

ROOM_WAITS: Final = (0.5, 30.0)
"""Seconds that a batch waits, at least and at most, if its account is busy in this process."""

READERS_LOOK: Final = 0.5
"""Seconds between two looks at how far the readers of events are behind, if they are too far behind."""


class Delivery:
    """All that a worker process needs to deliver batches; shared by its threads.

    *stopping* says whether the worker was asked to stop, *takes_single* whether it also takes single
    messages: then no batch keeps the process from them. *worker* names the worker to others; all its
    processes have the same. *observer* is told what is done.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a process has
        self,
        settings: Settings,
        client: Client,
        stopping: Callable[[], bool] = lambda: False,
        takes_single: Callable[[], bool] = lambda: True,
        worker: str = "",
        observer: Observer | None = None,
    ) -> None:
        keep_freed()
        self._lease = settings.worker.lease
        self._asked_to_stop = stopping
        self._is_closing = False
        self._observer = observer or Observer()
        name = worker or uuid.uuid4().hex
        self._tools = tools = Tools(settings, client, name, self._observer, takes_single)
        self.runs = Runs(lambda besides: tools.dispatch.others_wait(time(), besides), tools.singles)

    @property
    def ledger(self) -> Ledger:
        """The ledger that it writes to."""
        return self._tools.ledger

    def deliver(self, ref: str) -> Report:
        """Work on the batch *ref* until nothing of it can be sent now, or the process is wanted.

        Then it goes on beside, and `Runs.finished` has its report later. Raises `LedgerUnavailableError`
        when Redis cannot be asked: the lease lapses then, and what had begun to be transmitted is
        uncertain.
        """
        self._wait_for_readers()
        now = time()
        claim = self.ledger.claim(ref, uuid.uuid4().hex, now, now + self._lease)
        if isinstance(claim, Unclaimed):
            return Report(ref, words=f"nothing to do: {claim.why}")
        report = Report(ref, claim.queue, claim.account)
        run = Run(claim.account, report, len(claim.positions))
        if self._has_room(claim, run.report) and not self.runs.start(
            run, lambda: self._work(claim, run)
        ):
            return Report(ref, claim.queue, claim.account, "goes on beside others")
        return run.report

    def end_early(self, ref: str) -> Report:
        """End at the task's time limit: finish what is transmitted, give the rest back, and report."""
        return self.runs.end_front() or Report(ref, words="nothing was begun")

    def reap(self) -> None:
        """Close idle connections, keep the leases of the others; to be called every second or so."""
        self._tools.connections.reap()

    def close(self) -> None:
        """End what goes on beside, as at SIGTERM, and say QUIT on every connection."""
        self._is_closing = True
        self.runs.end_all()
        self._tools.connections.close()
        self._observer.close()

    def __repr__(self) -> str:
        return f"<Delivery {self._tools.connections!r}, {len(self.runs)} beside>"

    def _stopping(self) -> bool:
        return self._is_closing or self._asked_to_stop()

    def _wait_for_readers(self) -> None:
        """Begin nothing while too many events wait to be read: they would fill Redis's memory."""
        settings, pause = self._tools.settings, threading.Event()
        while settings.follows and not self._stopping():
            limits = dict.fromkeys(settings.events.ways, settings.events.max_backlog)
            unread = self._tools.events.unread().items()
            if all(n < limits.get(name, settings.history.max_backlog) for name, n in unread):
                return
            pause.wait(READERS_LOOK)

    def _has_room(self, claim: Claim, report: Report) -> bool:
        """Wait until the account has room here; False when others want the process sooner."""
        account, pause = claim.account, threading.Event()
        is_urgent = claim.queue == PRIORITY
        renew_at = time() + self._lease * RENEW_AFTER
        look_at = 0.0
        while not self.runs.has_room(account, urgent=is_urgent):
            now = time()
            is_early = now < look_at
            if self._stopping() or self.runs.somebody_waits(account, only_singles=is_early):
                shortest, longest = ROOM_WAITS
                due = now + min(max(self.runs.age(account), shortest), longest)
                if self.ledger.wait(claim, now, due) == "queued":
                    report.queued.append(claim.ref)
                report.words = f"account {account} is busy here: waits {due - now:.1f} s"
                return False
            if not is_early:
                look_at = now + OTHERS_LOOK
            if now >= renew_at:
                renew_at = now + self._lease * RENEW_AFTER
                if self.ledger.commit(claim, (), (), now, now + self._lease) is Verdict.LOST:
                    report.words = "the batch belongs to another worker by now"
                    return False
            pause.wait(LOOK)
        return True

    def _work(self, claim: Claim, run: Run) -> None:
        began = monotonic()
        try:
            self._run(claim, run)
        except LeaseLostError as exc:
            run.report.words = str(exc)
            self._observer.lost(run.report)
        except MemoryError as exc:
            # The lease lapses, and counts as a lost worker: another machine may have more memory.
            why = f"batch {claim.ref}: this process has too little memory for it; others will try"
            raise TooLittleMemoryError(why) from exc
        self._observer.ended(run.report, monotonic() - began)

    def _run(self, claim: Claim, run: Run) -> None:
        if claim.deaths > self._tools.settings.worker.poison_after:
            # If it could be read, it would have been halved one death earlier: so reading it is what
            # kills workers.
            why = f"{claim.deaths} workers were lost before its messages were read"
            bury_unread(self.ledger, claim, run.report, "poison", why)
            return
        try:
            batch = Batch(claim, decode(claim.payload), self._tools.settings.follows)
            policy = self._tools.campaigns.policy(claim.campaign)
        except PayloadError as exc:
            self._without_messages(claim, run.report, exc)
            return
        self._observer.began(batch)
        work = BatchRun(
            self._tools,
            batch,
            policy,
            run.report,
            lambda: self._asked(run),
        )
        run.leaves_room = lambda: work.leaves_room
        work.run()

    def _asked(self, run: Run) -> Proceed:
        """What is asked of *run*: by who stops the worker, or by batches that want its place."""
        if run.wants_end.is_set() or self._stopping():
            return Proceed.END
        return Proceed.BEGIN_NOTHING if run.gives_room else Proceed.GO_ON

    def _without_messages(self, claim: Claim, report: Report, error: PayloadError) -> None:
        """A payload that is too new is left to newer workers; what nobody can read is buried as it is."""
        if isinstance(error, PayloadTooNewError):
            too_new = UnableError(f"payload:{error.version}", str(error.args[0]))
            handed = self._tools.unable.give_back(too_new, claim.ref)
            if not handed.is_hopeless:
                now = time()
                if self.ledger.wait(claim, now, now + handed.wait) == "queued":
                    report.queued.append(claim.ref)
                report.words = f"left to other workers: {too_new}"
                return
        bury_unread(self.ledger, claim, report, "undecodable", str(error.args[0]))
