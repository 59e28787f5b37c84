"""A TLS session that the next connection takes up again (RFC 8446 section 2.2, RFC 5077).

It saves the certificate's way to an authority and the key exchange's signature, on both sides; with TLS
1.2 a round trip too. Each driver keeps its own: one account, one host, one thread. The certificate was
verified for that host in the full handshake, and it is verified again within the hour.
"""

import ssl

TRUSTED_FOR = 3600.0
"""Seconds after which hands are shaken in full again: a certificate may have been withdrawn meanwhile."""


class Resumption:
    """The last session with one server, offered to its next connections. Not thread-safe."""

    def __init__(self) -> None:
        self._session: ssl.SSLSession | None = None
        self._context: ssl.SSLContext | None = None
        self._verified_at = 0.0

    def offered(self, context: ssl.SSLContext, now: float) -> ssl.SSLSession | None:
        """The session that a connection with *context* may take up; None for a full handshake."""
        is_fresh = now - self._verified_at < TRUSTED_FOR
        return self._session if is_fresh and context is self._context else None

    def keep(self, connection: ssl.SSLSocket, now: float) -> None:
        """Remember the session of *connection*, after the server has said something in it.

        With TLS 1.3 what is needed for it comes after the handshake.
        """
        session = connection.session
        if session is None:
            return
        if not connection.session_reused:
            self._verified_at = now
        self._session, self._context = session, connection.context

    def forget(self) -> None:
        """Make the next handshake a full one: the one with the session that was offered has failed."""
        self._session = None
