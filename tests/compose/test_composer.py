"""Messages as a whole: headers, envelope, files, sameness."""

import dataclasses
import pickle
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from mailer.compose import Attachment, Composer, Design, Unsubscribe, read_token, verp_key
from mailer.compose.verify import faults
from mailer.errors import AttachmentError, HeaderError, InputError, TemplateError
from mailer.mail.message import SharedPart
from tests.compose.conftest import (
    NEWSLETTER,
    SETTINGS,
    assert_equal,
    bytes_of,
    read,
    row,
    write,
)

PLAIN = {"body.txt": "Hello {{ name }}"}
UNSUBSCRIBE = {"unsubscribe": Unsubscribe("https://shop.example/u/{token}"), "secret": "s"}


# Sameness.


def test_a_message_composed_again_is_the_same_to_the_octet(make):
    files = {**PLAIN, "body.html": "<p>{{ name }}</p>"}
    one, other = (make(files, attachments=[Attachment.from_bytes(b"x", "a.txt")]) for _ in range(2))
    assert one.compose(row()) == other.compose(row())
    assert one.email(row()).as_bytes() == other.email(row()).as_bytes()
    assert one.digest == other.digest


def test_the_first_message_and_the_hundredth_are_made_alike(make):
    composer = make(
        {**PLAIN, "body.html": "{% if points > 3 %}many{% else %}{{ points }}{% endif %}"}
    )
    first = [composer.compose(row(points=n % 7)) for n in range(100)]
    assert (
        first
        == [
            make(
                PLAIN | {"body.html": "{% if points > 3 %}many{% else %}{{ points }}{% endif %}"}
            ).compose(row(points=n % 7))
            for n in range(7)
        ]
        * 14
        + first[98:]
    )


def test_another_process_composes_the_same(tmp_path):
    root = write(tmp_path, {"subject.txt": "S", "body.html": "<p>{{ name }} {{ ks|join }}</p>"})
    code = (
        "import sys, pickle; from mailer.compose import Composer\n"
        "from mailer.mail.recipients import parse\n"
        "composer = Composer(pickle.load(sys.stdin.buffer))\n"
        "row = parse({'email': 'ada@example.org', 'name': 'Ada'}, 1)\n"
        "print(composer.digest, composer.compose(row).joined(composer.shared).hex())"
    )
    design = Design(templates_path=root, context={"ks": ["a", "b"]}, **SETTINGS)
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps(design),
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_digest_changes_with_anything_that_a_message_is_made_of(make, tmp_path):
    files = {**PLAIN, "layouts/x.txt": "x", "body.de.txt": "{% include 'layouts/x.txt' %}"}
    file = Attachment.from_bytes(b"x", "a.txt")
    changes = [
        {},
        {"context": {"k": 1}},
        {"context": {"k": "1"}},
        {"sender": "b@c.example"},
        {"attachments": [file]},
        {"attachments": [Attachment.from_bytes(b"y", "a.txt")]},
        {"headers": {"X-A": "b"}},
        {"campaign": "x"},
        {"reply_to": "x@y.example"},
        {"list_id": "<x.y>"},
        {"bulk": False},
        {"language": "de"},
        UNSUBSCRIBE,
    ]
    digests = [make(files, **change).digest for change in changes]
    digests += [
        make({**files, name: "z"}).digest for name in ("body.txt", "layouts/x.txt", "subject.txt")
    ]
    assert len(set(digests)) == len(digests)


def test_the_digest_does_not_change_with_the_date_or_the_secret(make):
    later = {"date": datetime(2027, 1, 1, tzinfo=UTC)}
    assert make(PLAIN).digest == make(PLAIN, **later).digest
    assert "not a secret" not in repr(Design(**NEWSLETTER))


# Headers.


def test_the_headers_of_bulk_mail(newsletter):
    message = read(bytes_of(newsletter, row()))
    said = {name: str(value) for name, value in message.items()}
    token = said["List-Unsubscribe"].removeprefix("<https://shop.example/u/").removesuffix(">")
    assert read_token(token, "not a secret").mailbox == "ada@example.org"
    assert said == {
        "From": "Käthe Lindenhof <news@shop.example>",
        "Date": "Sun, 01 Mar 2026 09:30:00 +0000",
        "To": "Ada <ada@example.org>",
        "Subject": "Ada, what grows this spring \N{EN DASH} news from Lindenhof",
        "List-Unsubscribe": f"<https://shop.example/u/{token}>",
        "Message-ID": said["Message-ID"],
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-ID": "Lindenhof news <news.shop.example>",
        "Feedback-ID": "spring:news:shop",
        "Precedence": "bulk",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "MIME-Version": "1.0",
        "Content-Type": said["Content-Type"],
    }


