"""Octets over TCP or TLS, without ever waiting: the one place with sockets besides the loop.

Whoever owns a `Transport` calls it when the selector says that something may have changed. It can always
read, even while a write waits. Otherwise both sides would wait for ever, when a server answers before it
has read everything.
"""

import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_AT_ONCE = 256 * 1024
"""Octets offered to the kernel at once; a TLS write that must wait is repeated with the same ones."""
_READ = 64 * 1024
_LIVENESS = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 15,
    "TCP_KEEPCNT": 5,
    "TCP_USER_TIMEOUT": 100_000,
}
"""Seconds to the first probe and between probes, how many; milliseconds without a confirmation."""
_BUSY = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError, InterruptedError)

Address = tuple[int, int, int, str, Any]
"""What `socket.getaddrinfo` says of one address."""


class Transport:
    """One connection. Every method may raise OSError (TLS errors are OSErrors): it is dead then."""

    def __init__(self, address: Address) -> None:
        """Begin to connect to *address*."""
        family, kind, protocol, _, place = address
        self._socket: socket.socket = socket.socket(family, kind, protocol)
        self._pending: deque[bytes] = deque()
        self._offset = 0
        self.written = 0
        """How many octets may have left since the last handshake; exact without TLS."""
        self._taken = 0
        self._is_encrypted = False
        self._socket.setblocking(False)
        # Every write ends where the server must answer: if the kernel waited for more octets, that would
        # cost a round trip.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _notice_death(self._socket)
        code = self._socket.connect_ex(place)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._socket.close()
            raise OSError(code, os.strerror(code))

    @property
    def is_writing(self) -> bool:
        """Whether octets wait for the kernel."""
        return bool(self._pending)

    @property
    def local_address(self) -> str:
        """The address of this end."""
        return str(self._socket.getsockname()[0])

    def fileno(self) -> int:
        """Return the descriptor, for a selector; -1 once closed."""
        return self._socket.fileno()

    def finish_connecting(self) -> None:
        """Call when the socket is writable for the first time."""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def secure(self, context: ssl.SSLContext, host: str, earlier: ssl.SSLSession | None) -> None:
        """Turn to TLS towards *host*, taking up the *earlier* session if the server agrees.

        Then call `shake_hands` until it says True.
        """
        self._socket = context.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False, session=earlier
        )
        self._is_encrypted = True
        self.written = self._taken = 0

    def shake_hands(self) -> bool:
        """Go on with the handshake; True when it is done."""
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except _BUSY:
            return False
        return True

    def tls(self) -> ssl.SSLSocket | None:
        """Return the encrypted socket, to be asked about its cipher and certificate."""
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def read(self) -> bytes | None:
        """Return what has arrived, None if nothing, b"" if the server has hung up."""
        try:
            data = self._socket.recv(_READ)
            if self._is_encrypted:
                data = self._with_decrypted(data)
        except _BUSY:
            return None
        except ssl.SSLEOFError:
            return b""
        return data

    def _with_decrypted(self, data: bytes) -> bytes:
        """Add to *data* what is decrypted already: it would not wake the selector again."""
        assert isinstance(self._socket, ssl.SSLSocket)
        while data and (waiting := self._socket.pending()):
            data += self._socket.recv(waiting)
        return data

    def is_quiet(self) -> bool:
        """Whether the server has said nothing and not hung up: asked before reuse."""
        try:
            return self.read() is None
        except OSError:
            return False

    def write(self, parts: Iterable[bytes | memoryview]) -> None:
        """Write *parts*, or as much as goes now; `flush` writes the rest."""
        self._pending.append(b"".join(parts))
        if len(self._pending) == 1:
            self.flush()

    def flush(self) -> None:
        """Write what goes now."""
        while self._pending:
            data = self._pending[0]
            part: bytes | memoryview = data
            if self._offset or len(data) > _AT_ONCE:
                part = memoryview(data)[self._offset : self._offset + _AT_ONCE]
            # Of a write that did not go through, TLS may have sent whole records.
            if self._is_encrypted:
                self.written = self._taken + len(part)
            try:
                count = self._socket.send(part)
            except _BUSY:
                return
            self._taken += count
            self.written = max(self.written, self._taken)
            self._offset += count
            if self._offset == len(data):
                self._pending.popleft()
                self._offset = 0

    def close(self) -> None:
        """Close the socket; harmless if it is closed already, and in a child of a fork."""
        # No TLS close_notify: QUIT and its reply have ended the session, and close_notify would have to
        # be waited for.
        self._socket.close()


def _notice_death(connection: socket.socket) -> None:
    """Have the system notice within two minutes that the other end has vanished.

    Else a message whose final dot was written to a dead connection is in doubt for `Timeouts.final`, ten
    minutes. A server that is only slow is not affected: its system answers the probes.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _LIVENESS.items():
        option = getattr(socket, name, None)
        if option is not None:
            # Systems differ in what they know and allow; what they refuse keeps their default.
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
