"""How a session is encrypted: TLS contexts, one per process and account, and what is wrong with one."""

import socket
import ssl
from functools import lru_cache
from pathlib import Path

from mailer.errors import ConfigError
from mailer.smtp.connection.transport import Address
from mailer.smtp.reply import Stage
from mailer.smtp.settings import Security, Server


def context_for(server: Server) -> ssl.SSLContext:
    """Return the context of *server*: certificates and host names verified, TLS 1.2 at least.

    Making one costs 20 ms (it reads all authorities), so it is kept for the life of the process.
    Raise `ConfigError` if a file of the account cannot be used.
    """
    try:
        return _context(server.ca_file, server.client_cert, server.client_key)
    except (OSError, ssl.SSLError) as exc:
        reason = exc.strerror or str(exc)
        raise ConfigError(
            f"account {server.name!r}: the certificate files cannot be used: {reason};"
            " check ca_file, client_cert and client_key"
        ) from exc


@lru_cache(maxsize=64)
def _context(ca_file: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9525 section 2: only the names in subjectAltName count.
    context.hostname_checks_common_name = False
    if cert is not None:
        # OpenSSL would ask at the terminal for an encrypted key's passphrase, and a worker has none.
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


def is_verification(error: BaseException) -> bool:
    """Whether *error* says that the server's certificate is not to be trusted."""
    return isinstance(error, ssl.SSLCertVerificationError)


_NAME_MISMATCH = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH."""


def describe(error: BaseException) -> str:
    """Say in a few words why a handshake or a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        if error.verify_code in _NAME_MISMATCH:
            reason += "; names count in its subjectAltName only, not in its common name (RFC 9525)"
        return f"its certificate is not trusted: {reason}"
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError)):
        return "the server has hung up"
    if isinstance(error, ssl.SSLError):
        if error.reason in _NO_TLS:
            return "the server does not speak TLS here"
        return (error.reason or "TLS failed").lower().replace("_", " ")
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}
)


TLS_PORTS = frozenset({465, 2465, 5465, 8465})
"""Where TLS begins with the first byte (RFC 8314), by custom or by registration."""


SILENCE = 10.0
"""Seconds without a greeting after which a port for TLS is taken for one."""


def speaks_tls(address: Address, *, within: float) -> bool:
    """Whether the server at *address* begins with TLS; no certificate is verified, nothing is sent."""
    family, kind, protocol, _, place = address
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.socket(family, kind, protocol) as plain:
            plain.settimeout(within)
            plain.connect(place)
            with context.wrap_socket(plain):
                return True
    except (OSError, ValueError):
        return False


def explained(error: BaseException, server: Server, stage: Stage) -> str:
    """`describe`, with the scheme to use where the other side speaks no TLS at *stage*."""
    is_no_tls = isinstance(error, ssl.SSLError) and error.reason in _NO_TLS
    return describe(error) + (other_scheme(server, stage) if is_no_tls else "")


def patience(server: Server, stage: Stage) -> float:
    """How long a reply to *stage* is waited for.

    A server that expects TLS first says nothing: on its usual ports it need not be heard for minutes.
    """
    seconds = server.timeouts.of(stage)
    is_silent = stage is Stage.CONNECT and server.security is not Security.TLS
    return min(seconds, SILENCE) if is_silent and server.port in TLS_PORTS else seconds


def other_scheme(server: Server, stage: Stage) -> str:
    """What the account's url should probably say, where TLS failed at *stage*; empty if unknown."""
    if stage is not Stage.CONNECT:
        return ""
    if server.security is Security.TLS:
        return "; where TLS begins with STARTTLS, write smtp+starttls://"
    if server.port in TLS_PORTS:
        return f"; port {server.port} speaks TLS from the first byte: write smtps://"
    return ""
