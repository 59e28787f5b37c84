"""A function of the application's own, by the name that the configuration gives it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from mailer.config import Settings
from mailer.errors import ConfigError


def named(path: str, place: str) -> Callable[..., Any]:
    """The function *path* (``package.module:function``); *place* is its key in the configuration.

    Raises `ConfigError` where it cannot be imported. Other exceptions that its module raises while it is
    imported are not caught.
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    if not module:
        raise ConfigError(f"{place}: {path!r} names no function; write package.module:function")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{place}: {path!r} cannot be imported: {exc}") from exc
    if not callable(found):
        raise ConfigError(f"{place}: {path!r} is no function")
    return found  # type: ignore[no-any-return] # a stranger's


@contextmanager
def folder_on_path(settings: Settings) -> Iterator[None]:
    """Have the folder of ``mailer.toml``, or else the current one, first on the import path meanwhile."""
    folder = settings.file.parent if settings.file else Path()
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
