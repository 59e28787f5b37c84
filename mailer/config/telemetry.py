"""What operators' tools are told: how workers log, where their metrics are read."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from mailer.config.units import Model


class Log(Model):
    """The *format* of workers' lines: Celery's ``text``, ``json``, or ``logfmt`` (key=value)."""

    format: Literal["text", "json", "logfmt"] = "text"


class Metrics(Model):
    """*listen* is ``HOST:PORT``, where a worker serves its own figures; nowhere by default."""

    listen: str | None = None

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, text: str | None) -> str | None:
        if text is not None:
            _split(text)
        return text

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; None where nothing is served."""
        return None if self.listen is None else _split(self.listen)


def _split(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path or parts.username is not None:
        raise ValueError('must be HOST:PORT, such as "127.0.0.1:9469" or "[::]:9469"')
    return host, port