def test_a_single_message_says_that_a_machine_wrote_it(make):
    message = read(bytes_of(make(PLAIN, bulk=False), row()))
    assert message["Auto-Submitted"] == "auto-generated"
    assert "Precedence" not in message


def test_a_message_id_is_one_recipients_of_one_campaign_and_tells_no_address(make):
    one, other = make(PLAIN), make(PLAIN, campaign="autumn")
    ids = [c.compose(row(email=e)).message_id for c in (one, other) for e in ("a@b.de", "c@d.de")]
    assert len(set(ids)) == 4
    assert ids[0] == one.compose(row(5, email="A@B.de", name="other")).message_id
    assert all(i.endswith("@shop.example>") and "a@b" not in i for i in ids)
    assert read(bytes_of(one, row(email="a@b.de")))["Message-ID"] == ids[0]


def test_the_senders_domain_is_in_a_labels(make):
    composer = make(PLAIN, sender="Käthe <news@bücher.example>")
    message = composer.compose(row())
    assert message.reverse_path == "news@xn--bcher-kva.example"
    assert message.message_id.endswith("@xn--bcher-kva.example>")


def test_headers_of_the_campaign_and_of_the_template(make):
    files = {
        **PLAIN,
        "headers.toml": 'X-Plan = "{{ plan }}"\nReply-To = "{{ agent }}@shop.example"',
    }
    composer = make(files, headers={"X-Own": "yes", "Precedence": "list"})
    for plan in ("vip", "größer"):
        message = read(bytes_of(composer, row(plan=plan, agent="bo")))
        assert (message["X-Plan"], message["Reply-To"]) == (plan, "bo@shop.example")
        assert (message["X-Own"], message["Precedence"]) == ("yes", "list")
        assert_equal(message, read(composer.email(row(plan=plan, agent="bo")).as_bytes()))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"headers": {"To": "x@y.example"}}, HeaderError),
        ({"headers": {"X-A": "a\nb"}}, HeaderError),
        ({"headers": {"X A": "a"}}, HeaderError),
        ({"headers": {"Content-Type": "text/plain"}}, HeaderError),
        ({"headers": {"Reply-To": "a@b.example"}, "reply_to": "c@d.example"}, HeaderError),
        ({"sender": "Shop"}, InputError),
        ({"sender": "a@b.example, c@d.example"}, InputError),
        ({"sender": "Shop <a@b.example"}, InputError),
        ({"sender": "Jörg <jörg@b.example>"}, InputError),
        ({"sender": "a@b.example\r\nBcc: x"}, InputError),
        ({"verp": True}, InputError),
        ({"unsubscribe": Unsubscribe("https://x.example/{token}")}, InputError),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_once(make, settings, error):
    with pytest.raises(error):
        make(PLAIN, **settings)


@pytest.mark.parametrize(
    "value", ["x\r\nBcc: evil@x.example", "x\n", "=?utf-8?q?=0D=0A?=x", "a\0b"]
)
def test_a_value_cannot_get_out_of_its_header(make, value):
    composer = make({**PLAIN, "subject.txt": "Hi {{ v }}!", "headers.toml": 'X-V = "{{ v }}!"'})
    for do in (composer.compose, composer.check, composer.email):
        with pytest.raises(TemplateError, match=r"control character .*\(row 3\)"):
            do(row(3, v=value))


# The envelope.


def test_bounces_go_to_the_sender_or_to_the_return_path(make):
    assert make(PLAIN).compose(row()).reverse_path == "news@shop.example"
    composer = make(PLAIN, return_path="bounces@shop.example")
    assert composer.compose(row()).reverse_path == "bounces@shop.example"
    assert make(PLAIN, return_path="").compose(row()).reverse_path == ""


def test_verp_gives_each_recipient_an_address_that_can_be_read_back_and_not_forged(make):
    composer = make(PLAIN, return_path="bounces@shop.example", verp=True, secret="s")
    message = composer.compose(row())
    local, _, domain = message.reverse_path.partition("@")
    assert (local[:8], domain) == ("bounces+", "shop.example")
    assert len(local) <= 64
    assert verp_key(message.reverse_path, "spring-2026", "s") == row().key
    assert verp_key(message.reverse_path.upper(), "spring-2026", "s") == row().key
    flipped = "a" if local[-1] != "a" else "b"
    forgeries = [f"{local[:-1]}{flipped}@{domain}", "bounces+x@y", "bounces@y", "+@", "bounces+é@y"]
    for mailbox in forgeries:
        with pytest.raises(InputError):
            verp_key(mailbox, "spring-2026", "s")
    for campaign, secret in (("other", "s"), ("spring-2026", "t")):
        with pytest.raises(InputError):
            verp_key(message.reverse_path, campaign, secret)


