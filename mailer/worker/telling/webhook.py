"""How events are posted to a webhook: signed by the Standard Webhooks specification, over verified TLS.

A redirect is not followed: who can make one would get the addresses. The text of the answer is not used.
"""

import base64
import binascii
import hashlib
import hmac
import json
import ssl
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from time import time
from typing import Any, Final
from urllib.parse import urlsplit

from mailer.config.secrets import Secret
from mailer.errors import ConfigError, EventsNotTakenError

_LARGEST: Final = 1 << 16
"""Octets. An answer of at most so many is read, to keep the connection for the next delivery."""

_LONGEST_WAIT: Final = 3600.0
_MARK: Final = "whsec_"


def signature(key: str, identifier: str, at: int, body: bytes) -> str:
    """The signature of *body* at the time *at*, in seconds since the epoch.

    Raises `ConfigError` for a key that is not base64 after ``whsec_``.
    """
    octets = key.encode()
    if key.startswith(_MARK):
        try:
            octets = base64.b64decode(key.removeprefix(_MARK), validate=True)
        except binascii.Error:
            raise ConfigError("events.secret: what follows whsec_ is no base64") from None
    signed = hmac.new(octets, f"{identifier}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


class Webhook:
    """Posts to *url*, each time within *limit* seconds.

    *secret* says where the keys are: a variable, a file, a command. Raises `ConfigError` for a *ca_file*
    that cannot be used.
    """

    def __init__(self, url: str, secret: Sequence[Any], ca_file: str | None, limit: float) -> None:
        self._parts = urlsplit(url)
        variable, file, command = secret
        self._secret = Secret(
            "events.secret", variable, Path(file) if file else None, tuple(command or ()) or None
        )
        self._keys: list[str] = []
        self._limit = limit
        self._tls = None
        if self._parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except OSError as exc:
                raise ConfigError(f"events.ca_file: {ca_file} cannot be used: {exc}") from exc
            self._tls.hostname_checks_common_name = False  # RFC 9525 section 2
        self._connection: HTTPConnection | None = None

    def post(self, body: bytes) -> None:
        """Post a delivery. Raises `EventsNotTakenError` unless the answer's status is 2xx."""
        try:
            status, headers = self._posted(body, self._headers(body))
        except (HTTPException, OSError) as exc:
            self.close()
            raise EventsNotTakenError(_said(exc)) from exc
        if status // 100 == HTTPStatus.OK // 100:
            return
        self._keys = []  # read again next time: the key may have been changed
        if status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100:
            raise EventsNotTakenError(f"it answered {_named(status)}: redirects are not followed")
        raise EventsNotTakenError(f"it answered {_named(status)}", _wait(headers))

    def _headers(self, body: bytes) -> dict[str, str]:
        if not self._keys:
            self._keys = [line for line in self._secret.read().splitlines() if line]
        identifier, at = json.loads(body)["id"], int(time())
        return {
            "Content-Type": "application/json",
            "User-Agent": "mailer",
            "Webhook-Id": identifier,
            "Webhook-Timestamp": str(at),
            "Webhook-Signature": " ".join(
                signature(key, identifier, at, body) for key in self._keys
            ),
        }

    def _posted(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        if self._connection is not None:
            try:
                return self._exchange(self._connection, body, headers)
            except (HTTPException, OSError):
                self.close()  # the server may have closed the kept connection: try once more on a new one
        self._connection = self._opened()
        return self._exchange(self._connection, body, headers)

    def _exchange(
        self, connection: HTTPConnection, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str]]:
        path = self._parts.path or "/"
        query = f"?{self._parts.query}" if self._parts.query else ""
        connection.request("POST", path + query, body, dict(headers))
        answer = connection.getresponse()
        # The answer's body must be read before the connection can be used again. A long one is not worth
        # it.
        if answer.length is not None and answer.length <= _LARGEST:
            answer.read()
        if not answer.isclosed():
            self.close()
        return answer.status, dict(answer.headers)

    def _opened(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is None:
            return HTTPConnection(host, port, timeout=self._limit)
        return HTTPSConnection(host, port, timeout=self._limit, context=self._tls)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _named(status: int) -> str:
    """The status with its name in HTTP; not with the server's own words, which may be anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _said(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {exc.verify_message}"
    if isinstance(exc, RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(exc, HTTPException):
        return f"its answer is no HTTP that can be read ({type(exc).__name__})"
    if isinstance(exc, OSError) and exc.strerror:
        return f"it cannot be reached: {exc.strerror}"
    return f"it cannot be reached: {type(exc).__name__}"


def _wait(headers: Mapping[str, str]) -> float:
    """The seconds that the server asks to wait (Retry-After, RFC 9110 section 10.2.3); 0 for none."""
    asked = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    try:
        seconds = (
            float(asked) if asked.isdigit() else parsedate_to_datetime(asked).timestamp() - time()
        )
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)
