"""How a worker's events of tasks travel: several in one message, which costs it less than one each.

A task has three events at least. Celery sends each when its event loop comes by: a third of what a task
costs a worker's main process. Here they wait for each other for a moment. What waits is sent when the
loop ends, too: before the connection is made anew, and before the worker ends.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from celery.app.events import Events
from celery.events import EventDispatcher
from kombu.asynchronous import get_event_loop

TOGETHER: Final = 0.05
"""Seconds for which an event waits for others; nobody who looks at Flower sees it."""


class Dispatcher(EventDispatcher):  # type: ignore[misc] # Celery is untyped
    """Celery's dispatcher; *on_send_buffered*, which has what is buffered sent, is called less often."""

    def __init__(
        self, *given: Any, on_send_buffered: Callable[[], None] | None = None, **options: Any
    ) -> None:
        self._send_buffered = on_send_buffered
        self._due = 0.0
        later = on_send_buffered and self._later
        super().__init__(*given, on_send_buffered=later, **options)

    def enable(self) -> None:
        """Begin to send; see Celery."""
        super().enable()
        if self._send_buffered and (hub := get_event_loop()):
            hub.on_close.add(self._now)

    def close(self) -> None:
        """End sending; see Celery."""
        super().close()
        if hub := get_event_loop():
            hub.on_close.discard(self._now)

    def _later(self) -> None:
        """Have what is buffered sent in a moment, unless that is under way."""
        hub, now = get_event_loop(), monotonic()
        if hub is None:
            self._now()
        # By the clock, not by a flag: Celery empties the loop's timer when a connection is lost.
        elif now >= self._due:
            self._due = now + TOGETHER
            hub.call_later(TOGETHER, self._now)

    def _now(self, _hub: Any = None) -> None:
        if self._send_buffered:
            self._send_buffered()


class TaskEvents(Events):  # type: ignore[misc] # Celery is untyped
    """Celery's ``app.events`` with that dispatcher."""

    dispatcher_cls = "mailer.queues.task_events:Dispatcher"
