"""How a worker survives that Redis goes away while it holds task messages: two faults of kombu.

1. When the connection breaks, kombu 5.7.0 closes the channel, and closing restores unacknowledged
   messages through a connection whose client is gone already: an ``AttributeError`` that no reconnect
   logic expects ends the worker. The guard turns it into the connection error that it is.
2. When an acknowledgement fails, the message counts as unacknowledged for as long as the process lives.
   A worker of one process then takes no further message, and since it does not ask for any, it never
   learns that its connection is gone. The guard lets the message go: the broker has it still.

Either message comes back after the visibility timeout, and its batch much earlier through the ledger.
The first guard is to be removed with kombu 5.7.0, the second when ``QoS.ack`` keeps its promise.
"""

from typing import Any

import kombu
import redis.exceptions


def guard_redis_transport() -> None:
    """Install the guards, once, where this version of kombu needs them."""
    from kombu.transport import redis as transport  # noqa: PLC0415 - only where it is patched

    if getattr(transport, "guarded_by_mailer", False):
        return
    transport.guarded_by_mailer = True
    if tuple(kombu.VERSION[:3]) == (5, 7, 0):
        _guard_closing(transport)
    _guard_acknowledging(transport)


def _guard_closing(transport: Any) -> None:
    original = transport.Channel._connparams  # noqa: SLF001 - the fault is there

    def guarded(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        if getattr(self.connection, "client", None) is None:
            raise redis.exceptions.ConnectionError("the broker connection is gone")
        return original(self, asynchronous)

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
