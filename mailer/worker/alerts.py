"""Who is told when an account stops or starts, or dead letters pile up.

Three ways, all optional: a Python function named in ``mailer.toml`` (``alerts.hook``), functions that
installed packages announce in the entry point group ``mailer.alerts``, and a command
(``alerts.command``) that gets the event as JSON on its standard input. A function gets the `Event`.

Each event is told once over all workers, whether or not a way failed: what fails is logged. A worker
that is killed while it tells leaves the event to another, two minutes later.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import ConfigError, LedgerUnavailableError
from mailer.store.alerts import Event, Outbox
from mailer.store.client import Client

log = logging.getLogger(__name__)

GROUP: Final = "mailer.alerts"

TIMEOUT: Final = 30.0
"""Seconds that the command may take."""

Hook = Callable[[Event], object]


class Alerts:
    """Tells of events as the settings say. Raises `ConfigError` for a hook that does not exist."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings.alerts
        self._outbox = Outbox(client)
        self._hooks = hooks(settings)
        self._teller: threading.Thread | None = None

    def sweep(self, now: float) -> None:
        """Watch the dead letters, and tell of what is new in a thread of its own."""
        if self._settings.dead_letters is not None:
            self._outbox.watch_dead_letters(self._settings.dead_letters, now)
        if len(self._outbox) and not (self._teller and self._teller.is_alive()):
            self._teller = threading.Thread(target=self._tell_all, name="mailer-alert", daemon=True)
            self._teller.start()

    def tell(self, now: float) -> int:
        """Tell of all that is new, here and now; returns of how many events."""
        told = 0
        while taken := self._outbox.take(now):
            token, event = taken
            log.warning("%s", event)
            for hook in self._hooks:
                try:
                    hook(event)
                except Exception:  # a stranger's code
                    log.exception("the alert hook %s failed", getattr(hook, "__name__", hook))
            if self._settings.command:
                _run(self._settings.command, event)
            self._outbox.strike_out(token)
            told += 1
        return told

    def _tell_all(self) -> None:
        try:
            self.tell(time())
        except LedgerUnavailableError as exc:
            log.warning("alerts wait: %s", exc)


def hooks(settings: Settings) -> list[Hook]:
    """The functions that are told. Raises `ConfigError` that says which cannot be had, and why."""
    found: list[Hook] = [point.load() for point in entry_points(group=GROUP)]
    if settings.alerts.hook:
        found.append(_named(settings.alerts.hook, settings))
    return found


def _named(path: str, settings: Settings) -> Hook:
    place = f"{settings.file.name if settings.file else 'configuration'}: alerts.hook"
    module, _, name = path.replace(":", ".").rpartition(".")
    if not module:
        raise ConfigError(f"{place}: {path!r} names no function; write package.module:function")
    try:
        with _folder_on_path(settings):
            hook = getattr(import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{place}: {path!r} cannot be imported: {exc}") from exc
    if not callable(hook):
        raise ConfigError(f"{place}: {path!r} is no function")
    return hook  # type: ignore[no-any-return] # a stranger's


@contextmanager
def _folder_on_path(settings: Settings) -> Iterator[None]:
    """A hook's module may lie beside ``mailer.toml``, or where the worker is started."""
    folder = settings.file.parent if settings.file else Path()
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))


def _run(command: tuple[str, ...], event: Event) -> None:
    try:
        subprocess.run(  # noqa: S603 - the administrator's own words, and no shell
            command,
            input=event.as_json(),
            text=True,
            check=True,
            timeout=TIMEOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except subprocess.CalledProcessError as exc:
        why = (exc.stderr or "").strip().rpartition("\n")[2]
        log.warning("the alert command %s: exit status %d: %s", command[0], exc.returncode, why)
    except (OSError, subprocess.TimeoutExpired) as exc:
        log.warning("the alert command %s failed: %s", command[0], exc)
