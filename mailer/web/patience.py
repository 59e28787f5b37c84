"""How long a client may take to say what it wants: a server's connections are few."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SLOWEST_HEAD: Final = 10.0
"""Seconds within which the head of a request must have come, from its first octet or the connection's."""


class Patient(HttpToolsProtocol):
    """uvicorn's protocol, which alone would wait for ever for the rest of a request's head."""

    _waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request's head."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """Wait for the head that has begun; on a new connection, the time has been running."""
        super().on_message_begin()
        if self._waits is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is here: what follows is bounded by the application."""
        self._forget()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waits = self.loop.call_later(SLOWEST_HEAD, self._too_slow)

    def _too_slow(self) -> None:
        self._waits = None
        self.transport.close()

    def _forget(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None
