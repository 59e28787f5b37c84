"""Files whose media type says more: invitations, messages, text; and images of any name."""

import pytest

from mailer.compose import Attachment, Composer, Design
from mailer.compose.verify import faults
from mailer.errors import AttachmentError, InputError, MailerError, TemplateError
from tests.compose.conftest import SETTINGS, bytes_of, read, row, write

ICS = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nSUMMARY:T\xc3\xa9\r\nEND:VCALENDAR\r\n"
INVITE = "text/calendar; method=REQUEST; charset=utf-8"


def parts_of(composer, **fields):
    octets = bytes_of(composer, row(**fields))
    assert faults(octets) == []
    return list(read(octets).walk())


@pytest.mark.parametrize(
    "kind",
    [
        INVITE,
        'text/calendar;method="REQUEST";charset="utf-8"',
        "Text/Calendar ; charset=utf-8 ; method=REQUEST;",
    ],
)
def test_an_invitation_keeps_its_parameters(make, kind):
    composer = make({"body.txt": "x"}, attachments=[Attachment.from_bytes(ICS, "invite.ics", kind)])
    (part,) = (p for p in parts_of(composer) if p.get_content_type() == "text/calendar")
    assert (part.get_param("method"), part.get_param("charset")) == ("REQUEST", "utf-8")
    assert part.get_content_disposition() == "attachment"
    assert part.get_payload(decode=True) == ICS


@pytest.mark.parametrize("files", [{"body.txt": "x"}, {"body.html": "<p>x</p>"}])
@pytest.mark.parametrize("beside", [[], [Attachment.from_bytes(b"PDF", "a.pdf")]])
def test_an_invitation_may_be_another_form_of_the_message(make, files, beside):
    invite = Attachment.from_bytes(ICS, "invite.ics", INVITE, alternative=True)
    composer = make(files, attachments=[*beside, invite])
    found = [part.get_content_type() for part in parts_of(composer)]
    html = ["text/html"] if "body.html" in files else []
    wanted = ["multipart/alternative", "text/plain", *html, "text/calendar"]
    assert found == (["multipart/mixed", *wanted, "application/pdf"] if beside else wanted)
    assert parts_of(composer)[found.index("text/calendar")].get_content_disposition() is None


@pytest.mark.parametrize(
    "kind", ["text/calendar; method", "a/b; c=d e", "a/b;=x", 'a/b; c="x', "a/b c"]
)
def test_parameters_that_are_none_are_refused(kind):
    with pytest.raises(AttachmentError, match="is no media type"):
        Attachment.from_bytes(b"", "x", kind)


@pytest.mark.parametrize("kind", ["multipart/mixed; boundary=x", "message/partial; id=x"])
def test_a_type_that_would_have_to_be_taken_apart_is_refused(kind):
    with pytest.raises(AttachmentError, match="cannot be attached"):
        Attachment.from_bytes(b"", "x", kind)


MESSAGE = b"From: a@b.example\nSubject: Hi\nMIME-Version: 1.0\n\nText\n.\nFrom x\n"


def test_a_message_is_attached_as_it_is(make):
    composer = make({"body.txt": "x"}, attachments=[Attachment.from_bytes(MESSAGE, "a.eml")])
    (part,) = (p for p in parts_of(composer) if p.get_content_type() == "message/rfc822")
    assert part["Content-Transfer-Encoding"] == "7bit"
    assert part.get_filename() == "a.eml"
    (inner,) = part.get_payload()
    assert (inner["Subject"], inner.get_payload()) == ("Hi", "Text\r\n.\r\nFrom x\r\n")


@pytest.mark.parametrize("octets", ["Ü".encode(), b"x" * 999, b"a\0b"])
def test_a_message_that_wants_an_encoding_is_attached_as_octets(make, octets):
    octets = MESSAGE + octets
    composer = make({"body.txt": "x"}, attachments=[Attachment.from_bytes(octets, "a.eml")])
    part = parts_of(composer)[-1]
    assert part.get_content_type() == "application/octet-stream"
    assert part.get_payload(decode=True) == octets
    with pytest.raises(AttachmentError, match="must be ASCII"):
        Attachment.from_bytes(octets, "a.eml", "message/rfc822")


def test_our_own_message_can_be_attached_to_our_own_message(make):
    """Its boundaries are not those of the message around it."""
    first = make(
        {"body.txt": "x", "body.html": "<p>x</p>"}, attachments=[Attachment.from_bytes(b"1", "a")]
    )
    octets = bytes_of(first, row())
    second = make(
        {"body.txt": "x", "body.html": "<p>x</p>"},
        attachments=[Attachment.from_bytes(octets, "a.eml")],
    )
    outer = parts_of(second)
    assert [p.get_content_type() for p in outer].count("multipart/alternative") == 2
    assert outer[-1].get_payload(decode=True) == b"1"


