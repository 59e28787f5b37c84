"""The Celery application of ``celery -A mailer``.

The package's defaults, then ``celeryconfig.py`` from the folder where the worker is started: what it
sets wins. Neither it nor ``mailer.toml`` needs to exist. The file may be that of another application, so
what this worker cannot do without (its task, its queues, JSON) is added to what it sets, and what cannot
be reconciled is refused in words.
"""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from celery.utils.imports import cwd_in_path

from mailer.config import load
from mailer.config.clock import zone_of
from mailer.errors import ConfigError
from mailer.queues.application import HELD, Application, defaults
from mailer.queues.flower import show_dead_queue
from mailer.queues.kombu_guards import Returning, guard_redis_transport
from mailer.worker.host import attach

CONFIG_MODULE = "celeryconfig"


def make() -> Application:
    """Make the application; raises `ConfigError` where ``mailer.toml`` is wrong."""
    settings = load()
    application = Application()
    application.config_from_object(
        reconciled(defaults(settings.broker_url), _from_module(CONFIG_MODULE))
    )
    guard_redis_transport()
    application.amqp.Connection = Returning
    show_dead_queue()
    attach(application, settings)
    return application


def reconciled(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Lay *theirs*, what ``celeryconfig.py`` sets, over *ours*; lists that we need keep what we need.

    Raises `ConfigError` for a broker that is not the one where producers queue, or that is reached in
    another way than they do.
    """
    # None is how a setting of Celery's is left alone.
    theirs = {key: value for key, value in theirs.items() if value is not None}
    broker = theirs.get("broker_url", ours["broker_url"])
    if broker != ours["broker_url"]:
        raise ConfigError(
            f"{CONFIG_MODULE}.py: broker_url is another than mailer.toml's: producers would queue where "
            f"this worker does not look; take it out, or start the worker in a folder of its own"
        )
    _refuse_zone(theirs.get("timezone"))
    _refuse_rate(theirs)
    merged = {**ours, **theirs}
    merged["broker_transport_options"] = _reached(ours, theirs)
    for key in ("imports", "accept_content"):
        wanted = theirs.get(key, ())
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        merged[key] = [*ours[key], *(one for one in wanted if one not in ours[key])]
    merged["task_queues"] = _queues(ours["task_queues"], theirs.get("task_queues") or ())
    return merged


def _refuse_zone(name: Any) -> None:
    """Raise `ConfigError` for a time zone that is none: Celery takes UTC for it, without a word."""
    if not isinstance(name, str):
        return
    try:
        zone_of(name)
    except ValueError as exc:
        raise ConfigError(f"{CONFIG_MODULE}.py: timezone {exc}") from None


def _refuse_rate(theirs: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a rate of all tasks: mail would stand still behind it, without a word."""
    annotations = theirs.get("task_annotations")
    for_all = annotations.get("*") if isinstance(annotations, Mapping) else None
    is_limited = isinstance(for_all, Mapping) and for_all.get("rate_limit")
    if is_limited or theirs.get("task_default_rate_limit"):
        raise ConfigError(
            f"{CONFIG_MODULE}.py: a rate_limit for all tasks holds mailer's back, too: give it to your "
            "own by name; mail has its rates in mailer.toml"
        )


def _reached(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the connection to the broker: theirs over ours, but for what must be as it is."""
    wanted, options = theirs.get("broker_transport_options") or {}, ours["broker_transport_options"]
    if wanted.get("global_keyprefix"):
        raise ConfigError(
            f"{CONFIG_MODULE}.py: broker_transport_options have a global_keyprefix: producers would "
            "queue where this worker does not look; take it out"
        )
    use_ssl = ours.get("broker_use_ssl")
    if use_ssl is not None and theirs.get("broker_use_ssl", use_ssl) != use_ssl:
        raise ConfigError(
            f"{CONFIG_MODULE}.py: broker_use_ssl is another than mailer.toml's address of Redis says, "
            "by which the server is verified; take it out"
        )
    # Who shares kombu's own names has its tasks started again after another's visibility timeout.
    return {**options, **wanted, **{key: options[key] for key in HELD if key in options}}


def _queues(ours: Any, theirs: Any) -> Any:
    """All queues, in the shape of *theirs*; of two that bear one name, theirs counts."""
    if isinstance(theirs, Mapping):
        return {**{queue.name: queue for queue in ours}, **theirs}
    # A list, where they have none: Flower reads it.
    names = {queue.name for queue in theirs}
    return [*(queue for queue in ours if queue.name not in names), *theirs]


def _from_module(name: str) -> dict[str, Any]:
    """What the module sets; nothing where it does not exist. A fault inside it is not hidden."""
    with cwd_in_path():
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name != name:
                raise
            return {}
    return {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    }


try:
    app = make()
except ConfigError as exc:  # `celery -A mailer` would show where we are, instead of what is wrong
    raise SystemExit("\n".join(f"mailer: {line}" for line in str(exc).splitlines())) from None
