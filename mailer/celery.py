"""The Celery application of ``celery -A mailer``.

The package's defaults, then ``celeryconfig.py`` from the folder where the worker is started: what it
sets wins. Neither it nor ``mailer.toml`` needs to exist.
"""

import importlib
from types import ModuleType
from typing import Any

from celery import Celery
from celery.utils.imports import cwd_in_path

from mailer.config import load
from mailer.errors import ConfigError
from mailer.queues.broker import defaults
from mailer.queues.flower import show_dead_queue
from mailer.queues.kombu_guards import guard_redis_transport
from mailer.worker.process import attach

CONFIG_MODULE = "celeryconfig"


def make() -> Celery:
    """Make the application; raises `ConfigError` where ``mailer.toml`` is wrong."""
    settings = load()
    merged = defaults(settings.broker_url)
    merged.update(_from_module(CONFIG_MODULE))
    application = Celery("mailer")
    application.config_from_object(merged)
    guard_redis_transport()
    show_dead_queue()
    attach(application, settings)
    return application


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
