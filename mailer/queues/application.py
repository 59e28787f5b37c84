"""With which settings our Celery applications reach the broker: producers' and workers' alike.

An application of somebody else may run in the same process or beside it, on the same Redis. So what
concerns its broker leaves ours alone, and the other way round: `Application` does not read
``$CELERY_BROKER_URL``, and a task message in a worker's hands lies under keys of our own.
"""

from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

from celery import Celery
from kombu import Queue
from kombu.utils.scheduling import sorted_cycle

from mailer.queues.kombu_guards import OURS, guard_redis_transport
from mailer.store.connection import SOCKET_TIMEOUT, asking_sentinels
from mailer.store.reach.address import Address

PREFIX: Final = "mailer."
DEAD_QUEUE: Final = "mailer.dead"
DELIVER: Final = "mailer.deliver"
QUEUES: Final = ("priority", "bulk")

VISIBILITY_TIMEOUT: Final = 3600
"""Seconds until the broker gives a lost worker's task message back. Nothing waits for it: the ledger
queues the batch again within seconds. Longer than any batch may take."""

PATIENCE: Final = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0, "max_retries": 1}
"""Seconds, and attempts beyond the first, that a producer gives the broker."""

HELD: Final = {
    "unacked_key": PREFIX + "unacked",
    "unacked_index_key": PREFIX + "unacked_index",
    "unacked_mutex_key": PREFIX + "unacked_mutex",
}
"""Where task messages lie that a worker holds. All applications of a Redis share kombu's own names: who
has the shortest visibility timeout would have everybody's long tasks started a second time."""


class PriorityFirst(sorted_cycle):  # type: ignore[misc] # kombu is untyped
    """The order in which a worker looks into its queues: single messages before campaigns."""

    def consume(self, n: int) -> list[str]:
        """The queues to look into, the first one first."""
        return sorted(self.items[:n], key=lambda name: (not name.endswith("priority"), name))


class Application(Celery):  # type: ignore[misc] # Celery is untyped
    """A Celery application of ours; its broker is the configured one, whatever the environment says.

    Celery lets ``$CELERY_BROKER_URL`` (and ``-b``, which sets it) go before an application's own. Where
    it is set, it means the broker of the application beside us.
    """

    events_cls = "mailer.queues.task_events:TaskEvents"

    def __init__(self) -> None:
        # Not the process's current application: a shop that imports this keeps its own shared tasks.
        super().__init__("mailer", set_as_current=False)

    def connection(self, hostname: str | None = None, *given: Any, **options: Any) -> Any:
        """As Celery's; Flower asks for it."""
        return super().connection(hostname or self.configured_broker, *given, **options)

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """As Celery's: to consume."""
        return super().connection_for_read(url or self.configured_broker, **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """As Celery's: to publish."""
        return super().connection_for_write(url or self.configured_broker, **options)

    @property
    def configured_broker(self) -> str:
        """The broker's address as this application is configured."""
        return str(self.conf["broker_url"])


def defaults(broker_url: str) -> dict[str, Any]:
    """Celery's settings as this package wants them; ``celeryconfig.py`` wins over each."""
    return {
        **for_kombu(broker_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_queues": [Queue(PREFIX + name, routing_key=PREFIX + name) for name in QUEUES],
        "task_default_queue": PREFIX + "bulk",
        "task_default_routing_key": PREFIX + "bulk",
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_track_started": True,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": True,
        "imports": ["mailer.tasks"],
    }


@lru_cache(maxsize=8)
def application(broker_url: str) -> Application:
    """The Celery application that producers publish through; made once per broker."""
    app = Application()
    options = defaults(broker_url)
    # A producer waits for a broker that does not answer no longer than a web request may.
    options["broker_transport_options"] |= PATIENCE
    app.config_from_object(options)
    guard_redis_transport()
    app.amqp.send_task_message  # noqa: B018 - made now, while no process forks
    return app


def for_kombu(url: str) -> dict[str, Any]:
    """The settings of Celery's that reach the same Redis as the ledger's client, in the same way."""
    scheme = urlsplit(url).scheme
    if scheme not in ("redis", "rediss", "unix", "redis+socket", "sentinel", "sentinels"):
        return {"broker_url": url, "broker_transport_options": {}}
    address = Address.parse(url)
    options: dict[str, Any] = {
        OURS: True,
        **HELD,
        "visibility_timeout": VISIBILITY_TIMEOUT,
        "queue_order_strategy": "mailer.queues.application:PriorityFirst",
        "health_check_interval": 30,
        "socket_keepalive": True,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "retry_on_timeout": True,  # once, also where the connection broke
    }
    login = ""
    if address.login:
        login = (
            f"{quote(address.username or '', safe='')}:{quote(address.password or '', safe='')}@"
        )
    if address.path:
        where = f"redis+socket://{login}{address.path}?virtual_host={address.database}"
        return {"broker_url": where, "broker_transport_options": options}
    kind = "sentinel" if address.service else "rediss" if address.tls else "redis"
    nodes = [f"{_bracketed(host)}:{port}" for host, port in address.nodes]
    if address.service:
        options |= {"master_name": address.service, "sentinel_kwargs": asking_sentinels(address)}
    found: dict[str, Any] = {
        "broker_url": ";".join(f"{kind}://{login}{node}/{address.database}" for node in nodes),
        "broker_transport_options": options,
    }
    if address.tls:  # without it kombu verifies nothing
        found["broker_use_ssl"] = address.tls_options
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
