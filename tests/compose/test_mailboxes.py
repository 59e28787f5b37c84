"""Display names and mailboxes as people write them: kept whole or refused, never cut."""

import copy
import pickle
import smtplib
from email import policy
from email.generator import BytesGenerator, Generator
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose import Unsubscribe
from mailer.compose.headers import one_mailbox, some_mailboxes
from mailer.errors import InputError
from tests.compose.conftest import bytes_of, read, row


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("A&B Shop: News <news@shop.example>", "A&B Shop: News"),
        ("Shop (News) <news@shop.example>", "Shop (News)"),
        ("Shop, Inc. <news@shop.example>", "Shop, Inc."),
        ("Shop; [x] \\ <news@shop.example>", "Shop; [x] \\"),
        ('"Shop: x" <news@shop.example>', "Shop: x"),
        ('"Shop \\"x\\"" <news@shop.example>', 'Shop "x"'),
        ('The "Shop" <news@shop.example>', 'The "Shop"'),
        ("=?utf-8?q?K=C3=A4the?= <news@shop.example>", "Käthe"),
        ("Käthe: Ж (x) <news@shop.example>", "Käthe: Ж (x)"),
        ("news@shop.example", None),
        ("<news@shop.example>", None),
        ('"" <news@shop.example>', None),
    ],
)
def test_a_display_name_is_kept_whole(make, written, name):
    assert one_mailbox("sender", written) == (name, "news@shop.example")
    message = read(bytes_of(make({"body.txt": "x"}, sender=written), row()))
    (address,) = message["From"].addresses
    assert (address.display_name or None, address.addr_spec) == (name, "news@shop.example")


@pytest.mark.parametrize(
    "written",
    [
        "news@shop.example (Shop)",
        "Shop",
        "",
        "Shop: a@b.example, c@d.example;",
        "bob@b.example Shop <news@shop.example>",
        "Shop <news@shop.example> x",
        "Shop <<news@shop.example>>",
        "Shop <news@shop.example",
        "a@b.example, c@d.example",
        "=?utf-8?q?a=0Ab?= <news@shop.example>",
    ],
)
def test_what_cannot_be_meant_is_refused(written):
    with pytest.raises(InputError):
        one_mailbox("sender", written)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20))
def test_any_name_in_quotes_comes_out_as_it_went_in(name):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert one_mailbox("sender", f'"{quoted}" <a@b.example>') == (name, "a@b.example")


def test_reply_to_takes_a_list(make):
    written = 'Ada <ada@x.example>, Bob, Jr. <bob@x.example>,"C, D" <cd@x.example>, e@x.example'
    assert some_mailboxes("reply_to", written) == [
        ("Ada", "ada@x.example"),
        ("Bob, Jr.", "bob@x.example"),
        ("C, D", "cd@x.example"),
        (None, "e@x.example"),
    ]
    message = read(bytes_of(make({"body.txt": "x"}, reply_to=written), row()))
    assert [one.username for one in message["Reply-To"].addresses] == ["ada", "bob", "cd", "e"]


def test_a_template_s_own_reply_to_keeps_its_name(make):
    composer = make(
        {"body.txt": "x", "headers.toml": 'Reply-To = "{{ agent }} (x): y <a@b.example>"'}
    )
    (address,) = read(bytes_of(composer, row(agent="Bo & Co")))["Reply-To"].addresses
    assert address.display_name == "Bo & Co (x): y"


# What `email` returns is an EmailMessage for everybody.


@pytest.fixture
def message(make):
    composer = make(
        {"subject.txt": "Grüße, {{ name }}, " * 6, "body.html": "<p>Hällo {{ name }}</p>"},
        sender="Käthe: Blumen (x) <news@shop.example>",
        reply_to="Zoë <a@b.example>, c@d.example",
        unsubscribe=Unsubscribe("https://shop.example/" + "u" * 200 + "/{token}"),
        secret="s",
    )
    recipient = row(name="Zoë Müller")
    found = composer.email(recipient)
    assert found.as_bytes() == bytes_of(composer, recipient)
    return found


COPIES = {
    "itself": lambda message: message,
    "a deep copy": copy.deepcopy,
    "pickled": lambda message: pickle.loads(pickle.dumps(message)),
}
POLICIES = {
    "its own": None,
    "SMTP": policy.SMTP,
    "default": policy.default,
    "SMTPUTF8": policy.SMTPUTF8,
    "compat32": policy.compat32,
    "HTTP": policy.HTTP,
}


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("how", POLICIES.values(), ids=POLICIES)
def test_any_policy_and_generator_writes_what_was_meant(message, made, how):
    one = made(message)
    buffer = BytesIO()
    BytesGenerator(buffer, policy=how).flatten(one)
    text = StringIO()
    Generator(text, policy=how).flatten(one)
    for octets in (one.as_bytes(policy=how), buffer.getvalue(), text.getvalue().encode()):
        back = read(octets)
        for name in ("Subject", "From", "To", "Reply-To", "Message-ID"):
            assert str(back[name]).replace("\n ", " ") == str(message[name])
        assert back.get_body(("html",)).get_content().strip() == "<p>Hällo Zoë Müller</p>"


def test_a_message_can_be_changed_and_written_by_any_policy(message):
    message.replace_header("Subject", "Neu: Übersicht")
    message["References"] = "<a@b.example>"
    message["X-Ä".replace("Ä", "A")] = "ä"
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="ü.pdf")
    for how in POLICIES.values():
        assert read(message.as_bytes(policy=how))["Subject"] == "Neu: Übersicht"


def test_smtplib_takes_it(message, monkeypatch):
    sent = []
    session = smtplib.SMTP()
    monkeypatch.setattr(session, "sendmail", lambda *args: sent.append(args), raising=True)
    session.ehlo_resp = b""
    session.send_message(message)
    ((sender, recipients, octets, *_),) = sent
    assert (sender, recipients) == ("news@shop.example", ["ada@example.org"])
    assert read(octets)["From"] == message["From"]


LONG = 50_000


@pytest.mark.parametrize(
    "text",
    [
        "a" + " " * LONG + "!",
        "a" + " " * LONG + "<b",
        "a <" + " " * LONG + "!",
        "a <" + " " * LONG + ">",
        "a" + "\t" * LONG + "b@c.example",
        "a," * LONG,
        "<" * LONG + ">",
        "a <" * LONG + ">",
        '"' * (LONG + 1),
        '"' + "a " * LONG,
        '"' + '\\"' * LONG,
        '<">"' + '\\"' * LONG,
        '<">' + '\\"' * LONG,
        '"a"' + '\\"' * LONG,
        '"<' * LONG + ">",
    ],
)
def test_a_text_that_nobody_means_is_refused_in_one_pass(text):
    """A pattern that tries white space in several places at once would take minutes, or for ever."""
    with pytest.raises(InputError, match="is no mailbox"):
        some_mailboxes("reply_to", text)


def test_blanks_around_a_name_and_a_mailbox_are_none_of_either():
    blanks = " " * LONG
    assert one_mailbox(
        "sender", f"{blanks}Ada L.{blanks}<{blanks}ada@example.org{blanks}>{blanks}"
    ) == (
        "Ada L.",
        "ada@example.org",
    )


def test_a_thousand_mailboxes_are_a_thousand():
    text = ", ".join(f'"Last, \\"{n}\\"" <p{n}@example.org>' for n in range(1_000))
    found = some_mailboxes("reply_to", text)
    assert found[0] == ('Last, "0"', "p0@example.org")
    assert len(found) == 1_000
