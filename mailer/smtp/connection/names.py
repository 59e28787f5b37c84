"""What a host is called: to the resolver, and in its certificate.

Python encodes names that are not ASCII by a standard of 2003, which makes other hosts of some
(``straße.example``, ``strasse.example``). Servers are registered by that of 2008 (RFC 5891).
"""

import errno
import socket

import idna

from mailer.errors import ConfigError
from mailer.smtp.connection.transport import Address

_NONE = "it is no name of a host"


def addresses_of(host: str, port: int, flags: int = 0) -> list[Address]:
    """Look *host* up, which may block; *flags* are `socket.getaddrinfo`'s. Raise OSError."""
    try:
        return list(socket.getaddrinfo(_ascii(host), port, type=socket.SOCK_STREAM, flags=flags))
    except ValueError as exc:
        raise OSError(errno.EINVAL, _NONE) from exc


def certified(host: str) -> str:
    """The name by which a certificate names *host*: a final dot is the resolver's alone (RFC 6066).

    Raise `ConfigError` where it can be none.
    """
    try:
        name = _ascii(host).removesuffix(".")
    except ValueError:
        name = ""
    labels = name.split(".")
    if not name.isprintable() or not all(0 < len(label) < 64 for label in labels):
        raise ConfigError(f"{host!r}: {_NONE}; check url and tls_name")
    return name


def _ascii(host: str) -> str:
    """Raise ValueError (`idna.IDNAError` is one) for what cannot be a name."""
    return host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