@pytest.mark.parametrize(
    ("content", "charset"),
    [("Ü,1".encode(), "utf-8"), (b"U,1", None), ("Ü,1".encode("cp1252"), None)],
)
def test_text_says_its_charset(make, content, charset):
    composer = make({"body.txt": "x"}, attachments=[Attachment.from_bytes(content, "a.csv")])
    part = parts_of(composer)[-1]
    assert (part.get_content_type(), part.get_content_charset()) == ("text/csv", charset)
    assert part.get_payload(decode=True) == content


def test_rows_name_files_below_a_folder_that_was_named_only(tmp_path):
    root = write(tmp_path, {"subject.txt": "x", "body.txt": "x"})
    settings = {**SETTINGS, "templates_path": root, "attachment_field": "file"}
    with pytest.raises(InputError, match="attachment_field wants attachments_path"):
        Composer(Design(**settings))
    (tmp_path / "files").mkdir()
    (tmp_path / "mailer.toml").write_text("secret")
    (tmp_path / "files/link").symlink_to(tmp_path / "mailer.toml")
    composer = Composer(Design(**settings, attachments_path=tmp_path / "files"))
    for name in ("../mailer.toml", str(tmp_path / "mailer.toml"), "link", "a\0b"):
        with pytest.raises(MailerError, match=r"\(row 1\)"):
            composer.check(row(file=name))


# Images.

NAMES = [
    ("my logo.png", "my%20logo.png"),
    ("my logo.png", "my logo.png"),
    ("logo (1).png", "logo (1).png"),
    ("logo[1].png", "logo%5B1%5D.png"),
    ("a+b.png", "a+b.png"),
    ("a&b.png", "a&amp;b.png"),
    ("Käse.png", "K%C3%A4se.png"),
    ("100%.png", "100%.png"),
    ("image001.png", "image001.png@01DA5C3F.1B2E4A60"),
    ("sub/logo.png", "sub/logo.png"),
]


@pytest.mark.parametrize(("file", "written"), NAMES)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_image_is_found_whatever_its_name(make, file, written, quote):
    composer = make(
        {"body.html": f"<img src={quote}cid:{written}{quote} alt=''>", f"t/{file}": b"PNG"}
    )
    (image,) = (p for p in parts_of(composer) if p.get_content_maintype() == "image")
    html = read(bytes_of(composer, row())).get_body(("html",)).get_content()
    assert f"cid:{image['Content-ID'].strip('<>')}" in html


@pytest.mark.parametrize(
    "markup",
    [
        "<td background=cid:logo.png>",
        "<td style='background: url(cid:logo.png)'>",
        "<style>.a { background: url( 'cid:logo.png' ) }</style>",
        "<img src=' CID:logo.png '>",
        '<v:fill src="cid:logo.png" />',
    ],
)
def test_an_image_is_found_wherever_it_is_named(make, markup):
    composer = make({"body.html": markup, "logo.png": b"PNG"})
    assert any(p.get_content_maintype() == "image" for p in parts_of(composer))


def test_prose_about_cid_is_left_alone(make):
    composer = make({"body.html": "<p>Write cid:logo.png for it.</p>"})
    assert "cid:logo.png" in read(bytes_of(composer, row())).get_body(("html",)).get_content()


@pytest.mark.parametrize(
    "name", ["no.png", "my%20no.png", "part1.0.12@example", "logo", "../secret.png"]
)
def test_an_image_that_is_not_there_is_refused_by_name(make, name, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"PNG")
    with pytest.raises(TemplateError, match=r"the image '.*' is not in the template's folder"):
        make({"body.html": f"<img src='cid:{name}'>"})


def test_an_image_that_a_value_names_in_the_file_is_refused_with_its_line(make):
    with pytest.raises(TemplateError, match=r"body\.html:2: the image .* is named by a value"):
        make({"body.html": "<p>\n<img src='cid:{{ logo }}.png'>", "logo.png": b"PNG"})


@pytest.mark.parametrize("template", ["<img src='{{ a }}'>", "{{ b|safe }}"])
@pytest.mark.parametrize("trusted", [True, False])
def test_an_image_that_a_value_names_is_refused_by_name_of_the_row(make, template, trusted):
    composer = make(
        {"body.html": template + "<img src='cid:logo.png'>", "logo.png": b"PNG"}, trusted=trusted
    )
    fine = {"a": "https://x.example/a.png", "b": "<p>cid:x</p>"}
    composer.compose(row(**fine))
    for do in (composer.check, composer.compose):
        with pytest.raises(TemplateError, match=r"'no\.png', named by a value, .* \(row 7\)"):
            do(row(7, a="cid:no.png", b='<img src="cid:no.png">'))
