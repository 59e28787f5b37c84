"""What a mail server hands over by LMTP is recorded before it is accepted, whoever is killed."""

import contextlib
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys

import pytest

from mailer.feedback.intake.lmtp import MAX_FAULTS, MAX_RECIPIENTS
from tests.conftest import free_port
from tests.feedback.made import failed
from tests.feedback.test_returns import to

CONFIGURED = '[feedback]\nreturn_path = "bounces@shop.example"\nsecret_file = "secret"\n'


def bounce(mailbox):
    return failed("550 5.1.1 no such user", status="5.1.1", recipient=mailbox)


@pytest.fixture
def sent(mailer, place):
    """A folder with a campaign to two recipients."""
    with (place / "mailer.toml").open("a") as file:
        file.write(CONFIGURED)
    (place / "secret").write_text("s\n")
    (place / "secret").chmod(0o600)
    mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    return place


@contextlib.contextmanager
def listening(place):
    """The listener as a process of its own: its port and its process id."""
    port = free_port()
    words = [sys.executable, "-m", "mailer", "feedback", "serve", "--listen", f"127.0.0.1:{port}"]
    environ = {name: one for name, one in os.environ.items() if not name.startswith("MAILER_")}
    with subprocess.Popen(
        words, cwd=place, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said = process.stdout.readline()
            assert said == f"listening by LMTP at 127.0.0.1:{port}\n"
            yield port, process
        finally:
            process.terminate()
            process.communicate(timeout=120)


def came_back(mailer):
    return json.loads(mailer("status", "spring", "--json").out)["came_back"]


def test_each_recipient_has_a_reply_and_is_recorded_once(sent, mailer):
    ada, bob = to("ada@example.org"), to("bob@example.org")
    forged = to("ada@example.org", secret="guessed")
    with listening(sent) as (port, process):
        with smtplib.LMTP("127.0.0.1", port) as client:
            refused = client.sendmail("", [ada, forged, bob], bounce("ada@example.org"))
            assert refused == {forged: (550, b"5.1.1 no such return path")}
            # smtplib reads the first recipient's reply only.
            assert client.getreply()[0] == 250
            # Handed over once more, in the same session: nothing is counted twice.
            assert client.sendmail("", [ada], bounce("ada@example.org")) == {}
        process.terminate()
        assert process.wait(120) == 0
    found = came_back(mailer)
    assert (found["bounce"], found["permanent"]) == (2, 2)


def test_killed_before_its_reply_it_is_handed_over_again_and_counted_once(sent, mailer):
    ada = to("ada@example.org")
    with (
        listening(sent) as (port, process),
        socket.create_connection(("127.0.0.1", port), 30) as client,
        client.makefile("rb") as replies,
    ):
        client.sendall(f"LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<{ada}>\r\nDATA\r\n".encode())
        assert any(line.startswith(b"354") for line in replies)
        client.sendall(bounce("ada@example.org") + b"\r\n.\r\n")
        process.send_signal(signal.SIGKILL)
        process.wait(120)
    with listening(sent) as (port, _), smtplib.LMTP("127.0.0.1", port) as client:
        assert client.sendmail("", [ada], bounce("ada@example.org")) == {}
    assert came_back(mailer) == {"bounce": 1, "permanent": 1}


def test_while_redis_is_away_the_server_keeps_it(sent):
    (sent / "mailer.toml").write_text(f'redis = "redis://127.0.0.1:{free_port()}/0"\n{CONFIGURED}')
    with listening(sent) as (port, _), smtplib.LMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("")
        assert client.rcpt(to("ada@example.org"))[0] == 451
        # An address without a token is taken; what it brings cannot be recorded.
        assert client.rcpt("bounces@shop.example")[0] == 250
        assert client.data(bounce("ada@example.org"))[0] == 451


def test_what_is_too_much_ends_the_session_and_nothing_else(sent, mailer):
    ada = to("ada@example.org")
    with listening(sent) as (port, _):
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"x" * 100_000)
            # It may close before it has read everything.
            with client.makefile("rb") as replies, contextlib.suppress(ConnectionResetError):
                assert replies.read() == b"220 mailer LMTP\r\n"
        with smtplib.LMTP("127.0.0.1", port) as client:
            client.ehlo()
            client.mail("")
            codes = [client.rcpt("bounces@shop.example")[0] for _ in range(MAX_RECIPIENTS + 1)]
            assert codes == [*[250] * MAX_RECIPIENTS, 452]
            for _ in range(MAX_FAULTS - 2):
                assert client.docmd("WHAT")[0] == 500
            client.putcmd("WHAT")
            assert [client.getreply()[0], client.getreply()[0]] == [500, 421]
        # A line without an end, larger than what is read of a message: its head is enough.
        large = bounce("ada@example.org") + b"\r\n" + b"x" * (3 << 20)
        with smtplib.LMTP("127.0.0.1", port) as client:
            assert client.sendmail("", [ada], large) == {}
    assert came_back(mailer) == {"bounce": 1, "permanent": 1}


def test_a_place_that_cannot_be_listened_at_is_said_in_one_line(sent, mailer):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = mailer("feedback", "serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ran.code != 0
    assert "cannot listen at 127.0.0.1" in ran.err
    assert "already in use" in ran.err
    for place in ("nowhere", "127.0.0.1:99999", "127.0.0.1:1x"):
        assert "is no host and port" in mailer("feedback", "serve", "--listen", place).err
