"""Which settings hold in a Django project: its ``MAILER``, else ``mailer.toml``."""

from functools import lru_cache
from typing import Any

from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured
from pydantic import ValidationError

from mailer.config import Settings, current


def configured() -> Settings | None:
    """The settings in ``MAILER``, None where the project has none: then ``mailer.toml`` holds.

    ``DEFAULT_FROM_EMAIL`` is the sender where ``MAILER`` names none; templates are looked at again when
    they changed only with ``DEBUG``. Raises `ImproperlyConfigured`.
    """
    given: dict[str, Any] | None = getattr(project, "MAILER", None)
    if given is None:
        return None
    key = repr(sorted(given.items())), str(project.DEFAULT_FROM_EMAIL), bool(project.DEBUG)
    return _made(key)


def settings() -> Settings:
    """The settings that hold, wherever they come from."""
    return configured() or current()


@lru_cache(maxsize=8)
def _made(_key: object) -> Settings:
    values: dict[str, Any] = {
        "sender": project.DEFAULT_FROM_EMAIL,
        "send": {"reload_templates": bool(project.DEBUG)},
        **project.MAILER,
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise ImproperlyConfigured(f"MAILER: {faults}") from error
