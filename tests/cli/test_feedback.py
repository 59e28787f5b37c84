"""`mailer feedback`: what came back, told to people and to programs."""

import json

import pytest

from tests.feedback.made import VACATIONS, failed
from tests.feedback.test_returns import to


def test_explain_prints_an_object_a_recipient(mailer, place):
    (place / "bounce.eml").write_bytes(failed("550 5.1.1 no such user", status="5.1.1"))
    done = mailer("feedback", "explain", "bounce.eml", "--json")
    assert done.code == 0
    assert json.loads(done.out) == {
        "file": "bounce.eml",
        "kind": "bounce",
        "recipient": "ada@example.org",
        "status": "5.1.1",
        "reply_code": 550,
        "reason": "mailbox_unknown",
        "permanent": True,
        "campaign": None,
        "message_id": "<1234@shop.example>",
        "policy": "dropped at once, for good",
    }


def test_explain_says_what_the_policy_of_the_configuration_does(mailer, place):
    (place / "bounce.eml").write_bytes(failed("552 5.2.2 mailbox full", status="5.2.2"))

    def policy():
        return json.loads(mailer("feedback", "explain", "bounce.eml", "--json").out)["policy"]

    assert policy() == "dropped after 3 times, over 14 days or more, for 90 days"
    with (place / "mailer.toml").open("a") as file:
        file.write('[feedback.policy]\nmailbox_full = "never"\n')
    assert policy() == "left alone"


def test_explain_needs_neither_configuration_nor_redis(mailer, place):
    (place / "mailer.toml").unlink()
    (place / "bounce.eml").write_bytes(failed("552 5.2.2 mailbox full"))
    assert "mailbox_full" in mailer("feedback", "explain", "bounce.eml").out


def test_explain_tells_of_the_rest_when_a_file_is_missing(mailer, place):
    (place / "bounce.eml").write_bytes(failed("552 5.2.2 mailbox full"))
    done = mailer("feedback", "explain", "gone.eml", "bounce.eml")
    assert done.code == 1
    assert "gone.eml: No such file or directory" in done.err
    assert "mailbox_full" in done.out


def test_explain_of_nothing_but_a_missing_file_prints_no_table(mailer):
    done = mailer("feedback", "explain", "gone.eml")
    assert (done.code, done.out, done.err) == (
        1,
        "",
        "mailer: gone.eml: No such file or directory\n",
    )


@pytest.fixture
def returned(mailer, place):
    """A campaign of two, and the bounce of the message to Ada, in a Maildir."""
    with (place / "mailer.toml").open("a") as file:
        file.write('[feedback]\nreturn_path = "bounces@shop.example"\nsecret_file = "secret"\n')
    (place / "secret").write_text("s\n")
    mailer("send", "spring", "-t", "hello", "--set", "season=May", "people.csv")
    for folder in ("new", "cur", "tmp"):
        (place / "Maildir" / folder).mkdir(parents=True)
    octets = failed("550 5.1.1 no such user", status="5.1.1")
    address = f"Delivered-To: {to('ada@example.org')}\r\n".encode()
    (place / "Maildir/new/1.bounce").write_bytes(address + octets)
    return address + octets


@pytest.mark.usefixtures("returned")
def test_read_records_what_a_maildir_holds_and_then_acknowledges_it(mailer, place):
    done = mailer("feedback", "read", "Maildir")
    assert done.out.splitlines() == [
        "1 message: 1 bounce",
        "  1 about messages of ours, 1 of them new",
        "  1 address put on the suppression list",
    ]
    assert [file.name for file in (place / "Maildir/cur").iterdir()] == ["1.bounce:2,S"]
    found = json.loads(mailer("status", "spring", "--json").out)
    assert found["came_back"] == {"bounce": 1, "permanent": 1}
    (row,) = mailer("failures", "spring", "--json", "--outcome", "bounced").out.splitlines()
    assert json.loads(row)["email"] == "ada@example.org"
    assert json.loads(row)["rule"] == "mailbox_unknown"
    assert "ada@example.org" in mailer("suppress", "list").out


def test_read_takes_an_mbox_and_reads_it_twice_without_harm(mailer, place, returned):
    (place / "box").write_bytes(b"From a\n" + returned + b"\nFrom b\n" + VACATIONS[0])
    assert mailer("feedback", "read", "box").out.startswith("2 messages: ")
    assert "0 of them new" in mailer("feedback", "read", "box").out
    (line,) = mailer("feedback", "unknown", "--json").out.splitlines()
    assert json.loads(line)["kind"] == "auto_reply"


def test_read_asks_a_mail_server_to_try_again_while_redis_is_away(mailer, place, returned):
    (place / "one.eml").write_bytes(returned)
    text = (place / "mailer.toml").read_text()
    (place / "mailer.toml").write_text("redis = 'redis://localhost:1'\n" + text.partition("\n")[2])
    done = mailer("feedback", "read", "one.eml")
    assert done.code == 75
    assert done.out == ""


def test_explain_names_the_campaign_where_its_token_proves_it(mailer, place, returned):
    (place / "one.eml").write_bytes(returned)
    (line,) = mailer("feedback", "explain", "one.eml", "--json").out.splitlines()
    assert json.loads(line)["campaign"] == "spring"


def test_explain_reads_the_body_of_a_webhook(mailer, place):
    (place / "hook.json").write_text('[{"event": "spamreport", "email": "ada@example.org"}]')
    (line,) = mailer(
        "feedback", "explain", "--webhook", "sendgrid", "hook.json", "--json"
    ).out.splitlines()
    found = json.loads(line)
    assert (found["kind"], found["recipient"]) == ("complaint", "ada@example.org")
