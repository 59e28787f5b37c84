"""Where an OAuth access token comes from: a command, or an authorisation server.

A `TokenSource` is what `Server.token` wants: called with False for a token that may be a while old,
with True after a server has refused it. However many connections ask at once, the token is fetched
once: whoever comes while it is being fetched, or shortly after, gets that one.
"""

import http.client
import json
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
from typing import Any

from mailer.errors import (
    ConfigError,
    TokenRefusedError,
    TokenUnavailableError,
)
from mailer.smtp.connection.tls import describe

LIFETIME = 300.0
"""How long a token is kept whose source does not say how long it lives."""
LONGEST_LIFETIME = 86_400.0
"""For how long a token is kept at most, whatever its source says."""
LEEWAY = 60.0
"""How long before its end a token is fetched anew; one that lives shortly, at half its life."""
JUST_FETCHED = 10.0
"""Seconds after a fetch in which a refusal is taken to be about the token before."""
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
                self._expires = now + max(lifetime - LEEWAY, lifetime / 2)
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
        try:
            status, body = _exchange(request, ca_file, timeout)
        except (OSError, http.client.HTTPException) as exc:
            raise TokenUnavailableError(f"token endpoint {_host(url)}: {_trouble(exc)}") from exc
        if status is not None:
            raise _refusal(url, status, body)
        return _token_of(body)

    return TokenSource(fetch)


def _exchange(
    request: urllib.request.Request, ca_file: Path | None, timeout: float
) -> tuple[int | None, bytes]:
    """Send *request* and return the answer's body, with its status where that is no success."""
    context = ssl.create_default_context(cafile=ca_file)
    context.hostname_checks_common_name = False  # RFC 9525 section 2
    context.sslsocket_class = _reading_until(time.monotonic() + timeout)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect)
    try:
        with opener.open(request, timeout=timeout) as answer:
            return None, answer.read(1 << 20)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read(1 << 16)


def _trouble(error: Exception) -> str:
    """What is wrong, in words that hold nothing of what the endpoint has said."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    return "no answer in time" if isinstance(error, TimeoutError) else describe(error)


def _reading_until(deadline: float) -> type[ssl.SSLSocket]:
    """A socket for one exchange that must be over by *deadline*, by the clock `time.monotonic`.

    A timeout alone is for each read: a server that sends an octet now and then would hold the one thread
    that fetches the secrets and looks up the names for all connections of the account.
    """

    class Bounded(ssl.SSLSocket):
        def recv_into(self, *given: Any, **more: Any) -> int:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.settimeout(left)
            return super().recv_into(*given, **more)

    return Bounded


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """No redirect is followed: it would send the form, with its secrets, to another place."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None


def _token_of(body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token = answer["access_token"]
    except (ValueError, TypeError, KeyError, RecursionError):
        token = None
    if not isinstance(token, str):
        raise TokenUnavailableError("the token endpoint's answer holds no access_token")
    return token, _lifetime(answer.get("expires_in"))


def _lifetime(said: object) -> float:
    """For how many seconds a token is good; what is no such number is overlooked (RFC 6749, 5.1)."""
    try:
        seconds = float(said)  # type: ignore[arg-type]  # whatever the endpoint has written there
    except (TypeError, ValueError, OverflowError):
        return LIFETIME
    return min(seconds, LONGEST_LIFETIME) if seconds > 0 else LIFETIME


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
    """What an error of the endpoint means: 400, 401 and a 403 are an answer, all else is trouble."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        error = None
    known = error if isinstance(error, str) and error in _ERRORS else ""
    what = "a redirect, which is not followed" if 300 <= code < 400 else known
    text = f"token endpoint {_host(url)}: {code} {what}".strip()
    # A 403 without RFC 6749's error is a page of whoever stands in front: a firewall, say.
    is_answer = code in (400, 401) or (code == 403 and error is not None)
    if is_answer and known not in ("temporarily_unavailable", "slow_down"):
        return TokenRefusedError(text)
    return TokenUnavailableError(text)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or "without a host"
