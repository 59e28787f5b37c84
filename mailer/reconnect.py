"""How a worker survives that Redis goes away while it holds task messages (a fault of kombu 5.7.0).

When the connection breaks, kombu closes the channel, and closing restores unacknowledged messages
through a connection whose client is gone already: an ``AttributeError`` that no reconnect logic
expects ends the worker. The guard turns it into the connection error that it is. The message comes
back after the visibility timeout, and much earlier through the ledger. To be removed with kombu 5.7.0.
"""

from typing import Any

import kombu
import redis.exceptions


def guard_redis_transport() -> None:
    """Install the guard, once, where this version of kombu needs it."""
    if tuple(kombu.VERSION[:3]) != (5, 7, 0):
        return
    from kombu.transport import redis as transport  # noqa: PLC0415 - only where it is patched

    original = transport.Channel._connparams  # noqa: SLF001 - the fault is there
    if getattr(original, "guards", False):
        return

    def guarded(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        if getattr(self.connection, "client", None) is None:
            raise redis.exceptions.ConnectionError("the broker connection is gone")
        return original(self, asynchronous)

    guarded.guards = True  # type: ignore[attr-defined]
    transport.Channel._connparams = guarded  # noqa: SLF001
