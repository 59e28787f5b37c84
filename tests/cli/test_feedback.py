"""`mailer feedback`: what came back, told to people and to programs."""

import json

from tests.feedback.made import failed


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
    }


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
