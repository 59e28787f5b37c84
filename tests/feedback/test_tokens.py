"""A report finds its message by what nobody can forge; what version 0.1.0 sent is still understood."""

import base64
import hmac
from hashlib import blake2b

import pytest

from mailer.compose import Composer, Design, Unsubscribe
from mailer.feedback import Kind, Report, Trace
from mailer.feedback.tokens import Tokens
from mailer.mail.recipients import fingerprint, parse

KEY = fingerprint("ada@example.org")


@pytest.fixture
def message(tmp_path):
    """A message to Ada under the secret "s"."""
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello/subject.txt").write_text("Hello")
    (tmp_path / "hello/body.txt").write_text("Hello")
    design = Design(
        campaign="spring",
        template="hello",
        sender="news@shop.example",
        templates_path=tmp_path,
        return_path="bounces@shop.example",
        verp=True,
        secret="s",
        unsubscribe=Unsubscribe("https://shop.example/u/{token}"),
    )
    return Composer(design).compose(parse({"email": "ada@example.org"}, 1))


def about(recipient=None, **trace):
    return Report(Kind.BOUNCE, recipient, trace=Trace(**trace))


def tokens(*secrets):
    return Tokens(secrets or ("s",), ["winter", "spring"])


def field(message, name):
    text = message.joined({}).decode().replace("\r\n ", "")
    return next(line for line in text.splitlines() if line.lower().startswith(name)).partition(
        ": "
    )[2]


def test_the_return_path_names_campaign_and_recipient_and_hides_both(message):
    token = message.reverse_path.partition("+")[2].partition("@")[0]
    assert len(token) == 32
    assert KEY not in base64.b32decode(token.upper())
    for mailbox in (message.reverse_path, message.reverse_path.upper()):
        match = tokens().find(about(envelope=(mailbox,)))
        assert (match.campaign, match.key, match.proof) == ("spring", KEY, "verp")


def test_a_token_under_a_secret_of_before_is_read(message):
    report = about(envelope=(message.reverse_path,))
    assert tokens("new", "s").find(report).key == KEY
    assert tokens("new").find(report) is None


def test_a_return_path_that_was_changed_proves_nothing(message):
    local, _, domain = message.reverse_path.rpartition("@")
    for at in (-1, -10, -32):
        changed = "b" if local[at] == "a" else "a"
        forged = local[:at] + changed + (local[at + 1 :] if at != -1 else "")
        assert tokens().find(about(envelope=(f"{forged}@{domain}",))) is None


def test_the_envelope_id_and_the_unsubscribe_link_prove_too(message):
    token = message.reverse_path.partition("+")[2].partition("@")[0]
    assert tokens().find(about(envelope_id=token)).key == KEY
    match = tokens().find(about(unsubscribe=field(message, "list-unsubscribe:")))
    assert (match.campaign, match.key, match.proof) == ("spring", KEY, "unsubscribe")


def test_a_message_id_proves_together_with_its_recipient(message):
    match = tokens().find(about("ada@example.org", message_id=message.message_id))
    assert (match.campaign, match.proof) == ("spring", "message_id")
    assert tokens().find(about("bob@example.org", message_id=message.message_id)) is None
    assert tokens().find(about("ada@example.org")) is None


def test_an_envelope_id_is_the_message_id_given_back(message):
    envelope_id = message.message_id.strip("<>")
    assert tokens().find(about("ada@example.org", envelope_id=envelope_id)).campaign == "spring"
    assert tokens().find(about("bob@example.org", envelope_id=envelope_id)) is None


def test_the_return_path_of_version_0_1_0_is_still_read():
    derived = blake2b(b"s", digest_size=32, person=b"verp").digest()
    proof = hmac.digest(derived, b"spring\0" + KEY, "sha256")[:7]
    token = base64.b32encode(KEY + proof).decode().lower()
    match = tokens().find(about(envelope=(f"bounces+{token}@shop.example",)))
    assert (match.campaign, match.key) == ("spring", KEY)
