"""How task messages reach Celery's queues, and what these hold.

One Celery application per broker serves producers and workers alike. A task message only names a
batch: its arguments are made to be read by people in Flower, with no address, body or secret.
"""

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from kombu.exceptions import ChannelError, OperationalError

from mailer.errors import BrokerUnavailableError, RedisRefusesError
from mailer.mail.counts import plural
from mailer.queues.application import DELIVER, PREFIX, QUEUES
from mailer.store.reach.refusal import behind, words

_UNREACHABLE: Final = (OperationalError, ConnectionError, OSError)


@dataclass(frozen=True, slots=True)
class Task:
    """A batch's task message, in the words that Flower shows."""

    queue: str
    ref: str
    messages: int
    account: str

    @property
    def keywords(self) -> dict[str, Any]:
        """What a search in Flower finds: ``kwargs:campaign=spring-2026``."""
        campaign, _, number = self.ref.rpartition(":")
        return {
            "campaign": campaign,
            "batch": int(number),
            "messages": self.messages,
            "account": self.account,
        }

    @property
    def sentence(self) -> str:
        """The arguments, as a person reads them."""
        what = self.keywords
        return (
            f"({what['campaign']}, batch {what['batch']}: {plural(self.messages, 'message')} "
            f"through {self.account})"
        )


class OwnConnections:
    """Connections to the broker of *app*: as many as are in use at once; no failure outlives one.

    Celery's pools keep connections that broke in a way which kombu did not expect, and hand them out
    again for ever. Here any failure ends the connection, and the next use begins a new one. *queues* are
    declared on each: Celery would do it for each message, which takes as long as to write it.
    """

    def __init__(self, app: Celery, queues: Iterable[Any] = ()) -> None:
        self._app = app
        self._queues = tuple(queues)
        # The last one given back is taken first: threads that come and go open no new ones.
        self._idle: deque[tuple[Any, Any]] = deque()
        self._inherited: list[deque[tuple[Any, Any]]] = []
        self._pid = os.getpid()

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection for this block. Raises `BrokerUnavailableError` when the broker is away."""
        with self._opened() as (connection, _):
            yield connection

    @contextmanager
    def producer(self) -> Iterator[Any]:
        """A producer on a connection for this block; raises as `connection` does."""
        with self._opened() as (_, producer):
            yield producer

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        connection, producer = self._take()
        try:
            if producer is None:
                producer = self._app.amqp.Producer(connection)
                _keep_client(producer.channel)
                self._declare(producer.channel)
            _keep_client(producer.channel)  # a channel that was opened again, too
            yield connection, producer
        except BaseException as exc:
            unreachable = (
                *_UNREACHABLE,
                *connection.connection_errors,
                *connection.channel_errors,
            )
            with contextlib.suppress(Exception):  # it is broken, nobody knows how
                connection.release()
            if isinstance(exc, unreachable):
                if why := behind(exc):
                    raise RedisRefusesError(why) from exc
                raise BrokerUnavailableError(f"the broker cannot be reached: {words(exc)}") from exc
            raise
        self._idle.append((connection, producer))

    def check(self) -> None:
        """Raise `BrokerUnavailableError` unless the broker answers, and lets this user see the queues."""
        try:
            with self._opened() as (_, producer):
                self._declare(producer.channel)
        except BrokerUnavailableError:
            # One that lay idle may have broken meanwhile, and the others with it: a new one decides.
            while self._idle:
                with contextlib.suppress(Exception):
                    self._idle.pop()[0].release()
            with self._opened():
                pass

    def _declare(self, channel: Any) -> None:
        for queue in self._queues:
            queue(channel).declare()

    def _take(self) -> tuple[Any, Any]:
        if self._pid != os.getpid():
            # A forked child: these sockets are the parent's too. They are kept and never used, for
            # collecting a connection of amqp shuts its socket down in both processes.
            self._inherited.append(self._idle)
            self._idle, self._pid = deque(), os.getpid()
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        return self._app.connection_for_write(), None


def _keep_client(channel: Any) -> None:
    """Have kombu's Redis channel publish by the client that it has.

    It makes one anew for each message, which takes 150 µs, out of a second pool with a second socket.
    """
    if hasattr(channel, "_create_client") and "_create_client" not in vars(channel):
        client = channel.client
        channel._create_client = lambda *_, **__: client  # noqa: SLF001 - there is no other place


def put(  # noqa: PLR0913, PLR0917 - what a task message has
    app: Celery,
    producer: Any,
    queue: Any,
    name: str,
    argument: str,
    words: tuple[str, str],
    keywords: Mapping[str, Any] | None = None,
    identifier: str = "",
) -> None:
    """Put the message of the task *name* on *queue*, which was declared; *words* are shown in Flower.

    As `Celery.send_task`, but for what that does besides: it would subscribe to a result in whatever
    ``$CELERY_RESULT_BACKEND`` names, and make the message a child of the host's task that runs now, whose
    own result then never is complete. Signals and events of publishing are sent.
    """
    parent = app.current_worker_task
    message = app.amqp.create_task_message(
        identifier or str(uuid4()),
        name,
        (argument,),
        keywords,
        reply_to=app.thread_oid,
        root_id=parent and (parent.request.root_id or parent.request.id),
        parent_id=parent and parent.request.id,
        create_sent_event=app.conf["task_send_sent_event"],
        ignore_result=True,
        argsrepr=words[0],
        kwargsrepr=words[1],
    )
    # JSON also where a celeryconfig.py of another application wants pickle: workers take nothing else.
    app.amqp.send_task_message(producer, name, message, queue=queue, declare=(), serializer="json")


class Broker:
    """The queues: publish to them, count what is on them."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        # Made now, while no process forks.
        self._queues = {name: app.amqp.queues[PREFIX + name] for name in QUEUES}
        self._own = OwnConnections(app, self._queues.values())

    def publish(self, tasks: Iterable[Task]) -> int:
        """Publish the task message of each batch; returns how many.

        Raises `BrokerUnavailableError` when the broker does not take them; those not published are
        found by the workers' sweep all the same.
        """
        published = 0
        with self._own.producer() as producer:
            for task in tasks:
                words = (task.sentence, repr(task.keywords))
                put(self.app, producer, self._queues[task.queue], DELIVER, task.ref, words)
                published += 1
        return published

    def lengths(self, names: Iterable[str] = QUEUES) -> Mapping[str, int]:
        """Task messages on each queue that nobody has taken yet; 0 for one that does not exist."""
        found = {}
        with self._own.connection() as connection:
            for name in names:
                with connection.channel() as channel:
                    try:
                        declared = channel.queue_declare(PREFIX + name, passive=True)
                    except ChannelError:  # no such queue yet, or an empty one on Redis
                        found[name] = 0
                    else:
                        found[name] = int(declared.message_count)
        return found

    def check(self) -> None:
        """Raise `BrokerUnavailableError` unless the broker answers, and lets this user see our queues."""
        self._own.check()
