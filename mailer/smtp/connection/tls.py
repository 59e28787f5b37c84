"""How a session is encrypted: TLS contexts, one per process and account, and what is wrong with one."""

import ssl
from functools import lru_cache
from pathlib import Path

from mailer.errors import ConfigError
from mailer.smtp.settings import Server


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
    if cert is not None:
        # A protected key would ask at the terminal: a worker has none.
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


def is_verification(error: BaseException) -> bool:
    """Whether *error* says that the server's certificate is not to be trusted."""
    return isinstance(error, ssl.SSLCertVerificationError)


def describe(error: BaseException) -> str:
    """Say in a few words why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").lower().replace("_", " ")
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
