"""What Flower and ``celery inspect`` see of a worker.

Left alone they show raw arguments, find nothing by what a server said, and do not know queues that
nobody consumes. Here is what changes that:

1. A running or reserved task is shown by the words that its message bears (`ShownRequest`).
2. A batch that fails as a whole says why in the task's *result*, which Flower searches; exceptions it
   does not (`ShownTask.tell`).
3. ``mailer.dead`` counts as one of the worker's queues, so that the Broker page shows its length,
   although no worker consumes it; adding it as a consumer from Flower is refused.
4. Flower itself counts it among the queues to show, also while no worker has told it its own: one that
   is busy or gone does not hide what waits for a person (`show_dead_queue`).
5. What came back of a campaign is shown as a task that is done, although no task did it (`show_done`).
"""

import sys
from collections.abc import Iterable
from typing import Any, Final

from celery import Celery, Task
from celery.worker.control import active_queues as consumed_queues
from celery.worker.control import add_consumer as consume_also
from celery.worker.control import control_command, inspect_command
from celery.worker.request import Request
from kombu import Queue
from kombu.exceptions import OperationalError

from mailer.queues.application import DEAD_QUEUE, PREFIX

REFUSAL: Final = (
    f"the queue {DEAD_QUEUE} is for people: what is in it failed for a reason that has to be mended "
    "first. `mailer dead list` shows it, `mailer dead replay` sends it again."
)


class ShownRequest(Request):  # type: ignore[misc] # Celery is untyped
    """A task in a worker's hands, shown by its words instead of its raw arguments."""

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Celery's
        """What ``celery inspect active`` and Flower's worker page show."""
        del safe
        shown: dict[str, Any] = super().info(safe=True)
        return shown


class ShownTask(Task):  # type: ignore[misc] # Celery is untyped
    """A task whose life can be followed in Flower."""

    Request = "mailer.queues.flower:ShownRequest"

    def tell(self, event: str, words: str) -> None:
        """Send a monitoring event; *words* is found by a search for ``result:…``.

        The task's final state takes precedence over this event's. Not being heard is no failure.
        """
        try:
            self.send_event(event, retry=False, result=words)
        except (OperationalError, OSError):
            return


def show_done(  # noqa: PLR0913, PLR0917 - what Flower has columns for
    app: Celery, hostname: str, name: str, identifier: str, args: str, kwargs: str, result: str
) -> None:
    """Show something that is done as a task that succeeded on the worker *hostname*; nothing is queued.

    Not being heard is no failure.
    """
    if not app.conf.worker_send_task_events:
        return
    task = {"uuid": identifier, "name": name, "args": args, "kwargs": kwargs}
    try:
        with app.events.default_dispatcher(hostname=hostname) as told:
            told.send("task-received", **task)
            told.send("task-succeeded", uuid=identifier, result=result, runtime=0.0)
    except (OperationalError, OSError):
        return


@inspect_command(name="active_queues")  # type: ignore[untyped-decorator]
def active_queues(state: Any) -> list[dict[str, Any]]:
    """The queues that a worker consumes, and the one of dead letters."""
    shown: list[dict[str, Any]] = consumed_queues(state)
    names = [queue["name"] for queue in shown]
    # A worker of another application, which delivers no mail, shows its own queues alone.
    if DEAD_QUEUE not in names and any(name.startswith(PREFIX) for name in names):
        shown.append(dict(Queue(DEAD_QUEUE, routing_key=DEAD_QUEUE).as_dict(recurse=True)))
    return shown


@control_command(  # type: ignore[untyped-decorator]
    name="add_consumer",
    args=[("queue", str), ("exchange", str), ("exchange_type", str), ("routing_key", str)],
    signature="<queue> [exchange [type [routing_key]]]",
)
def add_consumer(state: Any, queue: str, *args: Any, **options: Any) -> Any:
    """Tell the worker to consume another queue, unless it is the one of dead letters."""
    if queue == DEAD_QUEUE:
        return {"error": REFUSAL}
    return consume_also(state, queue, *args, **options)


def show_dead_queue() -> None:
    """Where this process may become a Flower, have it list the dead letters' queue whoever answers.

    Celery's command line has imported Flower, if it is installed, before it looks for the application.
    Flower has no setting for this, and in Celery's ``task_queues`` a worker would consume the queue.
    """
    views = sys.modules.get("flower.views")
    page = getattr(views, "BaseHandler", None)
    known = getattr(page, "get_active_queue_names", None)
    if page is None or known is None or hasattr(known, "shows_dead_queue"):
        return

    def names(self: Any) -> list[str]:
        return sorted({*known(self), DEAD_QUEUE})

    names.shows_dead_queue = True  # type: ignore[attr-defined]
    page.get_active_queue_names = names


def refuse_dead_queue(queues: Iterable[str]) -> None:
    """Raise `SystemExit` with the reason when a worker was told to consume the dead letters."""
    if DEAD_QUEUE in queues:
        raise SystemExit(f"mailer: {REFUSAL}")
