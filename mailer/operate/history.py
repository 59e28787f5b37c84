"""How the configured history is opened by those who ask it."""

from mailer.config import Settings
from mailer.errors import ConfigError
from mailer.history import History, open_history


def opened(settings: Settings) -> History:
    """The history that *settings* name. Raises `ConfigError` where they name none."""
    found = configured(settings)
    if found is None:
        place = settings.file.name if settings.file else "mailer.toml"
        raise ConfigError(f"{place} names no history: add [history] with a url (docs/history.md)")
    return found


def configured(settings: Settings) -> History | None:
    """The history that *settings* name, or None."""
    return open_history(settings.history.url) if settings.history.url else None
