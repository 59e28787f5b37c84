"""The configuration of this process: given, or read once and kept.

A web application or a worker asks for it at each message. The file is not read again until `reload`, so
that a half-written file never meets a request.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailer.config.environment import CONFIG
from mailer.config.loading import DEFAULT_FILE, load
from mailer.config.settings import Settings


@dataclass(slots=True)
class _Kept:
    """The settings of the process; given by the application, or read from the file of *place*.

    *framework* knows those of the web framework's project, if that has any.
    """

    settings: Settings | None = None
    place: tuple[str | None, str] | None = None
    framework: Callable[[], Settings | None] = lambda: None


_kept: Final = _Kept()
_lock = threading.Lock()


def configure(settings: Settings | None) -> None:
    """Use *settings* from now on wherever none are passed; None goes back to the file."""
    with _lock:
        _kept.settings, _kept.place = settings, None


def ask(framework: Callable[[], Settings | None]) -> None:
    """Ask *framework* at each call, before any file is looked for, unless `configure` was called."""
    _kept.framework = framework


@contextmanager
def configured(settings: Settings) -> Iterator[None]:
    """Use *settings* in the block, and then what was used before."""
    before = _kept.settings, _kept.place
    configure(settings)
    try:
        yield
    finally:
        with _lock:
            _kept.settings, _kept.place = before


def given() -> Settings | None:
    """The settings that the application gave, None where a file holds."""
    return _kept.settings if _kept.place is None else None


def current() -> Settings:
    """The settings of this process, read at the first call. Raises `ConfigError`.

    They are read again by itself only where the program went to another folder that has a
    ``mailer.toml`` of its own, or where ``$MAILER_CONFIG`` names another file.
    """
    kept = _kept.settings
    if kept is not None and _kept.place is None:
        return kept
    of_framework = _kept.framework()
    if of_framework is not None:
        return of_framework
    if kept is not None and _kept.place == _place():
        return kept
    with _lock:
        place = _place()
        kept = _kept.settings
        if kept is None or (_kept.place is not None and _is_elsewhere(kept, place)):
            kept = load()
        if _kept.settings is None or _kept.place is not None:
            # Both are written under the lock; a reader between the two reads the file once more.
            _kept.settings, _kept.place = kept, place
        return kept


def forget() -> None:
    """Read the file again at the next call; settings that were given are kept."""
    with _lock:
        if _kept.place is not None:
            _kept.settings = None


def _place() -> tuple[str | None, str]:
    """What decides which file is read."""
    return os.environ.get(CONFIG), str(Path.cwd())


def _is_elsewhere(kept: Settings, place: tuple[str | None, str]) -> bool:
    """Whether another file than that of *kept* is meant: a daemon that went to ``/`` keeps its own."""
    named, folder = place
    if _kept.place is not None and named != _kept.place[0]:
        return True
    return kept.file is None or (not named and Path(folder, DEFAULT_FILE).is_file())


def _renew_lock() -> None:
    """After a fork: a thread of the parent may have held the lock, and does not exist here."""
    global _lock  # noqa: PLW0603 - a new one is the only remedy
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
