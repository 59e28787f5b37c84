"""The life of a worker process: what happens when it starts, forks, is asked to stop, and ends.

A worker has a main process, which sweeps, and a pool, which delivers: child processes, threads, or (the
solo pool) the main process itself. All share one flag in memory. The main process sets it at SIGTERM.
Within a second each delivery sees it: it finishes what it has begun to transmit, gives the rest back and
returns.
"""

import gc
import logging
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from celery import Celery

from mailer.config import Settings, load
from mailer.config.clock import unknown_zone
from mailer.deliver.delivery import Delivery
from mailer.deliver.recorder import Report
from mailer.errors import ConfigError, LedgerUnavailableError, MailerError
from mailer.queues.application import PREFIX, Application, application
from mailer.queues.broker import Broker
from mailer.queues.flower import refuse_dead_queue, show_done
from mailer.queues.publish import publish
from mailer.store.connection import Client, connect
from mailer.store.ledger import PRIORITY
from mailer.store.reach.fitness import look
from mailer.store.suppression import Suppression
from mailer.store.views.reasons import Reasons
from mailer.worker.alerts import Alerts, hooks
from mailer.worker.came_back import CameBack
from mailer.worker.dead_letters import DeadLetterDuty
from mailer.worker.followers import Consumer, Follower, consumers
from mailer.worker.mailboxes import MailboxReader, polling
from mailer.worker.pool_guard import end_soon
from mailer.worker.presence import Presence, new_name
from mailer.worker.probe import Probes
from mailer.worker.redis_patience import RedisPatience
from mailer.worker.retention import Retention
from mailer.worker.sweep import Sweeper
from mailer.worker.telemetry.watch import Watch

if TYPE_CHECKING:
    from mailer.feedback.polling import Polling

log = logging.getLogger(__name__)

# Seconds: between two looks for idle connections; between a task's end and its process's; that the sweep,
# and each follower, has to end.
_REAP_EVERY: Final = 1.0
_FAREWELL: Final = 0.5
_SWEEP_ENDS: Final = 2.0
_FOLLOWER_ENDS: Final = 5.0
_UNFIT_POOLS: Final = ("gevent", "eventlet")


@dataclass(frozen=True, slots=True)
class Desk:
    """What a process that delivers has for itself, for all its threads."""

    broker: Broker
    delivery: Delivery
    dead_letters: DeadLetterDuty

    def publish(self, report: Report) -> None:
        """Publish what a delivery left to be published: batches that go on, and dead letters.

        Raises `LedgerUnavailableError` where that cannot be done: then the sweep does it later.
        """
        queued = [(report.queue, one) for one in report.queued]
        publish(self.broker, self.delivery.ledger, queued)
        self.dead_letters.publish(report.buried)

    def publish_finished(self) -> None:
        """The same for the batches that ended after their tasks had returned."""
        for report in self.delivery.runs.finished():
            try:
                self.publish(report)
            except MailerError as exc:
                log.warning("batch %s waits for the sweep: %s", report.ref, exc)


