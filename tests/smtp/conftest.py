"""What the SMTP tests share: servers that play transcripts, callers that remember what they heard."""

import re
import ssl
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
from tests.servers.transcripts import TranscriptServer

CONTENT = b"Subject: hello\r\n\r\nhello\r\n"

QUICK = Timeouts(
    connect=30, tls=30, greeting=30, ehlo=30, auth=30, mail=30, rcpt=30, data=30, block=30, final=30,
    quit=10, grace=1, patience=1,
)  # fmt: skip


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