def test_a_local_part_beyond_ascii_makes_an_smtputf8_message_with_ascii_bodies(make):
    composer = make({**PLAIN, "subject.txt": "Grüße"})
    message = composer.compose(row(email="jörg@bücher.example", name="Jörg"))
    assert (message.smtputf8, message.forward_path) == (True, "jörg@xn--bcher-kva.example")
    content = message.joined({})
    assert faults(content, utf8=True) == []
    assert b"<j\xc3\xb6rg@xn--bcher-kva.example>\r\n" in content
    assert b"j\xc3\xb6rg@" in composer.email(row(email="jörg@bücher.example")).as_bytes()


def test_a_quoted_local_part_is_kept(make):
    composer = make(PLAIN)
    recipient = row(email='"ada lovelace"@example.org', name='"A" \\ L')
    message = read(bytes_of(composer, recipient))
    assert message["To"].addresses[0].addr_spec == '"ada lovelace"@example.org'
    assert_equal(message, read(composer.email(recipient).as_bytes()))


# Files.


def test_an_attachment_is_stored_once_and_referred_to(make):
    file = Attachment.from_bytes(b"%PDF" * 25_000, "terms.pdf")
    composer = make(PLAIN, attachments=[file, file, Attachment.from_bytes(b"2", "b.txt")])
    message = composer.compose(row())
    parts = [chunk for chunk in message.content if isinstance(chunk, SharedPart)]
    assert [part.digest for part in parts[:2]] == [SharedPart.of(file.encoded).digest] * 2
    assert set(composer.shared) == {part.digest for part in parts}
    assert message.size - sum(part.size for part in parts) < 2500
    content = message.joined(composer.shared)
    assert faults(content) == []
    assert next(p.get_content() for p in read(content).iter_attachments()) == b"%PDF" * 25_000
    assert_equal(read(content), read(composer.email(row()).as_bytes()))


def test_a_row_may_name_a_file_of_its_own(make, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "ada.pdf").write_bytes(b"Ada's")
    shared = Attachment.from_bytes(b"all", "all.txt")
    composer = make(PLAIN, attachment_field="invoice", attachments_path=files, attachments=[shared])
    recipient = row(invoice="ada.pdf")
    message = composer.compose(recipient)
    assert sum(isinstance(chunk, SharedPart) for chunk in message.content) == 1
    content = message.joined(composer.shared)
    assert faults(content) == []
    names = [part.get_filename() for part in read(content).iter_attachments()]
    assert names == ["all.txt", "ada.pdf"]
    assert_equal(read(content), read(composer.email(recipient).as_bytes()))
    nothing = read(bytes_of(composer, row(invoice="")))
    assert [part.get_filename() for part in nothing.iter_attachments()] == ["all.txt"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../secret.pdf", "is not below"),
        ("/etc/passwd", "is not below"),
        ("nobody.pdf", "cannot attach .* No such file"),
        ("link.pdf", "is not below"),
        (5, "must name a file"),
    ],
)
def test_a_row_names_files_below_the_folder_only(make, tmp_path, name, said):
    (tmp_path / "secret.pdf").write_bytes(b"secret")
    files = tmp_path / "files"
    files.mkdir()
    (files / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    composer = make(PLAIN, attachment_field="invoice", attachments_path=files)
    for do in (composer.compose, composer.check, composer.email):
        with pytest.raises(AttachmentError, match=rf"{said}.*\(row 4\)"):
            do(row(4, invoice=name))


# The body.


def test_a_template_in_a_script_that_quoted_printable_triples_is_base64(make):
    composer = make(
        {"body.txt": "漢字仮名交じり文 " * 20 + "{{ name }}", "body.html": "<p>hello</p>"}
    )
    message = read(bytes_of(composer, row()))
    encodings = {p.get_content_type(): p["Content-Transfer-Encoding"] for p in message.walk()}
    assert encodings["text/plain"] == "base64"
    assert encodings["text/html"] == "quoted-printable"
    assert_equal(message, read(composer.email(row()).as_bytes()))
    assert faults(bytes_of(composer, row())) == []


def test_a_template_of_text_alone_makes_a_message_of_one_part(make):
    message = read(bytes_of(make(PLAIN), row()))
    assert message.get_content_type() == "text/plain"
    assert message.get_content() == "Hello Ada\r\n"


def test_check_raises_what_compose_would_and_nothing_else(make):
    composer = make({"body.txt": "{{ x }}"})
    composer.check(row(x=1))
    with pytest.raises(TemplateError, match=r"'x' is undefined \(row 9\)"):
        composer.check(row(9))


def test_a_design_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Design(**NEWSLETTER).campaign = "x"


def test_a_composer_names_a_template_that_is_not_there(tmp_path):
    with pytest.raises(TemplateError, match="there is no template 't'"):
        Composer(Design(templates_path=tmp_path, **SETTINGS))
