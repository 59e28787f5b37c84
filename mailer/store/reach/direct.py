"""How a script is called cheaply, and a command asked: over a connection that the thread keeps.

The client's own way (a connection out of the pool, a health check, every argument inspected) costs
90 µs of CPU time a call, and a worker calls for every few messages. This way costs 25. The connections
are of the pool's kind with the pool's settings, so they go wherever the client goes.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any, Final

import redis

REPLICATED_WITHIN: Final = 1000
"""Milliseconds that replicas have to take a script's changes over."""

_EVALSHA: Final = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n0\r\n"


class Direct:
    """Each thread's own connection to where *pool* connects, opened at its first call.

    A thread's connection is closed when the thread ends. It holds the pool and not the client: whoever
    keeps one for each client in a weak dictionary must not keep the client alive by it.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._own = threading.local()

    def call_all(self, digest: bytes, calls: Sequence[Sequence[object]]) -> list[Any]:
        """Run the script once with each of *calls*, in one round trip; their replies, in their order.

        One that raises does not keep the others from running. Raises `redis.RedisError` of any kind when
        something is not as it should be; whether the script has run is not known then.
        """
        packed: list[bytes] = []
        for args in calls:
            packed.append(_EVALSHA % (3 + len(args), digest))
            packed += [_bulk(arg) for arg in args]
        return self._exchanged(packed, len(calls), changes=True)

    def ask(self, command: Sequence[object]) -> Any:
        """The reply to a *command* that changes nothing; raises as `call_all` does."""
        packed = [b"*%d\r\n" % len(command), *map(_bulk, command)]
        (reply,) = self._exchanged(packed, 1, changes=False)
        return reply

    def _exchanged(self, packed: list[bytes], number: int, *, changes: bool) -> list[Any]:
        connection = self._taken()
        watch = getattr(connection, "watch", None)
        # Before the next look: see `Watch.look`.
        replicas = watch.replicas if watch and changes else 0
        if watch and not watch.leads(connection):
            connection.disconnect()
            raise redis.ConnectionError("another server is master now")
        if replicas:
            packed.append(_wait(replicas))
        try:
            connection.send_packed_command([b"".join(packed)], check_health=False)
            try:
                replies = _replies(connection, number)
            finally:
                if replicas:
                    _confirm(connection, replicas)
        except redis.ResponseError:  # an answer like any other: the connection is in step
            self._own.connection = connection
            raise
        except BaseException:  # a signal's, too: a reply may still come, and nobody would read it
            connection.disconnect()
            raise
        self._own.connection = connection
        return replies

    def _taken(self) -> Any:
        """This thread's connection, which it has not while a call is under way."""
        connection = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is None or self._own.pid != os.getpid():
            connection = self._pool.connection_class(**self._pool.connection_kwargs)
            connection.connect()  # not at the first command: that would pass Sentinel by
            self._own.pid = os.getpid()
        return connection


def _replies(connection: Any, number: int) -> list[Any]:
    """So many replies. Raises the first error once all are read: the connection stays in step."""
    if number == 1:
        return [connection.read_response()]
    replies: list[Any] = []
    failed: redis.ResponseError | None = None
    for _ in range(number):
        try:
            replies.append(connection.read_response())
        except redis.ResponseError as exc:
            failed = failed or exc
    if failed:
        raise failed
    return replies


def _wait(replicas: int) -> bytes:
    return b"*3\r\n$4\r\nWAIT\r\n" + _bulk(replicas) + _bulk(REPLICATED_WITHIN)


def _confirm(connection: Any, replicas: int) -> None:
    """Raise `redis.ConnectionError` unless so many replicas have what was changed."""
    found = int(connection.read_response())
    if found < replicas:
        raise redis.ConnectionError(f"{found} of {replicas} replicas took a change over")


def _bulk(arg: object) -> bytes:
    if isinstance(arg, str):
        octets = arg.encode()
    elif isinstance(arg, bytes):
        octets = arg
    elif isinstance(arg, int | float) and not isinstance(arg, bool):
        octets = repr(arg).encode()
    else:
        raise redis.DataError(f"cannot be an argument of a script: {type(arg).__name__}")
    return b"$%d\r\n%b\r\n" % (len(octets), octets)
