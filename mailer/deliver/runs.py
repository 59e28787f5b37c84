"""Which batches a process works on: those that its tasks wait for, and those that go on beside.

A slow mail server must not hold a process while others have work. So each batch is sent by a thread of
its own, and the task waits for that thread only as long as nobody else wants the process. Then the batch
goes on *beside*: the task ends, the thread sends on under the same lease, and the process takes the next
batch. This is safe because the ledger, and not the broker's task message, knows what is sent.

An account has at most one batch beside that still has messages to begin; its further batches wait in
Redis. A batch that only awaits replies does not count: a dead connection delays its own messages only. A
batch that sends over a single connection, because it has lost a worker, does not count either.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from mailer.deliver.recorder import Report
from mailer.errors import MailerError
from mailer.store.workers.single_watch import LOOK, SingleWatch

log = logging.getLogger(__name__)

HOLD: Final = 1.0
"""Seconds that a task waits for its batch although others have work: most batches take less, and one
after the other they are sent in less time than side by side."""

OTHERS_LOOK: Final = 0.1
"""Seconds between two looks at whether campaigns of other accounts do."""

MOST_BESIDE: Final = 4
"""Batches beside at most, as each has its messages in memory. One more is asked to begin nothing
further."""

MOST_ENDING: Final = 16
"""Batches beside with those that only await replies; then the task waits with its batch."""

MOST_THREADS: Final = 1_000
"""More than any pool of Celery's has tasks at a time; threads are made as they are needed."""


@dataclass(slots=True, eq=False)
class Run:
    """One batch being sent by its own thread.

    *wants_end* is set to ask it to end as at SIGTERM; *wants_room* to begin nothing more, and to give the
    rest back once what is in flight is answered. *leaves_room* says whether its account's next batch may
    begin beside it. *stirred* wakes the task that waits: it has *ended*, or a single message is there.
    """

    account: str
    report: Report
    wants_end: threading.Event = field(default_factory=threading.Event)
    wants_room: threading.Event = field(default_factory=threading.Event)
    leaves_room: Callable[[], bool] = lambda: False
    is_beside: bool = False
    began: float = field(default_factory=monotonic)
    looked: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    stirred: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None


class Runs:
    """The runs of one process; safe over its threads.

    *others_wait* says whether work of other accounts than those named waits for a process, *singles*
    whether a single message does.
    """

    def __init__(self, others_wait: Callable[[set[str]], bool], singles: SingleWatch) -> None:
        self._others_wait = others_wait
        self._singles = singles
        singles.heard = self._stir
        self._lock = threading.Lock()
        # Threads are used again: each has a connection to Redis of its own, which a new one would open.
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="mailer-batch")
        self._beside: set[Run] = set()
        self._fronts: dict[int, Run] = {}
        self._finished: SimpleQueue[Report] = SimpleQueue()
        self.news = threading.Event()
        """Set when a batch beside has ended; `finished` returns its report."""

    def has_room(self, account: str) -> bool:
        """Whether another batch of *account* may begin here."""
        with self._lock:
            return account not in self._busy()

    def somebody_waits(self, besides: str, *, only_singles: bool = False) -> bool:
        """Whether the process is wanted for more than batches of accounts that are busy here."""
        if self._singles.single_waits():
            return True
        if only_singles:
            return False
        with self._lock:
            accounts = self._busy() | {besides}
        return self._others_wait(accounts)

    def age(self, account: str) -> float:
        """Seconds since the batch began that keeps *account* busy; 0.0 where none does."""
        now = monotonic()
        with self._lock:
            return max((now - r.began for r in self._beside if r.account == account), default=0.0)

    def start(self, run: Run, work: Callable[[], None]) -> bool:
        """Have *work* done and wait for it; False where it goes on beside.

        Raises what *work* raises. What is raised into the waiting thread (a time limit) leaves the run
        as it is: `end_front` then ends it.
        """
        front = threading.get_ident()
        self._fronts[front] = run
        self._threads.submit(self._work, run, work)
        while not run.ended.is_set():
            run.stirred.wait(LOOK)
            run.stirred.clear()
            if not run.ended.is_set() and self._may_leave(run) and self._step_aside(run):
                del self._fronts[front]
                return False
        del self._fronts[front]
        if run.failure is not None:
            raise run.failure
        return True

    def end_front(self) -> Report | None:
        """End the run that this thread was waiting for, as at SIGTERM; its report, if there was one."""
        run = self._fronts.pop(threading.get_ident(), None)
        if run is None:
            return None
        run.wants_end.set()
        run.ended.wait()
        return run.report

    def finished(self) -> list[Report]:
        """The reports of batches that ended beside since the last call."""
        self.news.clear()
        found = []
        while True:
            try:
                found.append(self._finished.get_nowait())
            except Empty:
                return found

    def end_all(self) -> None:
        """Have all that goes on beside finish what is begun, and wait until it has."""
        for run in list(self._beside):
            run.wants_end.set()
        for run in list(self._beside):
            run.ended.wait()

    def __len__(self) -> int:
        return len(self._beside)

    def _stir(self) -> None:
        """A single message waits: have the tasks look that could leave their batches for it."""
        for run in list(self._fronts.values()):
            run.stirred.set()

    def _busy(self) -> set[str]:
        return {run.account for run in self._beside if not run.leaves_room()}

    def _may_leave(self, run: Run) -> bool:
        """Whether the process is wanted elsewhere more than here."""
        if self._singles.single_waits():
            return True
        now = monotonic()
        if now - run.began < HOLD or now - run.looked < OTHERS_LOOK:
            return False
        run.looked = now
        with self._lock:
            besides = self._busy()
        # Its own account's next batch may begin once this one leaves room.
        return self._others_wait(besides if run.leaves_room() else besides | {run.account})

    def _step_aside(self, run: Run) -> bool:
        """Let *run* go on beside; False where it has just ended, or where too much is beside already."""
        with self._lock:
            if run.ended.is_set():
                return False
            if sum(not other.leaves_room() for other in self._beside) >= MOST_BESIDE:
                run.wants_room.set()
            if len(self._beside) >= MOST_ENDING:
                return False
            run.is_beside = True
            self._beside.add(run)
            return True

    def _work(self, run: Run, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - whoever waits raises it
            run.failure = exc
        with self._lock:
            if run.is_beside:
                self._beside.discard(run)
                self._finished.put(run.report)
            # Last: who waits for the end of all that is beside reads the reports next.
            run.ended.set()
        run.stirred.set()
        if run.is_beside:
            self.news.set()
            if isinstance(run.failure, MailerError):
                log.warning("batch %s, sent beside others: %s", run.report.ref, run.failure)
            elif run.failure is not None:
                log.error(
                    "batch %s, sent beside others, failed", run.report.ref, exc_info=run.failure
                )
