"""How the parts of a message nest: every combination of text, HTML, images, other forms and files."""

from email.message import EmailMessage
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose import Attachment
from mailer.compose.transfer import chosen, encoded, transfer_encoding, weight
from tests.compose.conftest import bytes_of, read, row

LOGO = Attachment.from_bytes(b"\x89PNG logo", "logo.png", "image/png")
INVITATION = Attachment.from_bytes(
    b"BEGIN:VCALENDAR", "invite.ics", "text/calendar; method=REQUEST", alternative=True
)
TERMS = Attachment.from_bytes(b"%PDF terms", "terms.pdf")
LETTER = Attachment.from_bytes(
    b"From: a@x.example\r\nSubject: hi\r\n\r\nhello\r\n", "letter.eml", "message/rfc822"
)

TEXT, HTML = {"body.txt": "Hello {{ name }}"}, {"body.html": "<p>Hello {{ name }}</p>"}
IMAGE = {"body.html": '<p>Hello {{ name }}</p><img src="cid:logo.png" alt="">'}


def shape(part: EmailMessage) -> str:
    """The nesting of a message in one line: ``mixed(alternative(plain html) pdf)``."""
    subtype = part.get_content_subtype()
    if part.get_content_type() == "message/rfc822" or not part.is_multipart():
        return subtype
    return f"{subtype}({' '.join(map(shape, part.iter_parts()))})"


def expected(*, html: bool, image: bool, other: bool, file: bool) -> str:
    """The nesting that RFC 2046 asks for: each level only where it has something to hold."""
    shown = "related(html png)" if image else "html"
    forms = ["plain", *([shown] if html else []), *(["calendar"] if other else [])]
    body = f"alternative({' '.join(forms)})" if len(forms) > 1 else "plain"
    return f"mixed({body} pdf)" if file else body


CASES = [
    (own_text, html, image, other, file)
    for own_text, html, image, other, file in product((True, False), repeat=5)
    if (own_text or html) and (html or not image)
]


@pytest.mark.parametrize(("own_text", "html", "image", "other", "file"), CASES)
def test_each_level_is_there_only_where_it_has_something_to_hold(
    make, own_text, html, image, other, file
):
    files = {**(TEXT if own_text else {}), **((IMAGE if image else HTML) if html else {})}
    attachments = ([INVITATION] if other else []) + ([TERMS] if file else [])
    images = (LOGO,) if image else ()
    composer = make(files, inline_images=images, attachments=tuple(attachments))
    message = read(bytes_of(composer, row()))
    assert shape(message) == expected(html=html, image=image, other=other, file=file)
    assert message.get_body(("plain",)).get_content().strip() == "Hello Ada"
    assert not message.defects
    assert not any(part.defects for part in message.walk())


def test_the_order_of_files_is_the_callers_and_a_row_s_own_comes_last(make, tmp_path):
    (tmp_path / "own.csv").write_bytes(b"a,b\n")
    composer = make(
        TEXT, attachments=(TERMS, LETTER), attachment_field="file", attachments_path=tmp_path
    )
    assert shape(read(bytes_of(composer, row(file="own.csv")))) == "mixed(plain pdf rfc822 csv)"
    assert shape(read(bytes_of(composer, row(file="")))) == "mixed(plain pdf rfc822)"


def test_an_image_is_named_where_it_is_shown_and_inline(make):
    message = read(bytes_of(make(IMAGE, inline_images=(LOGO,)), row()))
    (image,) = (part for part in message.walk() if part.get_content_type() == "image/png")
    name = image["Content-ID"].strip("<>")
    assert f'src="cid:{name}"' in message.get_body(("html",)).get_content()
    assert image.get_content_disposition() == "inline"
    assert image.get_content() == LOGO.content
    (related,) = (p for p in message.walk() if p.get_content_type() == "multipart/related")
    assert related.get_param("type") == "text/html", "RFC 2387 section 3.1"


@pytest.mark.parametrize("file", [TERMS, LETTER])
def test_no_body_and_no_file_holds_a_boundary(make, file):
    composer = make({**TEXT, **IMAGE}, inline_images=(LOGO,), attachments=(INVITATION, file))
    content = bytes_of(composer, row(name="=_" * 30))
    boundaries = {
        part.get_boundary().encode() for part in read(content).walk() if part.get_boundary()
    }
    assert len(boundaries) == 3
    for boundary in boundaries:
        assert boundary.startswith(b"=_")
        assert content.count(b"--" + boundary + b"--\r\n") == 1


def test_a_message_within_has_other_boundaries_than_the_one_around_it(make):
    """The same campaign's own message, attached to it as it is."""
    files = {**TEXT, **HTML}
    inner = bytes_of(make(files, attachments=(TERMS,)), row())
    eml = Attachment.from_bytes(inner, "inner.eml", "message/rfc822")
    message = read(bytes_of(make(files, attachments=(eml,)), row()))
    assert shape(message) == "mixed(alternative(plain html) rfc822)"
    (attached,) = message.iter_attachments()
    assert shape(attached.get_content()) == "mixed(alternative(plain html) pdf)"
    assert attached.get_content().as_bytes().replace(b"\r\n", b"\n") == inner.replace(
        b"\r\n", b"\n"
    )


# Transfer encodings.


@pytest.mark.parametrize(
    ("octets", "high", "encoding"),
    [
        (0, 0, "quoted-printable"),
        (6, 1, "quoted-printable"),
        (5, 1, "base64"),
        (600, 100, "quoted-printable"),
        (599, 100, "base64"),
        (100, 100, "base64"),
        (100, 0, "quoted-printable"),
    ],
)
def test_base64_begins_where_it_is_shorter(octets, high, encoding):
    assert chosen(octets, high) == encoding


@pytest.mark.parametrize(
    ("text", "octets", "high"),
    [("", 0, 0), ("abc", 3, 0), ("ä", 2, 2), ("aä", 3, 2), ("€", 3, 3), ("😀!", 5, 4)],
)
def test_a_text_is_weighed_in_octets(text, octets, high):
    assert weight(text) == (octets, high)


@given(st.text(st.sampled_from("a bä€я日😀"), min_size=1, max_size=200))
def test_the_encoding_that_is_chosen_is_about_the_shorter_one(text):
    lengths = {one: len(encoded(text, one)) for one in ("base64", "quoted-printable")}
    best = transfer_encoding(text)
    other = next(one for one in lengths if one != best)
    # Line breaks count besides: a tenth, and a few octets. Of ASCII the encoding is never base64.
    assert lengths[best] <= 1.1 * lengths[other] + 12


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_text_that_is_ascii_is_never_base64(text):
    assert transfer_encoding(text) == "quoted-printable"
