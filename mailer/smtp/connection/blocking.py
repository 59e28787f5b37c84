"""Calls that may block, beside the loop: names to resolve, passwords and tokens to fetch.

One thread does them one after another, so that the driver's heartbeat goes on meanwhile. It is started
by the first call and ends when nobody asked for a while.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

_LINGER = 5.0


class BlockingCalls:
    """A thread for what blocks. `fileno` becomes readable when `results` has something new."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[object, Callable[[], Any]]] = SimpleQueue()
        self._results: SimpleQueue[tuple[object, Any, Exception | None]] = SimpleQueue()
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._lock = threading.Lock()
        self._is_running = False

    def fileno(self) -> int:
        """Return what a selector watches."""
        return self._near.fileno()

    def ask(self, ticket: object, call: Callable[[], Any]) -> None:
        """Have *call* made; its result will come with *ticket*."""
        with self._lock:
            self._calls.put((ticket, call))
            if not self._is_running:
                self._is_running = True
                threading.Thread(
                    target=self._work, name="mailer-smtp-blocking", daemon=True
                ).start()

    def results(self) -> list[tuple[object, Any, Exception | None]]:
        """Return what was finished since: ticket, value, error."""
        with suppress(BlockingIOError):
            self._near.recv(4096)
        found = []
        while not self._results.empty():
            found.append(self._results.get())
        return found

    def close(self) -> None:
        """Give up: nobody will read what is still to come."""
        with self._lock:
            self._near.close()
            self._far.close()

    def _work(self) -> None:
        while True:
            try:
                ticket, call = self._calls.get(timeout=_LINGER)
            except Empty:
                with self._lock:
                    if self._calls.empty():
                        self._is_running = False
                        return
                continue
            try:
                self._finish(ticket, call(), None)
            except Exception as exc:  # noqa: BLE001  # carried to the loop, which judges it
                self._finish(ticket, None, exc)

    def _finish(self, ticket: object, value: Any, error: Exception | None) -> None:
        self._results.put((ticket, value, error))
        with self._lock:
            if self._far.fileno() >= 0:
                # Full means that the loop will wake anyway.
                with suppress(BlockingIOError):
                    self._far.send(b"\0")
