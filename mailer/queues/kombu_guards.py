"""How a worker survives that Redis goes away while it holds task messages: five faults of kombu.

1. When the connection breaks, kombu 5.7.0 closes the channel, and closing restores unacknowledged
   messages through a connection whose client is gone already: an ``AttributeError`` that no reconnect
   logic expects ends the worker. The guard turns it into the connection error that it is.
2. When an acknowledgement fails, the message counts as unacknowledged for as long as the process lives.
   A worker of one process then takes no further message, and since it does not ask for any, it never
   learns that its connection is gone. The guard lets the message go: the broker has it still.

Either message comes back after the visibility timeout, and its batch much earlier through the ledger.

3. When the connection for broadcasts (PUB/SUB) breaks and Redis is there again at once, redis-py connects
   anew by itself, and then waits for a broadcast: for good where none comes. It does so in the thread of
   the event loop, which takes no more tasks. A planned failover does that, and any firewall. The guard
   has the event loop's connections do nothing by themselves: what breaks is a lost connection for Celery.
4. The event loop keeps what each lost connection has asked it to do before it waits, and with that the
   connection's channels and sockets: some for every outage, for as long as the process lives. The guard
   takes it off the loop when the next connection comes.
5. A channel that closes gives its messages back after it has closed its pool of connections, and opens
   another one for that, which nobody closes. The guard closes it.

The first guard is to be removed with kombu 5.7.0, the second when ``QoS.ack`` keeps its promise, the
third when kombu reads broadcasts without waiting for them, the fourth when ``Transport`` takes its
callback off ``Hub.on_tick``, the fifth when ``Channel.close`` disconnects last.

Besides, a Redis that answers and cannot serve (full memory, full disk, a replica …) is a `ResponseError`
for kombu, which no reconnect logic expects either: the worker would end. Here it is a lost connection,
and a new one is taken only when Redis takes a write: until then Celery waits, a line for each attempt.
With Sentinel, kombu stays at a master that was deposed. Its connections are cut like the ledger's.

And a cost: kombu makes a client of redis-py for each command that it does not wait for, which takes
longer than the command. Here a channel keeps the one that it has made for its pool of connections.
"""

import threading
from typing import Any, Final

import kombu
import redis.exceptions
from redis.sentinel import SentinelManagedConnection

from mailer.store import keys
from mailer.store.reach.refusal import refusal
from mailer.store.reach.sentinel import Follows

RECONNECTING: Final = {"interval_start": 1, "interval_step": 1, "interval_max": 4}
"""Seconds between two attempts to reach a broker that is away. Kombu's own grow to half a minute, for
which the workers would take nothing although it is there again."""


class Returning(kombu.Connection):  # type: ignore[misc] # kombu is untyped
    """A worker's connection to its broker, which it takes up again soon after the broker is back."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Connect, as often as it takes; see kombu."""
        return super().ensure_connection(*args, **{**RECONNECTING, **options})


def guard_redis_transport() -> None:
    """Install the guards, once, where this version of kombu needs them."""
    from kombu.transport import redis as transport  # noqa: PLC0415 - only where it is patched

    if getattr(transport, "guarded_by_mailer", False):
        return
    transport.guarded_by_mailer = True
    if tuple(kombu.VERSION[:3]) == (5, 7, 0):
        _guard_closing(transport)
    _guard_connecting(transport)
    _guard_acknowledging(transport)
    _guard_leaving_the_loop(transport)
    _guard_pools(transport)
    _keep_clients(transport)


def _guard_closing(transport: Any) -> None:
    original = transport.Channel._connparams  # noqa: SLF001 - the fault is there

    def guarded(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        if getattr(self.connection, "client", None) is None:
            raise redis.exceptions.ConnectionError("the broker connection is gone")
        return original(self, asynchronous)

    transport.Channel._connparams = guarded  # noqa: SLF001


OURS: Final = "mailer_serves"
"""The transport option that marks a broker as mailer's; those of other applications are left alone."""

_CLIENT: Final = "mailer_client"

_TICKS: Final = "mailer_ticks"
"""What each transport has asked an event loop to do before it waits, beside the transport."""

_BREATH: Final = 0.5
"""Seconds before a refusal is passed on: a Redis that refuses is not to be asked in a tight loop."""


class _Serves:
    """Mixed into redis-py's connections: what Redis cannot serve is a connection that is lost."""

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        """Connect, and see that a write is taken."""
        if self._sock:  # type: ignore[attr-defined]
            return
        super().connect_check_health(*args, **options)  # type: ignore[misc]
        self.send_command("SET", keys.SERVING, "1", "PX", "1000")  # type: ignore[attr-defined]
        self.read_response()

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The next reply; raises `redis.ConnectionError` for one that says that Redis cannot serve."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis.exceptions.ResponseError as exc:
            why = refusal(exc)
            if why is None:
                raise
            self.disconnect()  # type: ignore[attr-defined] # replies to the rest of a pipeline may follow
            threading.Event().wait(_BREATH)
            raise redis.exceptions.ConnectionError(why) from exc


def _serving(kind: type) -> type:
    mixins = (_Serves, Follows) if issubclass(kind, SentinelManagedConnection) else (_Serves,)
    return type(kind.__name__, (*mixins, kind), {})


def _guard_connecting(transport: Any) -> None:
    original = transport.Channel._connparams  # noqa: SLF001 - where the kind of connection is chosen

    def guarded(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        found = original(self, asynchronous)
        if self.connection.client.transport_options.get(OURS):
            found["connection_class"] = _serving(found["connection_class"])
            if asynchronous:  # the event loop's: see 3
                found["retry_on_timeout"] = False
        return found

    transport.Channel._connparams = guarded  # noqa: SLF001


def _guard_acknowledging(transport: Any) -> None:
    original = transport.QoS.ack

    def guarded(self: Any, delivery_tag: str) -> None:
        try:
            original(self, delivery_tag)
        except Exception:
            super(transport.QoS, self).ack(delivery_tag)
            raise

    transport.QoS.ack = guarded


def _guard_leaving_the_loop(transport: Any) -> None:
    original = transport.Transport.register_with_event_loop

    def guarded(self: Any, connection: Any, loop: Any) -> None:
        known = vars(loop).setdefault(_TICKS, [])
        for one, ticks in known:
            if one.client is None:  # it is closed: kombu has taken its connection from it
                loop.on_tick -= ticks
        known[:] = [(one, ticks) for one, ticks in known if one.client is not None]
        before = set(loop.on_tick)
        original(self, connection, loop)
        known.append((self, loop.on_tick - before))

    transport.Transport.register_with_event_loop = guarded


def _guard_pools(transport: Any) -> None:
    original = transport.Channel.close

    def guarded(self: Any) -> None:
        try:
            original(self)
        finally:
            self._disconnect_pools()  # the fault is there

    transport.Channel.close = guarded


def _keep_clients(transport: Any) -> None:
    original = transport.Channel._create_client  # noqa: SLF001 - where one is made for each command

    def guarded(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        # Without a broker connection any more: kombu says so itself, see `_guard_closing`.
        broker = getattr(self.connection, "client", None)
        if asynchronous or broker is None or not broker.transport_options.get(OURS):
            return original(self, asynchronous)
        pool, client = vars(self).get(_CLIENT, (None, None))
        # After a disconnection the channel has another pool.
        if client is None or pool is not self.pool:
            client = original(self)
            setattr(self, _CLIENT, (self.pool, client))
        return client

    transport.Channel._create_client = guarded  # noqa: SLF001
