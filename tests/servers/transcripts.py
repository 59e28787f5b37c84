"""A server that plays transcripts, and fails at each octet that a transcript does not have.

It knows nothing of SMTP: what a client may say, and when, is all in the transcript. That is what
`tests.servers.scripted` cannot do, which takes whatever a client says in whatever order.
"""

import contextlib
import itertools
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence

PATIENCE = 60.0
"""Seconds after which it gives up on its client."""


class TranscriptError(AssertionError):
    """The client said something else than the transcript."""


class TranscriptServer:
    """Plays one transcript for each connection, in the order in which they come.

    Lines are `S: reply` and `C: command`; consecutive C lines must come without any S between them.
    `X: tls`, `X: close`, `X: reset` and `X: silence` do so. Any other octet from the client is an error,
    and so is what it says before its turn.
    """

    def __init__(self, transcripts: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._transcripts = list(transcripts)
        self.context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.errors: list[str] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        if number >= len(self._transcripts):
            self.errors.append(f"connection {number + 1} was not expected")
            connection.close()
            return
        try:
            connection.settimeout(PATIENCE)
            _play(connection, self._transcripts[number], self.context)
        except Exception as exc:  # noqa: BLE001 - reported by `check`
            self.errors.append(f"connection {number + 1}: {type(exc).__name__}: {exc}")
        finally:
            connection.close()

    def check(self) -> None:
        """Wait for all conversations and raise what was wrong with them."""
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.close()
        assert not self.errors, "\n".join(self.errors)
        assert self.connections == len(self._transcripts), "not all transcripts were played"

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()


def _steps(transcript: str) -> list[tuple[str, str]]:
    steps = []
    for line in filter(None, map(str.strip, transcript.splitlines())):
        mark, _, rest = line.partition(" ")
        if mark not in {"S:", "C:", "X:"}:
            raise ValueError(f"no such mark: {line!r}")
        steps.append((mark[0], rest))
    return steps


def _play(connection: socket.socket, transcript: str, context: ssl.SSLContext | None) -> None:
    for who, group in itertools.groupby(_steps(transcript), key=lambda step: step[0]):
        lines = [what for _, what in group]
        if who == "C":
            for what in lines:
                _expect(connection, what.encode() + b"\r\n")
            continue
        if who == "S":
            _assert_quiet(connection, before=lines[0])
            connection.sendall("".join(f"{what}\r\n" for what in lines).encode())
            continue
        (what,) = lines
        if what == "tls":
            assert context is not None
            connection = context.wrap_socket(connection, server_side=True)
        elif what == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return
        elif what == "close":
            connection.close()
            return
        elif what == "silence":
            _expect_end(connection)
            return
        else:
            raise ValueError(what)
    _expect_end(connection)


def _expect(connection: socket.socket, wanted: bytes) -> None:
    got = b""
    while len(got) < len(wanted):
        try:
            part = connection.recv(len(wanted) - len(got))
        except TimeoutError:
            part = b""
        if not part:
            break
        got += part
        if not wanted.startswith(got):
            break
    if got != wanted:
        raise TranscriptError(f"wanted {wanted!r}, got {got!r}")


def _assert_quiet(connection: socket.socket, before: str) -> None:
    """Fail if the client has said more than the transcript lets it."""
    has_more = bool(select.select([connection], [], [], 0)[0])
    if isinstance(connection, ssl.SSLSocket):
        has_more = connection.pending() > 0
    if has_more:
        extra = connection.recv(
            200, 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_PEEK
        )
        if extra:
            raise TranscriptError(f"before {before!r} the client ran ahead: {extra!r}")


def _expect_end(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionResetError, ssl.SSLError):
        extra = connection.recv(1000)
        if extra:
            raise TranscriptError(f"after the end of the transcript: {extra!r}")
