"""Which sockets a loop waits for, and how long: a selector that counts in microseconds."""

import select
import selectors
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

SHORT = 0.001
"""Seconds: what is shorter than this a selector would round up to a whole millisecond."""
_SELECT_LIMIT = 1024
"""`select.select` cannot watch a descriptor from here on."""


class Watched(Protocol):
    """Something with a socket."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def events(self) -> int:
        """Return for which events of `selectors` it waits now."""


W = TypeVar("W", bound=Watched)


class Watcher(Generic[W]):
    """The sockets of one loop, and *always* beside them, whose events come as None."""

    def __init__(self, always: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(always, selectors.EVENT_READ, None)
        self._events: dict[W, int] = {}

    def watch(self, one: W) -> None:
        """Wait for *one* too, for the events that it names now."""
        events = one.events()
        before = self._events.get(one, 0)
        if before == events:
            # The usual case, several times a message: no system call.
            return
        if before:
            self._selector.modify(one, events, one)
        else:
            self._selector.register(one, events, one)
        self._events[one] = events

    def forget(self, one: W) -> None:
        """Wait for *one* no more; call it before its socket is closed."""
        if self._events.pop(one, 0):
            self._selector.unregister(one)

    def is_outdated(self, one: W) -> bool:
        """Whether *one* waits for other events by now than it is watched for."""
        return self._events.get(one, 0) != one.events()

    def wait(self, timeout: float) -> list[tuple[W | None, int]]:
        """Return what has moved within *timeout* seconds, each with its events."""
        if 0.0 < timeout <= SHORT:
            # Selectors count in milliseconds; the select call does not, and can watch a selector.
            descriptor = getattr(self._selector, "fileno", lambda: _SELECT_LIMIT)()
            if descriptor < _SELECT_LIMIT:
                select.select([descriptor], [], [], timeout)
            timeout = 0.0
        return [(key.data, mask) for key, mask in self._selector.select(timeout)]

    def close(self) -> None:
        """Forget all."""
        self._events.clear()
        with suppress(OSError):
            self._selector.close()
