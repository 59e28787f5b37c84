"""What came back is fetched from a real IMAP server: recorded first, and nothing is changed there."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailer.errors import ConfigError
from mailer.feedback.intake.imap import Imap
from mailer.feedback.intake.mailbox import IntakeError, Mailbox
from tests.conftest import free_port
from tests.feedback.made import failed
from tests.feedback.test_returns import to
from tests.servers.dovecot import PASSWORD, Dovecot

pytestmark = pytest.mark.dovecot


@pytest.fixture
def dovecot():
    # Not below pytest's own folder: where root runs the tests, Dovecot's users could not get there.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Dovecot(Path(folder), port := free_port())
        server.url = f"imap://ada@127.0.0.1:{port}"
        yield server
        server.close()


def fetch(mailbox, password, bookmark):
    with Imap(mailbox, password) as session:
        return list(session.behind(bookmark))


def bounce(mailbox):
    octets = failed("550 5.1.1 no such user", status="5.1.1", recipient=mailbox)
    return f"Delivered-To: {to(mailbox)}\r\n".encode() + octets


def test_only_what_lies_behind_the_bookmark_is_fetched(dovecot):
    dovecot.deliver("1", b"Subject: one\r\n\r\nx\r\n")
    dovecot.deliver("2", b"Subject: two\r\n\r\nx\r\n")
    first = fetch(Mailbox(dovecot.url), PASSWORD, "")
    assert [b"one" in first[0].octets, b"two" in first[1].octets] == [True, True]
    assert fetch(Mailbox(dovecot.url), PASSWORD, first[1].mark) == []
    dovecot.deliver("3", b"Subject: three\r\n\r\nx\r\n")
    (new,) = fetch(Mailbox(dovecot.url), PASSWORD, first[1].mark)
    assert b"three" in new.octets
    # Another UIDVALIDITY: the mailbox was made anew, and is read from the beginning.
    assert len(fetch(Mailbox(dovecot.url), PASSWORD, "1:9")) == 3


def test_a_refused_login_does_not_tell_the_password(dovecot):
    with pytest.raises(IntakeError) as caught:
        fetch(Mailbox(dovecot.url), "wrong-password", "")
    assert "wrong-password" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "imap://a@mail.example",
        "http://a@b",
        "imaps://host",
        'imaps://a@h/"x',
        "pop3s://a@h",
        "imaps://a:geheim@h",
        "imaps://a@[h",
        "imaps://a%0D%0ALOGOUT@h",
    ],
)
def test_what_is_no_safe_mailbox_is_refused(url):
    with pytest.raises(ConfigError, match=r"feedback\.imap"):
        Mailbox(url)


def test_poll_counts_each_bounce_once(dovecot, mailer, place):
    with (place / "mailer.toml").open("a") as file:
        file.write(
            '[feedback]\nreturn_path = "bounces@shop.example"\nsecret_file = "secret"\n'
            f'imap = "{dovecot.url}"\npassword_file = "password"\n'
        )
    (place / "secret").write_text("s\n")
    (place / "password").write_text(PASSWORD)
    mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    dovecot.deliver("1", bounce("ada@example.org"))
    dovecot.deliver("2", bounce("bob@example.org"))
    assert mailer("feedback", "poll").out.startswith("2 messages: 2 bounce\n")
    assert mailer("feedback", "poll").out == "0 messages: nothing\n"
    found = json.loads(mailer("status", "spring", "--json").out)
    assert found["came_back"] == {"bounce": 2, "permanent": 2}
