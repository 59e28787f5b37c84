"""What the SMTP tests share: servers that play transcripts, callers that remember what they heard."""

import contextlib
import itertools
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import trustme

from mailer.smtp import (
    Driver,
    Judgement,
    Proceed,
    Reply,
    Result,
    Security,
    Server,
    Stage,
    Submission,
    Timeouts,
)
from tests.conftest import free_port

PATIENCE = 60.0
"""Seconds after which a test's server gives up on its client."""

CONTENT = b"Subject: hello\r\n\r\nhello\r\n"

QUICK = Timeouts(
    connect=30, tls=30, greeting=30, ehlo=30, auth=30, mail=30, rcpt=30, data=30, block=30, final=30,
    quit=1, grace=1, patience=1,
)  # fmt: skip


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


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def playing(authority: trustme.CA) -> Iterator[Callable[..., TranscriptServer]]:
    """Start a server that plays transcripts; at the end of the test all must have been played."""
    servers: list[TranscriptServer] = []

    def play(*transcripts: str, certificate: str = "127.0.0.1") -> TranscriptServer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(certificate).configure_cert(context)
        servers.append(TranscriptServer(transcripts, context))
        return servers[-1]

    yield play
    for server in servers:
        server.close()


class RememberingJournal:
    """A journal that lets everything pass, and knows what it was told. *stop_at* stops at that call."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.results: dict[int, Result] = {}
        self.started: list[int] = []
        self.calls: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self.beats: list[float] = []
        self._stop_after = stop_after
        self.instead = Proceed.END

    def commit(self, results: Sequence[tuple[int, Result]], starting: Sequence[int]) -> Proceed:
        self.beats.append(time.monotonic())
        if results or starting:
            self.calls.append((tuple(index for index, _ in results), tuple(starting)))
        for index, result in results:
            assert index not in self.results, "a result is told once"
            self.results[index] = result
        may_go_on = (
            self._stop_after is None or len(self.started) + len(starting) <= self._stop_after
        )
        if may_go_on:
            self.started.extend(starting)
        return Proceed.GO_ON if may_go_on else self.instead


class RememberingGate:
    """A gate that admits up to *most* at once, and knows what it was told."""

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.admitted = 0
        self.gone = 0
        self.logins = 0
        self.troubles: list[tuple[Stage, Reply | None, Judgement]] = []

    @property
    def open(self) -> int:
        return self.admitted - self.gone

    def admit(self, wanted: int) -> int:
        granted = min(wanted, self.most - self.open)
        self.admitted += granted
        return granted

    def may_log_in(self) -> bool:
        return True

    def logged_in(self) -> None:
        self.logins += 1

    def refused(self, stage: Stage, reply: Reply | None, judgement: Judgement) -> None:
        self.troubles.append((stage, reply, judgement))

    def closed(self, count: int) -> None:
        self.gone += count


@pytest.fixture
def journal() -> RememberingJournal:
    return RememberingJournal()


@pytest.fixture
def gate() -> RememberingGate:
    return RememberingGate()


@pytest.fixture
def new_journal() -> type[RememberingJournal]:
    return RememberingJournal


@pytest.fixture
def new_gate() -> type[RememberingGate]:
    return RememberingGate


def _settings(port: int, **changes) -> Server:
    base = Server(
        name="primary",
        host="127.0.0.1",
        port=port,
        security=Security.PLAIN,
        local_hostname="client.example",
        max_connections=1,
        timeouts=QUICK,
    )
    return replace(base, **changes)


@pytest.fixture
def settings() -> Callable[..., Server]:
    """Settings for a server of the tests: one connection, no TLS, short deadlines."""
    return _settings


@pytest.fixture
def drive(gate: RememberingGate, journal: RememberingJournal):
    """Send submissions to a server that plays transcripts, close, and check the transcripts."""

    def run(
        server: TranscriptServer, submissions: Sequence[Submission], **changes
    ) -> tuple[Result, ...]:
        driver = Driver(_settings(server.port, **changes), gate)
        try:
            results = driver.send(submissions, journal)
        finally:
            driver.close()
        server.check()
        assert gate.open == 0, "each connection admitted is told to be closed, once"
        told = {index for index, result in enumerate(results) if result.fate.value in _TOLD}
        assert told == set(journal.results)
        return results

    return run


_TOLD = {"accepted", "refused"}


def _mail(*recipients: str, content: bytes = CONTENT, **changes) -> list[Submission]:
    return [
        Submission("news@shop.example", recipient, content, **changes) for recipient in recipients
    ]


@pytest.fixture
def mail() -> Callable[..., list[Submission]]:
    """One submission for each recipient named."""
    return _mail


@pytest.fixture
def content_lines() -> str:
    """CONTENT as transcript lines, with the final dot."""
    return "\n".join(f"C: {line}" for line in re.split("\r\n", CONTENT.decode() + "."))


@pytest.fixture
def free_tcp_port() -> int:
    """A port on which nobody listens."""
    return free_port()
