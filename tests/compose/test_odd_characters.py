"""Characters that nobody sees, or that are half of one: kept, or refused by the row."""

import pytest

from mailer.errors import TemplateError
from mailer.mail.recipients import Recipient, Rejected, parse
from tests.compose.conftest import bytes_of, read, row

KEPT = {
    "direction turned": "a\u202eb",
    "direction isolated": "a\u2066b\u2069",
    "without width": "a\u200bb",
    "a mark": "a\ufeffb",
    "soft hyphen": "a\u00adb",
    "composed of two": "e\u0301",
    "a family": "👩\u200d👩\u200d👧",
    "a tag": "a\U000e0041b",
    "beyond the first plane": "\U0001d49cda",
    "right to left": "שלום",
}
CONTROLS = {"NUL": "a\0b", "bell": "a\x07b", "escape": "a\x1bb", "delete": "a\x7fb", "C1": "a\x9fb"}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_names_subjects_and_bodies_keep_them(make, text):
    composer = make({"subject.txt": "S {{ name }}", "body.txt": "B {{ name }}"})
    message = read(bytes_of(composer, row(name=text)))
    assert message["To"].addresses[0].display_name == text
    assert message["Subject"] == f"S {text}"
    assert message.get_content().splitlines() == [f"B {text}"]


@pytest.mark.parametrize(
    "text",
    [text for name, text in KEPT.items() if name not in {"composed of two", "right to left"}],
)
@pytest.mark.parametrize("address", ["{}@x.example", "ada@x{}.example"])
def test_addresses_have_none_of_them(text, address):
    judged = parse({"email": address.format(text)}, 7)
    if isinstance(judged, Recipient):  # compatibility letters of a domain are made plain by IDNA
        assert judged.mailbox.rpartition("@")[2].isascii()
    else:
        assert judged.row == 7
        assert "invisible character" in judged.reason or "malformed" in judged.reason


def test_an_address_is_composed_and_its_domain_ascii():
    judged = parse({"email": "e\u0301@e\u0301.example"}, 1)
    assert judged.mailbox == "é@xn--9ca.example"
    assert judged.smtputf8


@pytest.mark.parametrize("text", CONTROLS.values(), ids=CONTROLS)
def test_control_characters_are_refused_by_row(make, text):
    assert parse({"email": "a@x.example", "name": text}, 7) == Rejected(
        7, "the name holds a control character"
    )
    assert parse({"email": f"{text}@x.example"}, 7).row == 7
    composer = make({"subject.txt": "S {{ v }}", "body.txt": "x"})
    with pytest.raises(
        TemplateError, match=r"Subject: the value holds a control character .*\(row 1\)"
    ):
        composer.compose(row(v=text))


@pytest.mark.parametrize("half", ["\ud800", "a\udfff", "\ude00\ud83d"])
@pytest.mark.parametrize("field", ["name", "city", "email"])
def test_half_a_character_is_refused_by_row(half, field):
    judged = parse({"email": "a@x.example", field: f"{half}@x.example"}, 7)
    assert isinstance(judged, Rejected)
    assert judged.row == 7
    assert half not in judged.reason


@pytest.mark.parametrize(
    ("name", "shown", "note"),
    [
        ("Ada\tLovelace", "Ada Lovelace", "the tab in the name was made a blank"),
        ("Ada\t\tLovelace", "Ada Lovelace", "the tab in the name was made a blank"),
        ("Ada\nLovelace", "Ada Lovelace", "the line break in the name was made a blank"),
        ("Ada \r\n\tLovelace", "Ada Lovelace", "the line break in the name was made a blank"),
        ("Ada\u2028Lovelace", "Ada Lovelace", "the line break in the name was made a blank"),
        ("Ada\nM.\tLovelace", "Ada M. Lovelace", "the line break in the name was made a blank"),
        ("\tAda\n", "Ada", ""),
        ("Ada", "Ada", ""),
    ],
)
def test_a_name_is_in_one_line_and_what_was_changed_is_said(name, shown, note):
    judged = parse({"email": "a@x.example", "name": name, "city": "a\tb\nc"}, 1)
    assert (judged.name, judged.note) == (shown, note)
    assert judged.fields["city"] == "a\tb\nc"
    assert "\t" not in judged.fields["name"].strip()
