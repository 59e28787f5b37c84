"""Which of Celery's workers deliver mail: our own, and an application's that consumes our queues.

An application has our tasks by ``include=["mailer.tasks"]``. Its workers deliver if they consume
``mailer.priority`` or ``mailer.bulk``. Other workers are left as they are, whatever their pool and
settings.
"""

import logging
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from celery import Celery, signals

from mailer.config import Settings, current
from mailer.config.neighbours import intrusion
from mailer.errors import ConfigError
from mailer.queues.application import PREFIX, QUEUES, Application
from mailer.worker.process import Worker

log = logging.getLogger(__name__)

_CONSUMED: Final = tuple(PREFIX + name for name in QUEUES)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

_workers: Final[WeakKeyDictionary[Celery, Worker]] = WeakKeyDictionary()
_running: Worker | None = None


def attach(app: Application, settings: Settings) -> None:
    """Have the workers of *app*, our own application, deliver by *settings*."""
    _workers[app] = Worker(app, settings)
    follow()


def worker_of(app: Celery) -> Worker:
    """The worker of *app* in this process. Raises `ConfigError` where the configuration is wrong."""
    if app not in _workers:
        _workers[app] = Worker(app, current())
    return _workers[app]


def follow() -> None:
    """Connect to Celery's signals about this process's worker; calling it again changes nothing."""
    for event, receiver in (
        (signals.worker_init, _begin),
        (signals.after_setup_logger, _log_begins),
        (signals.after_setup_task_logger, _log_begins),
        (signals.worker_ready, _ready),
        (signals.worker_shutting_down, _stopping),
        (signals.worker_shutdown, _ended),
        (signals.worker_process_init, _process_begins),
        (signals.worker_process_shutdown, _process_ends),
    ):
        event.connect(receiver, weak=False, dispatch_uid=f"mailer{receiver.__name__}")


def _begin(sender: Any, **_: Any) -> None:
    """Before the pool starts: prepare the worker if it delivers; raise `SystemExit` if it cannot."""
    global _running  # noqa: PLW0603 - a process has one worker, and some signals do not say which
    _running = None
    app = sender.app
    if not isinstance(app, Application):
        if not _delivers(app):
            return
        try:
            _refuse(app, worker_of(app).settings)
        except ConfigError as exc:
            raise SystemExit(f"mailer: {exc}") from None
    _running = worker_of(app)
    _running.prepare(sender)
    if not _delivers(app):
        queues = " nor ".join(_CONSUMED)
        raise SystemExit(
            f"mailer: this worker would deliver nothing: it consumes neither {queues} (-Q)"
        )


def _log_begins(logger: logging.Logger, **_: Any) -> None:
    if _running:
        _running.log_begins(logger)


def _ready(sender: Any, **_: Any) -> None:
    # Not earlier: what is logged before Celery has set its log up is lost.
    if _running:
        if said := intrusion():
            log.warning("%s", said)
        _running.start()
        _say_which_broker(sender.app)
    elif set(sender.app.amqp.queues) == set(sender.app.amqp.queues.consume_from):
        # It consumes all queues that the application has, so nobody meant this worker for other work.
        log.warning(
            "mailer.tasks is included, but this worker delivers no mail: it consumes neither %s nor %s "
            "(-Q, or task_queues)",
            *_CONSUMED,
        )


def _stopping(**_: Any) -> None:
    if _running:
        _running.stop()


def _ended(**_: Any) -> None:
    if _running:
        _running.end()


def _process_begins(**_: Any) -> None:
    if _running:
        _running.begin_process()


def _process_ends(**_: Any) -> None:
    if _running:
        _running.end_process()


def _delivers(app: Celery) -> bool:
    """Whether a worker of *app* consumes our queues."""
    return any(name in app.amqp.queues.consume_from for name in _CONSUMED)


def _refuse(app: Celery, settings: Settings) -> None:
    """Raise `ConfigError` if the workers of *app* would not get, or not read, what producers queue."""
    theirs, ours = app.conf.broker_read_url or "", settings.broker_url
    if _place(theirs) != _place(ours):
        raise ConfigError(
            f"this application's broker ({_shown(theirs)}) is another than mailer's ({_shown(ours)}): "
            'producers would queue where this worker does not look; set broker = "…" in mailer.toml'
        )
    if (app.conf.broker_transport_options or {}).get("global_keyprefix"):
        raise ConfigError(
            "this application's broker_transport_options have a global_keyprefix: producers would queue "
            "where this worker does not look; start celery -A mailer worker beside it"
        )
    if not {"json", "application/json"} & set(app.conf.accept_content):
        raise ConfigError(
            "this application's accept_content lacks 'json', which mailer's task messages are written in"
        )


def _say_which_broker(app: Celery) -> None:
    """Warn of a broker on the command line or in the environment that our application does not use."""
    if isinstance(app, Application):
        asked, ours = app.conf.broker_url or "", app.configured_broker
        if _place(asked) != _place(ours):
            log.warning(
                "$CELERY_BROKER_URL, or -b, names %s, which is left to others: mailer.toml says %s",
                _shown(asked),
                _shown(ours),
            )


def _place(url: str) -> tuple[str, str, str]:
    """Scheme, place and database that *url* means: equal for two URLs of the same broker."""
    parts = urlsplit(url)
    scheme, path = parts.scheme, parts.path.strip("/")
    if scheme in ("unix", "redis+socket"):
        return "unix", "", path
    if scheme not in ("redis", "rediss"):
        return scheme, parts.netloc.rpartition("@")[2], path
    host = "localhost" if parts.hostname in (None, *_LOOPBACK) else str(parts.hostname)
    return scheme, f"{host}:{parts.port or 6379}", path or "0"


def _shown(url: str) -> str:
    """*url* without its login."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if url else "none"
