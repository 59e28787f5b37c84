"""What came back is fetched from real IMAP and POP3 servers: by hand, by workers, as soon as it comes."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailer.feedback.intake.files import messages
from mailer.feedback.intake.imap import Imap
from mailer.feedback.intake.mailbox import IntakeError, Mailbox
from mailer.feedback.intake.pop3 import Pop3
from tests.conftest import free_port
from tests.feedback.test_imap import bounce
from tests.servers.common_name import named_in_common_name
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.waiting import eventually

pytestmark = pytest.mark.dovecot

NEVER = threading.Event()


@pytest.fixture
def dovecot():
    # Not below pytest's own folder: where root runs the tests, Dovecot's users could not get there.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Dovecot(Path(folder), imap := free_port(), pop3 := free_port())
        server.imap = f"imap://ada@127.0.0.1:{imap}"
        server.pop3 = f"pop3://ada@127.0.0.1:{pop3}"
        yield server
        server.close()


@pytest.fixture
def sent(mailer, place):
    """A folder with a campaign to two recipients, and what reads what comes back of it."""
    (place / "secret").write_text("s\n")
    (place / "password").write_text(PASSWORD)
    for name in ("secret", "password"):
        (place / name).chmod(0o600)

    def configure(**values):
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        with (place / "mailer.toml").open("a") as file:
            file.write(
                '[feedback]\nreturn_path = "bounces@shop.example"\nsecret_file = "secret"\n'
                'password_file = "password"\n' + "\n".join(lines) + "\n"
            )
        mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")

    return configure


def came_back(mailer):
    return json.loads(mailer("status", "spring", "--json").out).get("came_back", {})


def lying(dovecot):
    return sorted(
        one.name for inner in ("new", "cur") for one in (dovecot.maildir / inner).iterdir()
    )


@pytest.mark.parametrize("password", ["geh\u00e9im\u20ac", 'a"b\\c', "a:b/c@d+e&f=g{h}"])
def test_a_password_may_hold_any_character(password):
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ports = free_port(), free_port()
        server = Dovecot(Path(folder), *ports, password=password)
        try:
            server.deliver("1", b"Subject: one\r\n\r\nx\r\n")
            with Imap(Mailbox(f"imap://ada@127.0.0.1:{ports[0]}"), password) as session:
                assert len(list(session.behind(""))) == 1
            with closing(
                Pop3(Mailbox(f"pop3://ada@127.0.0.1:{ports[1]}", "pop3"), password)
            ) as box:
                assert len(box.ids) == 1
        finally:
            server.close()


@pytest.mark.parametrize("key", ["imap", "pop3"])
def test_a_server_named_in_the_common_name_of_its_certificate_alone_hears_no_password(
    key, tmp_path, monkeypatch
):
    with named_in_common_name(tmp_path) as (port, ca_file):
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        mailbox = Mailbox(f"{key}s://ada@localhost:{port}", key)
        with pytest.raises(IntakeError, match="Hostname mismatch"):
            Imap(mailbox, PASSWORD).__enter__() if key == "imap" else Pop3(mailbox, PASSWORD)


# POP3.


def test_pop3_gives_what_is_not_known_and_whole_lines(dovecot):
    dovecot.deliver("1", b"Subject: one\r\n\r\nx\r\n")
    long = b"y" * 5000
    dovecot.deliver("2", b"Subject: two\r\n\r\n" + long + b"\r\n.dot\r\n")
    session = Pop3(Mailbox(dovecot.pop3, "pop3"), PASSWORD)
    first, second = session.besides(())
    assert b"Subject: one\r\n" in first.octets
    assert long in second.octets
    assert b"\r\n.dot\r\n" in second.octets
    assert session.ids == {first.mark, second.mark}
    assert list(session.besides({first.mark, second.mark})) == []
    session.close()


def test_of_a_large_message_the_beginning_is_fetched(dovecot):
    dovecot.deliver("1", b"Subject: one\r\n\r\n" + (b"z" * 70 + b"\r\n") * 40_000)
    session = Pop3(Mailbox(dovecot.pop3, "pop3"), PASSWORD)
    (found,) = session.besides(())
    assert len(found.octets) <= 2**20 + 2
    session.close()


def test_a_refused_login_at_pop3_does_not_tell_the_password(dovecot):
    with pytest.raises(IntakeError) as caught:
        Pop3(Mailbox(dovecot.pop3, "pop3"), "wrong-password")
    assert "wrong-password" not in str(caught.value)
    assert str(caught.value).startswith("pop3 127.0.0.1:")


def test_a_server_that_is_away_is_named(dovecot):
    with pytest.raises(IntakeError, match=r"pop3 127\.0\.0\.1:\d+: Connection refused"):
        Pop3(Mailbox(f"pop3://ada@127.0.0.1:{free_port()}", "pop3"), PASSWORD)
    gone = Imap(Mailbox(f"imap://ada@127.0.0.1:{free_port()}"), PASSWORD)
    with pytest.raises(IntakeError, match=r"imap 127\.0\.0\.1:\d+: Connection refused"), gone:
        pass


@pytest.mark.parametrize(
    "url", ["pop3://a@mail.example", "imap://a@localhost", "pop3s://h", "pop3s://a@h/folder"]
)
def test_what_is_no_safe_pop3_mailbox_is_refused_in_the_configuration(url, sent, mailer, place):
    sent(pop3=url)
    done = mailer("feedback", "poll")
    assert done.code != 0
    assert "feedback.pop3: " in done.err


def test_pop3_counts_each_bounce_once_and_forgets_what_is_gone(sent, dovecot, mailer):
    sent(pop3=dovecot.pop3)
    dovecot.deliver("1", bounce("ada@example.org"))
    assert mailer("feedback", "poll").out.startswith("1 message: 1 bounce\n")
    dovecot.deliver("2", bounce("bob@example.org"))
    assert mailer("feedback", "poll").out.startswith("1 message: 1 bounce\n")
    assert mailer("feedback", "poll").out == "0 messages: nothing\n"
    assert came_back(mailer) == {"bounce": 2, "permanent": 2}
    assert len(lying(dovecot)) == 2, "nothing is deleted unless it is asked for"
    for one in (dovecot.maildir / "cur").iterdir():
        one.unlink()
    for one in (dovecot.maildir / "new").iterdir():
        one.unlink()
    assert mailer("feedback", "poll").out == "0 messages: nothing\n"


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_with_delete_what_is_recorded_goes_and_nothing_else(kind, sent, dovecot, mailer):
    sent(**{kind: getattr(dovecot, kind), "delete": True})
    dovecot.deliver("1", bounce("ada@example.org"))
    dovecot.deliver("2", b"Subject: a person\r\n\r\nhello\r\n")
    assert mailer("feedback", "poll").out.startswith("2 messages: ")
    eventually(lambda: lying(dovecot) == [])
    assert came_back(mailer) == {"bounce": 1, "permanent": 1}
    assert "a person" in mailer("feedback", "unknown", "--json").out, "kept to be looked at"


# Waiting for news.


def test_idle_ends_when_something_comes(dovecot):
    with Imap(Mailbox(dovecot.imap), PASSWORD) as session:
        came = threading.Timer(0.5, dovecot.deliver, ("1", b"Subject: one\r\n\r\nx\r\n"))
        came.start()
        assert session.wait(30, NEVER)
        came.join()
        (found,) = session.behind("")
        assert b"Subject: one" in found.octets
        assert not session.wait(0.6, NEVER)


def test_idle_ends_when_it_is_told_to(dovecot):
    with Imap(Mailbox(dovecot.imap), PASSWORD) as session:
        ended = threading.Event()
        threading.Timer(0.3, ended.set).start()
        assert not session.wait(60, ended)


# Again and again.


def start(place, *words):
    environ = {name: one for name, one in os.environ.items() if not name.startswith("MAILER_")}
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=place,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("kind", ["imap", "maildir"])
def test_workers_fetch_by_themselves(kind, sent, dovecot, mailer, place):
    where = str(dovecot.maildir) if kind == "maildir" else getattr(dovecot, kind)
    sent(**{kind: where, "poll_every": "500ms"})
    dovecot.deliver("1", bounce("ada@example.org"))
    words = ["celery", "-A", "mailer", "worker", "-c", "1", "--loglevel", "INFO"]
    first, second = start(place, *words, "-n", "one@t"), start(place, *words, "-n", "two@t")
    try:
        eventually(lambda: came_back(mailer) == {"bounce": 1, "permanent": 1})
        dovecot.deliver("2", bounce("bob@example.org"))
        eventually(lambda: came_back(mailer) == {"bounce": 2, "permanent": 2})
    finally:
        first.send_signal(signal.SIGKILL)
        second.terminate()
        said = second.communicate(timeout=120)[0] + first.communicate(timeout=120)[0]
    assert second.returncode == 0, said
    assert "came back: 1 bounce (messages: 1, about ours: 1, new: 1)" in said
    assert "@example.org" not in said
    assert PASSWORD not in said


def test_a_mailbox_that_is_away_is_said_once_and_tried_again(sent, mailer, place):
    port = free_port()
    sent(imap=f"imap://ada@127.0.0.1:{port}", poll_every="100ms")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = start(place, "mailer", "feedback", "poll", "--follow")
        try:
            assert "what comes back waits: imap 127.0.0.1" in process.stdout.readline()
            with closing(Dovecot(Path(folder), port)) as server:
                server.deliver("1", bounce("ada@example.org"))
                assert process.stdout.readline() == "mailer: what comes back is fetched again\n"
                assert process.stdout.readline() == "1 message: 1 bounce\n"
        finally:
            process.terminate()
            process.communicate(timeout=120)
        assert process.returncode == 0
    assert came_back(mailer) == {"bounce": 1, "permanent": 1}


def test_a_worker_says_what_is_no_mailbox_before_anything_begins(sent, place):
    sent(imap="imaps://mail.example")
    process = start(place, "celery", "-A", "mailer", "worker", "-c", "1")
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert (
        said.strip().splitlines()[-1]
        == "mailer: feedback.imap: names no user; write imaps://user@host"
    )


def test_what_is_no_file_in_a_maildir_is_passed_over(tmp_path):
    for part in ("new", "cur"):
        (tmp_path / part).mkdir()
    os.mkfifo(tmp_path / "new" / "1")
    (tmp_path / "new" / "2").mkdir()
    (tmp_path / "new" / "3").write_bytes(b"Subject: back\n\nback\n")
    assert [found.place for found in messages(tmp_path)] == [str(tmp_path / "new" / "3")]
