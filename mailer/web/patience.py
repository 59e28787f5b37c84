"""How long a client may take to say what it wants: a server's connections are few."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SLOWEST_HEAD: Final = 10.0
"""Seconds within which the head of a request must have come, from its first octet or the connection's."""


SLOWEST_READER: Final = 30.0
"""Seconds for which a client may leave unread what was written to it, before it is left alone."""


class Patient(HttpToolsProtocol):
    """uvicorn's protocol, which alone would wait for ever for the rest of a request's head."""

    _waits: asyncio.TimerHandle | None = None
    _reads: asyncio.TimerHandle | None = None

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

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to: give it some time."""
        super().pause_writing()
        self._reads = self.loop.call_later(SLOWEST_READER, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read on."""
        self._forget_reader()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        self._forget_reader()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waits = self.loop.call_later(SLOWEST_HEAD, self._too_slow)

    def _too_slow(self) -> None:
        self._waits = None
        self.transport.close()

    def _forget_reader(self) -> None:
        if self._reads is not None:
            self._reads.cancel()
            self._reads = None

    def _forget(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None
