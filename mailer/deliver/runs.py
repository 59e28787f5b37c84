"""Which batches a process works on: those that its tasks wait for, and those that go on beside.

A slow mail server must not hold a process while others have work. So each batch is sent by a thread of
its own, and the task waits for that thread only as long as nobody else wants the process. Then the batch
goes on *beside*: the task ends, the thread sends on under the same lease, and the process takes the next
batch. This is safe because the ledger, and not the broker's task message, knows what is sent.

An account has at most one batch beside that still has messages to begin; its further batches wait in
Redis. A batch that only awaits replies does not count: a dead connection delays its own messages only. A
batch that sends over a single connection, because it has lost a worker, does not count either.

An account whose batches go on beside with hardly an answer is *slow* for a while. Its next batches go on
beside at once, so that many such accounts do not take the process's time by turns, and the last quarter
of the places beside is kept for others. Its single messages wait in Redis, too, beyond a few.
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

MUTE_HOLD: Final = 0.3
"""The same while nothing of the batch is answered, where `MOST_BESIDE` others are beside already."""

SLOW_HOLD: Final = 0.1
"""The same for an account that is known to be slow."""

MOST_URGENT: Final = 2
"""Single messages of a slow account that may wait for its connections here, and not in Redis."""

SLOW_RATE: Final = 5.0
"""Answers a second below which an account is slow."""

OTHERS_LOOK: Final = 0.1
"""Seconds between two looks at whether campaigns of other accounts do."""

MOST_BESIDE: Final = 4
"""Batches beside at most, as each has its messages in memory. One more is asked to begin nothing
further."""

MOST_ENDING: Final = 64
"""Batches beside with those that only await replies, as each has a thread and a connection to Redis; then
the task waits with its batch."""

MANY_ENDING: Final = 16
"""The same where they have more than `MOST_MESSAGES` together."""

MOST_MESSAGES: Final = 8_000
"""Messages of the batches beside, beyond `MANY_ENDING` batches: they are in memory until it ends."""

SLOW_SHARE: Final = 0.75
"""How much of these places accounts may take that are known to be slow."""

SLOW_FOR: Final = 60.0
"""Seconds for which an account counts as slow after a batch of it had to go on beside."""

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
    messages: int = 0
    wants_end: threading.Event = field(default_factory=threading.Event)
    wants_room: threading.Event = field(default_factory=threading.Event)
    leaves_room: Callable[[], bool] = lambda: False
    is_beside: bool = False
    began: float = field(default_factory=monotonic)
    looked: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    stirred: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    @property
    def gives_room(self) -> bool:
        """Whether it is to begin nothing more: not before it had the time to begin something."""
        return self.wants_room.is_set() and monotonic() - self.began >= HOLD


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
        self._slow: dict[str, float] = {}
        self._finished: SimpleQueue[Report] = SimpleQueue()
        self.news = threading.Event()
        """Set when a batch beside has ended; `finished` returns its report."""

    def has_room(self, account: str, *, urgent: bool = False) -> bool:
        """Whether another batch of *account* may begin here; an *urgent* one mostly may."""
        with self._lock:
            if not urgent:
                return account not in self._busy()
            if self._slow.get(account, 0.0) <= monotonic():
                return True
            to_begin = [one for one in self._beside if one.account == account]
            to_begin = [one for one in to_begin if not one.leaves_room()]
            return account not in self._crowded_out() and len(to_begin) < MOST_URGENT

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
        """Seconds since the batch began that keeps *account* busy; 0.0 where none does.

        Where its own do not, it waits for a place, and those of all others count.
        """
        now = monotonic()
        with self._lock:
            own = [now - run.began for run in self._beside if run.account == account]
            return max(own or [now - run.began for run in self._beside], default=0.0)

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
        own = {run.account for run in self._beside if not run.leaves_room()}
        return own | self._crowded_out()

    def _crowded_out(self) -> set[str]:
        """The slow accounts, where they have taken all the places that they may."""
        if not self._is_full(SLOW_SHARE):
            return set()
        now = monotonic()
        return {account for account, until in self._slow.items() if until > now}

    def _is_full(self, share: float = 1.0) -> bool:
        """Whether that *share* of the places beside is taken."""
        count = len(self._beside)
        messages = sum(run.messages for run in self._beside)
        many = count >= MANY_ENDING * share and messages >= MOST_MESSAGES * share
        return many or count >= MOST_ENDING * share

    def _may_leave(self, run: Run) -> bool:
        """Whether the process is wanted elsewhere more than here."""
        if self._singles.single_waits():
            return True
        now = monotonic()
        if now - run.began < self._hold(run) or now - run.looked < OTHERS_LOOK:
            return False
        run.looked = now
        with self._lock:
            besides = self._busy()
        # Its own account's next batch may begin once this one leaves room.
        return self._others_wait(besides if run.leaves_room() else besides | {run.account})

    def _hold(self, run: Run) -> float:
        """Seconds that the task waits for *run* although others have work."""
        if self._slow.get(run.account, 0.0) > monotonic():
            return SLOW_HOLD
        is_mute = not run.report.answered and len(self._beside) >= MOST_BESIDE
        return MUTE_HOLD if is_mute else HOLD

    def _step_aside(self, run: Run) -> bool:
        """Let *run* go on beside; False where it has just ended, or where too much is beside already."""
        with self._lock:
            if run.ended.is_set():
                return False
            if sum(not other.leaves_room() for other in self._beside) >= MOST_BESIDE:
                run.wants_room.set()
            if self._is_full():
                return False
            run.is_beside = True
            self._beside.add(run)
            self._judge(run)
            return True

    def _judge(self, run: Run) -> None:
        """Note whether the account is slow, by what *run* has seen of it; little says nothing."""
        now = monotonic()
        seconds = now - run.began
        if run.report.answered >= SLOW_RATE * seconds:
            self._slow.pop(run.account, None)
        elif seconds >= self._hold(run):
            self._slow[run.account] = now + SLOW_FOR

    def _work(self, run: Run, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - whoever waits raises it
            run.failure = exc
        with self._lock:
            self._judge(run)
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
