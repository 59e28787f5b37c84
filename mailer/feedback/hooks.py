"""Events of providers, taken in as their webhooks bring them: verified, matched, written down."""

import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import ConfigError, InputError
from mailer.feedback.returns import Returns, Tally
from mailer.feedback.webhooks.providers import READERS
from mailer.feedback.webhooks.request import Hook, events

_PATIENCE: Final = 5.0
_LARGEST: Final = 1 << 16


class Hooks:
    """The webhooks of *settings*; what they say is written down by *returns*."""

    def __init__(self, settings: Settings, returns: Returns) -> None:
        self._returns = returns
        self._hooks = {}
        for name, configured in settings.webhooks.items():
            if name not in READERS:
                raise ConfigError(
                    f"webhooks.{name}: no such provider; known are {', '.join(sorted(READERS))}"
                )
            if not configured.key and not configured.topics:
                raise ConfigError(f"webhooks.{name}: wants a secret, or topics for amazon_ses")
            secret = configured.key.read() if configured.key else ""
            self._hooks[name] = Hook(name, secret, configured.topics, _certificate)

    def __contains__(self, provider: str) -> bool:
        return provider in self._hooks

    def take(self, provider: str, headers: Mapping[str, str], body: bytes) -> Tally:
        """Write down what a request says; when this returns, it may be acknowledged.

        Repeated, it changes nothing. Raises `InputError` for a request that is not believed, and
        `LedgerUnavailableError` when nothing could be written.
        """
        tally = Tally()
        found = events(self._hooks[provider], headers, body, time())
        tally.add([self._returns.note(event.report(), provider) for event in found])
        return tally


@lru_cache(16)
def _certificate(address: str) -> bytes:
    """The PEM at *address*, whose host `sns.verify` has looked at; no redirect leads elsewhere."""
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(address, timeout=_PATIENCE) as answer:
            return bytes(answer.read(_LARGEST))
    except OSError as exc:
        raise InputError(
            f"the signing certificate cannot be fetched: {type(exc).__name__}"
        ) from exc


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None
