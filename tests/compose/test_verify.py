"""The last look at a message: every fault that it knows, in a message that has nothing else wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose.verify import check_head, faults
from mailer.errors import HeaderError
from tests.compose.conftest import bytes_of, row

HEAD = (
    b"From: Shop <news@shop.example>\r\nTo: ada@example.org\r\nSubject: News\r\n"
    b"Date: Sun, 01 Mar 2026 09:30:00 +0000\r\nMessage-ID: <1@shop.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
)
BODY = b"Hello\r\n"
GOOD = HEAD + b"\r\n" + BODY
NEEDED = ("From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type")
SINGLE = (*NEEDED, "Reply-To", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post", "List-ID")


def without(name: str) -> bytes:
    lines = [line for line in HEAD.split(b"\r\n") if not line.startswith(f"{name}:".encode())]
    return b"\r\n".join(lines) + b"\r\n" + BODY


def test_a_message_as_it_should_be_has_no_fault(newsletter, make):
    assert faults(GOOD) == []
    assert faults(bytes_of(newsletter, row(city="Berlin", points="5"))) == []
    assert faults(HEAD + b"\r\n") == [], "an empty body"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (HEAD + BODY.replace(b"\r\n", b""), "no empty line between header section and body"),
        (GOOD + b"bare\nfeed\r\n", "a CR or LF that is not part of a CRLF"),
        (GOOD + b"bare\rreturn\r\n", "a CR or LF that is not part of a CRLF"),
        (GOOD + b"a\0b\r\n", "a NUL"),
        (GOOD + "grüße\r\n".encode(), "octets above 127"),
        (GOOD + b"x" * 999 + b"\r\n", "a line of more than 998 octets"),
        (GOOD + b"no end", "no line break at the end"),
    ],
)
def test_each_fault_of_the_octets_is_found(content, fault):
    assert fault in faults(content)


def test_a_line_of_998_octets_is_taken():
    assert faults(GOOD + b"x" * 998 + b"\r\n") == []


@pytest.mark.parametrize("name", NEEDED)
def test_each_field_that_every_message_has_is_missed(name):
    assert faults(without(name)) == [f"{name.lower()} is missing"]


@pytest.mark.parametrize("name", SINGLE)
def test_each_field_that_may_be_there_once_is_counted_in_any_spelling(name):
    twice = without(name).partition(b"\r\n\r\n")
    head = f"{name}: x\r\n{name.upper()}: y\r\n".encode() + twice[0] + b"\r\n\r\n"
    assert faults(head + BODY) == [f"{name.lower()} is there twice"]


@pytest.mark.parametrize("name", ["Received", "X-Other", "Comments", "Keywords"])
def test_others_may_be_there_as_often_as_somebody_writes_them(name):
    assert faults(f"{name}: x\r\n{name}: y\r\n".encode() + GOOD) == []


@pytest.mark.parametrize(
    "line",
    [
        b"no colon here\r\n",
        b"two words: x\r\n",
        b": no name\r\n",
        b" folded, under nothing\r\n",
        b"X-Other:no blank\r\n",
        b"X-Other: x\r\n \r\n",
        b"X-Other: x\r\n\t \r\n y\r\n",
        "X-Grüße: x\r\n".encode(),
    ],
)
def test_a_line_that_belongs_to_no_field_is_found(line):
    assert "a line in the header section that belongs to no field" in faults(line + GOOD)


def test_a_fault_at_the_end_of_a_long_header_section_is_found_in_one_pass():
    """A pattern that can match a line in several ways tries all of them: for ever, with so many lines."""
    many = b"".join(b"X-%d: some words in a line\r\n folded, too\r\n" % n for n in range(200))
    assert faults(many + HEAD + b"no colon here\r\n\r\n" + BODY) == [
        "a line in the header section that belongs to no field"
    ]


@pytest.mark.parametrize(
    "line", [b"X-Other:\r\n", b"X-Other: x\r\n\ty\r\n", b"X-Other: x \r\n z\r\n"]
)
def test_an_empty_field_and_a_folded_one_are_fields(line):
    assert faults(line + GOOD) == []


@pytest.mark.parametrize(
    "subject",
    [
        b"=?utf-8?q?a?==?utf-8?q?b?=",
        b"=?utf-8?q?" + b"x" * 64 + b"?=",
        b"=?utf-8?b?" + b"QUJD" * 16 + b"?=",
    ],
)
def test_encoded_words_that_touch_or_are_too_long_are_found(subject):
    content = GOOD.replace(b"Subject: News", b"Subject: " + subject)
    assert faults(content) == ["encoded-words that are glued together or too long"]


def test_utf_8_in_the_header_section_is_for_smtputf8_alone_and_in_a_body_never():
    wide = GOOD.replace(b"ada@", "ädä@".encode())
    assert faults(wide) == ["octets above 127"]
    assert faults(wide, utf8=True) == []
    assert faults(GOOD + "ä\r\n".encode(), utf8=True) == ["octets above 127"]


def test_all_faults_are_named_at_once():
    found = faults(b"Subject: a\nb\r\n")
    assert len(found) == len(set(found)) >= 8


# The look at every message's own fields.


@pytest.mark.parametrize(
    ("head", "count"),
    [
        ("To: a@b.example\r\n", 1),
        ("To: a@b.example\r\nSubject: x\r\n", 2),
        ("Subject: x\r\n y\r\n z\r\n", 1),
        ("Subject:\r\n", 1),
    ],
)
def test_fields_that_are_as_many_as_were_written_pass(head, count):
    check_head(head, count, utf8=False)


@pytest.mark.parametrize(
    ("head", "count"),
    [
        ("To: a@b.example\r\nBcc: all@b.example\r\n", 1),
        ("To: a@b.example\r\n", 2),
        ("Subject: x\nBcc: all@b.example\r\n", 1),
        ("Subject: x\rBcc: all@b.example\r\n", 1),
        ("Subject: x\r\n\r\nbody\r\n", 1),
        ("Subject: x\0\r\n", 1),
        ("Subject: x", 1),
        ("Subject: x\r\n y", 1),
        ("", 1),
        ("Subject: ä\r\n", 1),
    ],
)
def test_one_field_more_or_a_break_of_another_kind_stops_the_message(head, count):
    with pytest.raises(HeaderError, match="nothing was sent"):
        check_head(head, count, utf8=False)


def test_utf_8_passes_where_the_recipient_needs_it():
    check_head("To: ädä@b.example\r\n", 1, utf8=True)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_whatever_gets_into_a_field_two_fields_pass_only_as_two(value):
    """A value that could begin a field of its own is seen by the number of fields."""
    head = f"Subject: {value}\r\n"
    try:
        check_head(head, 1, utf8=False)
    except HeaderError:
        return
    assert head.replace("\r\n ", "").count("\r\n") == 1
    assert not {"\r", "\n", "\0"} & set(value.replace("\r\n ", ""))
