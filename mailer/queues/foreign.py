"""How a task of the application's own is sent, through its broker, to the workers that it has.

The Celery application here only sends. It never is the process's current one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mailer.queues.application import PATIENCE, Application, for_kombu
from mailer.queues.broker import OwnConnections


class ForeignTask:
    """The task called *name*, sent through *broker* to *queue*."""

    def __init__(self, name: str, broker: str, queue: str) -> None:
        self._name = name
        self._queue = queue
        options = for_kombu(broker)
        # RabbitMQ says when it has a message; not asked, it loses what a broken connection carried.
        options["broker_transport_options"] |= PATIENCE | {"confirm_publish": True}
        self._app = Application()
        self._app.config_from_object(options | {"task_serializer": "json"})
        self._own = OwnConnections(self._app)

    def send(self, events: Sequence[Mapping[str, Any]], identifier: str) -> None:
        """Send the task with *events* as its argument; *identifier* is the task's id.

        Raises `LedgerUnavailableError` where the broker does not take it.
        """
        with self._own.producer() as producer:
            self._app.send_task(
                self._name,
                args=(list(events),),
                task_id=identifier,
                queue=self._queue,
                argsrepr=f"({len(events)} events)",
                producer=producer,
                ignore_result=True,
            )
