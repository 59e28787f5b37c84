"""How the configured history is opened by those who ask it.

SQL is loaded here only when it is asked for: it takes 0.3 s, and need not be installed.
"""

from typing import TYPE_CHECKING

from mailer.config import Settings
from mailer.errors import ConfigError, InputError
from mailer.queues.connections import Producer
from mailer.store.events.stream import EventStream

if TYPE_CHECKING:
    from mailer.history import History


def opened(settings: Settings) -> "History":
    """The history that *settings* name. Raises `ConfigError` where they name none."""
    if settings.history.url is None:
        place = settings.file.name if settings.file else "mailer.toml"
        raise ConfigError(f"{place} names no history: add [history] with a url (docs/history.md)")
    try:
        from mailer.history import open_history  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise ConfigError(f"history.url wants {exc.name}: pip install 'mailer[history]'") from None
    return open_history(settings.history.url)


def drop(settings: Settings) -> int:
    """Let workers write no more events for the history; returns of how many recipients are lost to it.

    Raises `InputError` while this configuration names a history: a worker would begin anew.
    """
    if settings.history.url is not None:
        place = settings.file.name if settings.file else "mailer.toml"
        raise InputError(
            f"{place} names a history: take it out, here and on all workers, and restart them"
        )
    return EventStream(Producer(settings).client).drop("history")
