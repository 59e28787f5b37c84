"""How the configured history is opened by those who ask it.

SQL is loaded here only when it is asked for: it takes 0.3 s, and need not be installed.
"""

from typing import TYPE_CHECKING

from mailer.config import Settings
from mailer.errors import ConfigError

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
        raise ConfigError(
            f"history.url wants {exc.name}: pip install 'celery-mailer[history]'"
        ) from None
    return open_history(settings.history.url)
