"""Where an OAuth access token comes from: a command, or an authorisation server.

A `TokenSource` is what `Server.token` wants: called with False for a token that may be a while old,
with True after a server has refused it. However many connections ask at once, the token is fetched
once: whoever comes while it is being fetched, or shortly after, gets that one.
"""

import json
import math
import shlex
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mailer.errors import (
    ConfigError,
    TokenRefusedError,
    TokenUnavailableError,
)

LIFETIME = 300.0
"""How long a token is kept whose source does not say how long it lives."""
LEEWAY = 60.0
"""How long before its end a token is fetched anew."""
JUST_FETCHED = 10.0
"""Within this time a refusal is believed to be about the token before."""
TIMEOUT = 30.0

Fetch = Callable[[], tuple[str, float]]
"""Fetches a token; gives it and its lifetime in seconds. Raises `TokenRefusedError` where somebody said
no, `TokenUnavailableError` where nobody answered."""


class TokenSource:
    """A token, fetched when needed and kept while it lives; safe for threads."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._fetched = float("-inf")
        self._expires = float("-inf")

    def __repr__(self) -> str:
        state = "fresh" if self._clock() < self._expires else "none"
        return f"<TokenSource {state}>"

    def __call__(self, refused: bool) -> str:  # noqa: FBT001  # what Server.token is called with
        """Return a token; *refused* says that a server did not like the last one."""
        with self._lock:
            now = self._clock()
            is_stale = refused and now - self._fetched >= JUST_FETCHED
            if is_stale or now >= self._expires:
                token, lifetime = self._fetch()
                if not token or not token.isprintable():
                    raise TokenRefusedError(
                        "the source of the OAuth token gave none that can be used"
                    )
                self._token, self._fetched = token, now
                self._expires = now + max(0.0, lifetime - LEEWAY)
            return self._token


def from_command(command: str | Sequence[str], timeout: float = TIMEOUT) -> TokenSource:
    """Take the token from what *command* prints."""
    words = shlex.split(command) if isinstance(command, str) else list(command)

    def fetch() -> tuple[str, float]:
        try:
            done = subprocess.run(  # noqa: S603  # the account's owner names the command
                words, capture_output=True, timeout=timeout, check=False, text=True
            )
        except FileNotFoundError as exc:
            raise ConfigError("token command: no such program") from exc
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise TokenUnavailableError(f"token command: {type(exc).__name__}") from exc
        if done.returncode != 0:
            raise TokenUnavailableError(f"token command ended with {done.returncode}")
        return done.stdout.strip(), LIFETIME

    return TokenSource(fetch)


def from_endpoint(
    url: str,
    fields: Callable[[], Mapping[str, str]],
    *,
    ca_file: Path | None = None,
    timeout: float = TIMEOUT,
) -> TokenSource:
    """Exchange a refresh token for access tokens at the token endpoint *url* (RFC 6749 section 6).

    *fields* gives the form at each call: `grant_type`, `refresh_token`, `client_id`, and what else the
    server wants. Only https is spoken.
    """
    if urllib.parse.urlsplit(url).scheme != "https":
        raise ConfigError("token endpoint: must be an https address")

    def fetch() -> tuple[str, float]:
        form = urllib.parse.urlencode(dict(fields())).encode("ascii")
        request = urllib.request.Request(url, form, {"Accept": "application/json"})  # noqa: S310
        context = ssl.create_default_context(cafile=ca_file)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), _NoRedirect
        )
        try:
            with opener.open(request, timeout=timeout) as answer:
                return _token_of(answer.read(1 << 20))
        except urllib.error.HTTPError as exc:
            with exc:
                raise _refusal(url, exc.code, exc.read(1 << 16)) from exc
        except (OSError, TimeoutError) as exc:
            raise TokenUnavailableError(
                f"token endpoint {_host(url)}: {type(exc).__name__}"
            ) from exc

    return TokenSource(fetch)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the form, and the secrets in it, who knows where: none is followed."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None


def _token_of(body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token, lifetime = answer["access_token"], float(answer.get("expires_in", LIFETIME))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        token, lifetime = None, LIFETIME
    if not isinstance(token, str):
        raise TokenUnavailableError("the token endpoint's answer holds no access_token")
    return token, lifetime if math.isfinite(lifetime) else LIFETIME


_ERRORS = frozenset(
    [
        "access_denied",
        "consent_required",
        "insufficient_scope",
        "interaction_required",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_token",
        "login_required",
        "server_error",
        "slow_down",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
    ]
)
"""The errors of RFC 6749 section 5.2 and its kin. Any other text may hold the token that was sent."""


def _refusal(url: str, code: int, body: bytes) -> Exception:
    """What an error of the endpoint means: 400 and 401 are an answer, all else is trouble."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        error = ""
    known = error if isinstance(error, str) and error in _ERRORS else ""
    what = "a redirect, which is not followed" if 300 <= code < 400 else known
    text = f"token endpoint {_host(url)}: {code} {what}".strip()
    if code in (400, 401, 403) and known not in ("temporarily_unavailable", "slow_down"):
        return TokenRefusedError(text)
    return TokenUnavailableError(text)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or "without a host"
