"""Events of providers, taken in as their webhooks bring them: verified, matched, written down."""

import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from http.client import HTTPException, InvalidURL
from time import time
from typing import Final
from urllib.error import HTTPError

from mailer.config import Settings
from mailer.errors import ConfigError, ProofUnavailableError
from mailer.feedback.returns import Returns, Tally
from mailer.feedback.webhooks.proof import refused
from mailer.feedback.webhooks.providers import READERS
from mailer.feedback.webhooks.request import Hook, events

_PATIENCE: Final = 5.0
_LARGEST: Final = 1 << 16
_END: Final = b"-----END CERTIFICATE-----"


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
            self._hooks[name] = Hook(name, secret, configured.topics, certificate_at)

    def __contains__(self, provider: str) -> bool:
        return provider in self._hooks

    def take(self, provider: str, headers: Mapping[str, str], body: bytes) -> Tally:
        """Write down what a request says; when this returns, it may be acknowledged.

        Repeated, it changes nothing. Raises `InputError` for a request that is not believed,
        `ProofUnavailableError` where that cannot be said just now, and `LedgerUnavailableError` when
        nothing could be written.
        """
        tally = Tally()
        found = events(self._hooks[provider], headers, body, time())
        tally.add([self._returns.note(event.report(), provider) for event in found])
        return tally


@lru_cache(16)
def certificate_at(address: str) -> bytes:
    """The PEM at *address*, whose host `sns.verify` has looked at; no redirect leads elsewhere.

    Raises `InputError` where there is none, `ProofUnavailableError` where it cannot be had just now.
    """
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(address, timeout=_PATIENCE) as answer:
            octets = bytes(answer.read(_LARGEST))
    except HTTPError as exc:
        if 400 <= exc.code < 500:  # it was never there: the address is none of the provider's
            raise refused(f"its certificate cannot be fetched: {exc.code}") from None
        raise _unavailable(exc) from exc
    except (InvalidURL, ValueError):
        raise refused("its certificate's address is none") from None
    except (OSError, HTTPException) as exc:
        raise _unavailable(exc) from exc
    # Cut short, or a proxy's page: kept, it would have every notification refused until a restart.
    if _END not in octets:
        raise ProofUnavailableError("the signing certificate came in part, or is something else")
    return octets


def _unavailable(error: Exception) -> ProofUnavailableError:
    name = type(error).__name__
    return ProofUnavailableError(f"the signing certificate cannot be fetched: {name}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None
