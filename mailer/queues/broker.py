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
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

from celery import Celery
from kombu import Queue
from kombu.exceptions import ChannelError, OperationalError
from kombu.utils.scheduling import sorted_cycle

from mailer.errors import LedgerUnavailableError
from mailer.queues.kombu_guards import OURS, guard_redis_transport
from mailer.store.connection import SOCKET_TIMEOUT, asking_sentinels
from mailer.store.reach.address import Address

PREFIX: Final = "mailer."
DEAD_QUEUE: Final = "mailer.dead"
DELIVER: Final = "mailer.deliver"
QUEUES: Final = ("priority", "bulk")

_UNREACHABLE: Final = (OperationalError, ConnectionError, OSError)

VISIBILITY_TIMEOUT: Final = 3600
"""Seconds until the broker gives a lost worker's task message back. Nothing waits for it: the ledger
queues the batch again within seconds. Longer than any batch may take."""

PATIENCE: Final = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0, "max_retries": 1}
"""Seconds, and attempts beyond the first, that a producer gives the broker."""


class PriorityFirst(sorted_cycle):  # type: ignore[misc] # kombu is untyped
    """The order in which a worker looks into its queues: single messages before campaigns."""

    def consume(self, n: int) -> list[str]:
        """The queues to look into, the first one first."""
        return sorted(self.items[:n], key=lambda name: (not name.endswith("priority"), name))


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
        plural = "" if self.messages == 1 else "s"
        return (
            f"({what['campaign']}, batch {what['batch']}: {self.messages} message{plural} "
            f"through {self.account})"
        )


def defaults(broker_url: str) -> dict[str, Any]:
    """Celery's settings as this package wants them; ``celeryconfig.py`` wins over each."""
    return {
        **_for_kombu(broker_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_queues": [Queue(PREFIX + name, routing_key=PREFIX + name) for name in QUEUES],
        "task_default_queue": PREFIX + "bulk",
        "task_default_routing_key": PREFIX + "bulk",
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_track_started": True,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": True,
        "imports": ["mailer.tasks"],
    }


@lru_cache(maxsize=8)
def application(broker_url: str) -> Celery:
    """The Celery application that producers publish through; made once per broker."""
    app = Celery("mailer", set_as_current=False)
    options = defaults(broker_url)
    # A producer waits for a broker that does not answer no longer than a web request may.
    options["broker_transport_options"] |= PATIENCE
    app.config_from_object(options)
    guard_redis_transport()
    app.amqp.send_task_message  # noqa: B018 - made now, while no process forks
    return app


class OwnConnections:
    """Connections to the broker of *app*: as many as are in use at once; no failure outlives one.

    Celery's pools keep connections that broke in a way which kombu did not expect, and hand them out
    again for ever. Here any failure ends the connection, and the next use begins a new one.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        # The last one given back is taken first: threads that come and go open no new ones.
        self._idle: deque[tuple[Any, Any]] = deque()
        self._inherited: list[deque[tuple[Any, Any]]] = []
        self._pid = os.getpid()

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection for this block. Raises `LedgerUnavailableError` when the broker is away."""
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
                raise LedgerUnavailableError(f"the broker cannot be reached: {exc}") from exc
            raise
        self._idle.append((connection, producer))

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


class Broker:
    """The queues: publish to them, count what is on them."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self._own = OwnConnections(app)

    def publish(self, tasks: Iterable[Task]) -> int:
        """Publish the task message of each batch; returns how many.

        Raises `LedgerUnavailableError` when the broker does not take them; those not published are
        found by the workers' sweep all the same.
        """
        published = 0
        with self._own.producer() as producer:
            for task in tasks:
                self.app.send_task(
                    DELIVER,
                    args=(task.ref,),
                    queue=PREFIX + task.queue,
                    argsrepr=task.sentence,
                    kwargsrepr=repr(task.keywords),
                    producer=producer,
                )
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
        """Raise `LedgerUnavailableError` unless the broker answers."""
        with self._own.connection() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)


def _for_kombu(url: str) -> dict[str, Any]:
    """The settings of Celery's that reach the same Redis as the ledger's client, in the same way."""
    scheme = urlsplit(url).scheme
    if scheme not in ("redis", "rediss", "unix", "redis+socket", "sentinel", "sentinels"):
        return {"broker_url": url, "broker_transport_options": {}}
    address = Address.parse(url)
    options: dict[str, Any] = {
        OURS: True,
        "visibility_timeout": VISIBILITY_TIMEOUT,
        "queue_order_strategy": "mailer.queues.broker:PriorityFirst",
        "health_check_interval": 30,
        "socket_keepalive": True,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "retry_on_timeout": True,  # once, also where the connection broke
    }
    login = ""
    if address.login:
        login = (
            f"{quote(address.username or '', safe='')}:{quote(address.password or '', safe='')}@"
        )
    if address.path:
        where = f"redis+socket://{login}{address.path}?virtual_host={address.database}"
        return {"broker_url": where, "broker_transport_options": options}
    kind = "sentinel" if address.service else "rediss" if address.tls else "redis"
    nodes = [f"{_bracketed(host)}:{port}" for host, port in address.nodes]
    if address.service:
        options |= {"master_name": address.service, "sentinel_kwargs": asking_sentinels(address)}
    found: dict[str, Any] = {
        "broker_url": ";".join(f"{kind}://{login}{node}/{address.database}" for node in nodes),
        "broker_transport_options": options,
    }
    if address.tls:  # without it kombu verifies nothing
        found["broker_use_ssl"] = address.tls_options
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