class Worker:
    """What one worker's main process and its children share, and what each has for itself.

    *app* is ours, or an application with tasks of its own. There, the log's format, the garbage collector
    and the handler of SIGTERM between two batches are left as they are.
    """

    def __init__(self, app: Celery, settings: Settings) -> None:
        self.settings = settings
        self._app = app
        self._is_own = isinstance(app, Application)
        # Not the other application's: its routes, serializers and broker options would apply to our
        # tasks.
        self.broker = Broker(app if self._is_own else application(settings.broker_url))
        self._flag = mmap.mmap(-1, 1)  # shared with children, which inherit it
        self._lock = threading.Lock()
        self._desk: Desk | None = None
        self._pid = 0
        self._main = 0
        self._hostname = ""
        self._busy = 0
        self._terminated = False
        self._is_child = False
        self._sweeper: Sweeper | None = None
        self._consumers: list[Callable[[Client], Consumer]] = []
        self._fetching: Polling | None = None
        self._followers: list[Follower | MailboxReader] = []
        self._presence: Presence | None = None
        self._warnings: list[str] = []
        self._watch: Watch | None = None
        self.name = new_name()  # before the pool forks, so that all its processes have the same

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._flag[0] != 0 or self._terminated

    @property
    def takes_single(self) -> bool:
        """Whether this worker consumes the queue of single messages."""
        return PREFIX + PRIORITY in self._app.amqp.queues.consume_from

    @property
    def desk(self) -> Desk:
        """This process's `Desk`, made for its first batch. A child makes a new one: sockets are in it."""
        with self._lock:
            if self._desk is None or self._pid != os.getpid():
                self._pid = os.getpid()
                client = connect(self.settings.redis_url, RedisPatience(lambda: self.stopping))
                self._desk = Desk(
                    self.broker,
                    Delivery(
                        self.settings,
                        client,
                        lambda: self.stopping,
                        lambda: self.takes_single,
                        self.name,
                        self._watch,
                    ),
                    DeadLetterDuty(client, self.broker),
                )
                self._freeze()
                threading.Thread(target=self._keep_house, name="mailer-reap", daemon=True).start()
            return self._desk

    @contextmanager
    def at_work(self) -> Iterator[Desk]:
        """The process's `Desk`; a SIGTERM meanwhile ends the process only after the work."""
        before: Any = None
        if self._is_child:  # not earlier: the pool sets its own handler after `begin_process`
            before = signal.signal(signal.SIGTERM, self._on_terminate)
        self._busy += 1
        try:
            yield self.desk
        finally:
            self._busy -= 1
            if self._terminated:
                self._end_soon()
            elif before is not None and not self._is_own and not self._desk_is_sending:
                signal.signal(signal.SIGTERM, before)  # the next task may be another's

    # The main process.

    def prepare(self, sender: Any) -> None:
        """Before the pool starts: check the configuration. Raises `SystemExit` with what is wrong."""
        pool = getattr(sender, "pool_cls", None)
        name = pool if isinstance(pool, str) else getattr(pool, "__module__", "")
        if any(unfit in name for unfit in _UNFIT_POOLS):
            raise SystemExit(
                "mailer: the gevent and eventlet pools cannot drive its connections; "
                "use --pool prefork, threads or solo (one process drives many connections by itself)"
            )
        refuse_dead_queue(sender.app.amqp.queues.consume_from)
        try:
            load(self.settings.file, secrets=True)
            hooks(self.settings)
            self._consumers = consumers(self.settings)
            self._fetching = polling(self.settings)
            said = look(self.settings.redis_url)
            self._watch = Watch(self.settings)
        except ConfigError as exc:
            raise SystemExit(f"mailer: {exc}") from None
        self._warnings += filter(None, (_without_accounts(self.settings), said, unknown_zone()))
        self._main = os.getpid()
        self._hostname = str(sender.hostname)
        self._flag[0] = 0

    def log_begins(self, logger: logging.Logger) -> None:
        """After Celery has set up its log: use the configured format, unless *app* is another's."""
        if self._watch and self._is_own:
            self._watch.use_format(logger)
        self._warn()

    def _warn(self) -> None:
        """Say what `prepare` has seen: there, nothing would reach a file that Celery logs to."""
        while self._warnings:
            log.warning("%s", self._warnings.pop(0))

    def start(self) -> None:
        """The worker is ready: begin to sweep, and to follow what happens."""
        self._warn()  # where the application sets its log up by itself
        client = connect(self.settings.redis_url)
        dead_letters = DeadLetterDuty(client, self.broker)
        alerts, probes = Alerts(self.settings, client), Probes(self.settings, client)
        self._presence = Presence(self.settings, client, self.name)
        duties = [
            self._presence.sweep,
            dead_letters.publish_late,
            dead_letters.condemn,
            dead_letters.agree,
            alerts.sweep,
            probes.sweep,
            Retention(self.settings, client).sweep,
            Suppression(client).expire,
            Reasons(client).sweep,
            CameBack(partial(show_done, self._app, self._hostname), client).sweep,
        ]
        self._sweeper = Sweeper(self.settings, client, self.broker, duties)
        if self._watch:
            self._sweeper.swept = self._watch.swept
            self._watch.serve()
        self._sweeper.start()
        lease = self.settings.worker.lease
        followers = [Follower(client, make(client), lease) for make in self._consumers]
        with suppress(LedgerUnavailableError):  # then each becomes known by its first reading
            for follower in followers:
                follower.register()
        self._followers += followers
        if self._fetching:
            self._followers.append(MailboxReader(self.settings, client, self._fetching))
        for thread in self._followers:
            thread.start()
        self._freeze()

    def stop(self) -> None:
        """The worker was asked to stop: deliveries end soon, the sweep ends now.

        This is a signal handler. It must not wait for a thread: that may want a lock which the
        interrupted thread holds.
        """
        self._flag[0] = 1
        if self._sweeper:
            self._sweeper.stop()

    def end(self) -> None:
        """The main process ends; its own deliveries, if any, are over: end its threads."""
        self.stop()
        if self._sweeper:
            self._sweeper.join(_SWEEP_ENDS)
        # After the deliveries: the followers are to read what those wrote last.
        for follower in self._followers:
            follower.stop()
        for follower in self._followers:
            follower.join(_FOLLOWER_ENDS)
        self.end_process()
        if self._presence:
            with suppress(MailerError):  # its name lapses by itself, a little later
                self._presence.end()
        if self._watch:
            self._watch.end()

    # Each process that delivers.

    def begin_process(self) -> None:
        """A child of the pool begins; SIGTERM will let it finish what it transmits.

        The solo pool has no child and calls this in the main process, where Celery handles SIGTERM.
        """
        self._terminated = False
        self._busy = 0
        self._is_child = os.getpid() != self._main
        if not self._is_child:
            return
        if self._watch:
            self._watch.in_child()
        if self._is_own:
            end_soon(lambda: self.stopping)

    def end_process(self) -> None:
        """The process ends: finish the batches that go on after their tasks, and send QUIT."""
        if self._desk is not None and self._pid == os.getpid():
            self._desk.delivery.close()
            self._desk.publish_finished()

    @property
    def _desk_is_sending(self) -> bool:
        """Whether batches go on after their tasks have returned."""
        return self._desk is not None and len(self._desk.delivery.runs) > 0

    def _freeze(self) -> None:
        """Have the garbage collector pass over what is loaded now: it stays as long as the process."""
        if self._is_own:
            gc.freeze()

    def _end_soon(self) -> None:
        """End this child, after a moment in which its main process hears that the task is done."""
        again = threading.Timer(_FAREWELL, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True
        if not self._busy:
            raise SystemExit(0)

    def _keep_house(self) -> None:
        desk = self._desk
        while desk is not None:
            desk.delivery.runs.news.wait(_REAP_EVERY)
            desk.publish_finished()
            try:
                desk.delivery.reap()
            except MailerError as exc:
                log.warning("idle connections could not be kept: %s", exc)


def _without_accounts(settings: Settings) -> str | None:
    """That a worker of these *settings* delivers nothing, and why; None where it has accounts."""
    if settings.accounts:
        return None
    if not settings.unfound:
        return (
            "the configuration has no account, so this worker delivers nothing: add [accounts.primary] "
            "with a url"
        )
    where = " and looks for Redis on localhost" if settings.guesses_redis else ""
    return (
        f"{settings.unfound}, so this worker has no account{where}: start it in the file's folder, "
        "or name the file with MAILER_CONFIG"
    )
