"""What operators' tools are told: how workers log, where their metrics are read, where traces go."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from mailer.config.units import Model, Share


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


class Traces(Model):
    """*endpoint* is an OpenTelemetry collector (OTLP over HTTP), *share* how many batches are traced."""

    endpoint: str | None = None
    share: Share = 1.0

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and (
            not url.startswith(("http://", "https://")) or not urlsplit(url).hostname
        ):
            raise ValueError("must be the collector's address, such as http://localhost:4318")
        return url


def _split(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path or parts.username is not None:
        raise ValueError('must be HOST:PORT, such as "127.0.0.1:9469" or "[::]:9469"')
    return host, port
