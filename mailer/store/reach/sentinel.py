"""Who is master just now: Sentinel is asked each second, and connections to another server are cut.

A master that was deposed takes writes for up to ten seconds until Sentinel tells it so, and each of
them is lost: a message marked as transmitting there is sent again by the new master's workers. So a
connection lives only while it goes to the master that Sentinel names, and a script's changes count only
when every replica that Sentinel takes for alive has them (`mailer.store.reach.direct`): whichever of them
becomes master knows what was sent.
"""

import contextlib
import os
import socket
import threading
from typing import Any, Final
from weakref import WeakSet

import redis
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

EVERY: Final = 1.0
"""Seconds between two questions."""

ANSWER: Final = 1.0
"""Seconds that a Sentinel has to answer before the next one is asked."""

_GONE: Final = ("s_down", "o_down")
"""Flags of a replica that is not there. "disconnected" is none: each is so while it is promoted,
and then the old master's word alone would count."""


# One question at a time in a process: the connections to the Sentinels are shared, and who hangs up while
# another thread waits for an answer leaves it waiting for good.
_ASKING = threading.RLock()


def _ask_anew() -> None:
    """A child that was forked while somebody asked has nobody who would let go."""
    global _ASKING  # noqa: PLW0603 - a lock of the process's own
    _ASKING = threading.RLock()


os.register_at_fork(after_in_child=_ask_anew)


class Watch:
    """What the Sentinels say of one service; a thread asks while somebody is connected to it."""

    def __init__(self, sentinel: Sentinel, service: str) -> None:
        self._sentinel = sentinel
        self._service = service
        self._connections: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()
        self._runs = False
        self.master: tuple[str, int] | None = None
        self.replicas = 0
        """How many replicas of the master are taken for alive, and follow it."""

    def follow(self, connection: Any) -> None:
        """Cut *connection* as soon as its server is not the master any more."""
        with self._lock:
            self._connections.add(connection)
            if self._runs:
                return
            self._runs = True
        self.look()
        threading.Thread(target=self._run, name="mailer-sentinel", daemon=True).start()

    def look(self) -> None:
        """Ask once who is master, and cut the connections to others."""
        with _ASKING:
            try:
                # In this order: a replica that does not follow any more may be the new master.
                replicas = self._alive()
                master = master_of(self._sentinel, self._service)
            except redis.RedisError:
                return  # between two masters, or no Sentinel answers: what is connected may be right
            finally:
                _hang_up(self._sentinel)
        self.master = master
        with self._lock:
            others = [one for one in self._connections if (one.host, one.port) != master]
        for connection in others:
            _cut(connection)
        self.replicas = (
            replicas  # last: until then, a call to the old master wants the old ones' word
        )

    def leads(self, connection: Any) -> bool:
        """Whether *connection* goes to the master, as far as anybody knows."""
        return self.master in (None, (connection.host, connection.port))

    def _alive(self) -> int:
        for one in self._sentinel.sentinels:
            with contextlib.suppress(redis.RedisError):
                found = one.sentinel_slaves(self._service)
                return sum(1 for replica in found if _follows(replica))
        return self.replicas

    def _run(self) -> None:
        tick = threading.Event()
        while not tick.wait(EVERY):
            with self._lock:
                if not self._connections:
                    self._runs = False
                    return
            self.look()


def _follows(replica: Any) -> bool:
    """Whether it can confirm a change; a master that was just deposed does not know yet that it must."""
    flags = replica.get("flags", "")
    known = {*(flags.split(",") if isinstance(flags, str) else flags)}
    return not known & set(_GONE) and replica.get("role-reported") == "slave"


def _cut(connection: Any) -> None:
    """End the connection under whoever reads from it: it hears that the server has hung up."""
    sock = connection._sock  # noqa: SLF001 - the thread that uses it may be blocked in it
    if sock is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(
                sock, socket.SHUT_RDWR
            )  # not TLS's own, which is not thread-safe


def master_of(sentinel: Any, service: str) -> tuple[str, int]:
    """Who is master by the first Sentinel that answers; it is asked first from then on.

    redis-py asks another question, whose answer names the old master until the whole failover is over.
    One that is away would otherwise be waited for at each new connection.
    """
    answered = False
    for one in [*sentinel.sentinels]:
        with contextlib.suppress(redis.RedisError):
            found = one.sentinel_get_master_addr_by_name(service)
            answered = True
            if found:
                # In one step: other threads read it.
                sentinel.sentinels[:] = [one, *(it for it in sentinel.sentinels if it is not one)]
                host, port = found
                return host.decode() if isinstance(host, bytes) else host, int(port)
    if answered:
        raise MasterNotFoundError(
            f"the Sentinels know no service {service!r}: its name stands behind the last / of the address"
        )
    raise MasterNotFoundError(f"no Sentinel answers that could name a master for {service!r}")


_WATCHES: dict[object, Watch] = {}


def watch_of(pool: Any) -> Watch:
    """The watch over the service that the connection *pool* belongs to, one in each process."""
    manager = pool.sentinel_manager
    nodes = sorted(
        (
            one.connection_pool.connection_kwargs["host"],
            one.connection_pool.connection_kwargs["port"],
        )
        for one in manager.sentinels
    )
    key = (os.getpid(), tuple(nodes), pool.service_name)
    if key not in _WATCHES:
        options = {**manager.sentinel_kwargs, "socket_timeout": ANSWER, "decode_responses": True}
        own = Sentinel(nodes, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        _WATCHES.setdefault(key, Watch(own, pool.service_name))
    return _WATCHES[key]


class Follows:
    """Mixed into redis-py's Sentinel connections, of both halves: cut when the master is another."""

    watch: Watch | None = None

    def _connect_retry(self) -> None:
        """Connect to the master, and be watched."""
        if self._sock:  # type: ignore[attr-defined]
            return
        pool = self.connection_pool  # type: ignore[attr-defined]
        with _ASKING:
            try:
                address = master_of(pool.sentinel_manager, pool.service_name)
            finally:
                _hang_up(pool.sentinel_manager)
        pool.master_address = address  # by this the pool knows which connections to keep
        # Watched before it is connected: a master that stands still may never finish the greeting.
        self.host, self.port = address
        self.watch = watch_of(pool)
        self.watch.follow(self)
        self.connect_to(address)  # type: ignore[attr-defined]

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        """Send; on a connection that broke, only after Sentinel was asked again.

        Left to itself redis-py connects to where the master was, again and again.
        """
        if not self._sock:  # type: ignore[attr-defined]
            self.connect()  # type: ignore[attr-defined]
        super().send_packed_command(*args, **options)  # type: ignore[misc]


def _hang_up(sentinel: Any) -> None:
    """Close what is open to the Sentinels: nobody else would, when the client is closed."""
    for one in sentinel.sentinels:
        one.connection_pool.disconnect()


class FollowingConnection(Follows, SentinelManagedConnection):
    """A connection to whoever is master."""


class FollowingTlsConnection(Follows, SentinelManagedSSLConnection):
    """The same over TLS."""
