"""A mailbox on a server where what comes back lies: how its address is written, and what is fetched."""

import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from mailer.errors import ConfigError, MailerError

TIMEOUT: Final = 30.0
"""Seconds that a server has for each answer."""

_PORTS: Final = {"imaps": 993, "imap": 143, "pop3s": 995, "pop3": 110}
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class IntakeError(MailerError):
    """A mailbox with what came back cannot be read now."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One message and its *mark*: what stands behind it (IMAP), or its unique id (POP3)."""

    octets: bytes
    mark: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where it lies: *url* is ``imaps://user@host[:port][/Folder]`` or ``pop3s://user@host[:port]``.

    Without TLS, ``imap://`` and ``pop3://``, only on this host. *key* is its name in the configuration.
    Raises `ConfigError`.
    """

    url: str
    key: str = "imap"

    def __post_init__(self) -> None:
        """Refuse what is none, or is not safe."""
        found = self._parts
        if found.scheme not in (self.key, f"{self.key}s") or not found.hostname:
            raise self._error(f"write {self.key}s://user@host")
        if not found.username:
            raise self._error(f"names no user; write {self.key}s://user@host")
        if not self.user.isprintable():
            raise self._error("the user's name holds what none may")
        if found.password is not None:
            raise self._error("holds a password; move it to feedback.password_file")
        if not self.secure and found.hostname not in _LOCAL:
            raise self._error(f"{self.key}:// is without TLS; write {self.key}s://")
        if '"' in self.folder or "\\" in self.folder or not self.folder.isprintable():
            raise self._error("the folder's name holds what none may")
        if found.path.strip("/") and self.key != "imap":
            raise self._error("has no folders; end it after the host")

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken from the start."""
        return self._parts.scheme.endswith("s")

    @property
    def tls(self) -> ssl.SSLContext:
        """How its server has to prove who it is: by its names in subjectAltName (RFC 9525 section 2)."""
        context = ssl.create_default_context()
        context.hostname_checks_common_name = False
        return context

    @property
    def host(self) -> str:
        """Its server."""
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """Its server's port."""
        try:
            return self._parts.port or _PORTS[self._parts.scheme]
        except ValueError:
            raise self._error("its port is no number up to 65535") from None

    @property
    def user(self) -> str:
        """Who logs in."""
        return unquote(self._parts.username or "")

    @property
    def folder(self) -> str:
        """The folder, where there are such."""
        return unquote(self._parts.path[1:]) or "INBOX"

    def trouble(self, error: Exception) -> IntakeError:
        """What went wrong there; what a server says to a login may repeat it, and is not told."""
        why = error.strerror if isinstance(error, OSError) else None
        return IntakeError(f"{self.key} {self.host}:{self.port}: {why or 'the server refused'}")

    @property
    def _parts(self) -> SplitResult:
        try:
            return urlsplit(self.url)
        except ValueError:
            raise self._error("has a host in brackets that is no address") from None

    def _error(self, what: str) -> ConfigError:
        return ConfigError(f"feedback.{self.key}: {what}")
