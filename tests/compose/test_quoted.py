"""Quoted-printable, whole and in chunks."""

import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.compose import quoted

# Text that finds the corners: blanks at line ends, dots, "From ", "=", lines of about 76.
ALPHABET = st.one_of(
    st.sampled_from(["a", "=", ".", " ", "\n", "\t", "From ", "é", "😀", "\x00", "\u2028", "\x0b"]),
    st.integers(60, 80).map("x".__mul__),
    st.characters(exclude_characters="\r", exclude_categories=["Cs"]),
)
TEXTS = st.lists(ALPHABET, max_size=30).map("".join)


def decoded(octets: bytes) -> str:
    return quopri.decodestring(octets).replace(b"\r\n", b"\n").decode()


def assert_fit(octets: bytes) -> None:
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n")
    for line in octets.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))


@given(TEXTS)
def test_a_body_decodes_to_its_text_in_lines_that_are_fit(text):
    octets = quoted.encode(text)
    assert decoded(octets) == text
    assert_fit(octets)


@given(st.lists(TEXTS, max_size=6))
def test_chunks_put_together_decode_to_the_texts_put_together(texts):
    octets = quoted.spliced(b"".join(map(quoted.chunk, texts)))
    assert decoded(octets) == quoted.finished("".join(texts))
    assert_fit(octets)


@pytest.mark.parametrize("length", range(70, 80))
@pytest.mark.parametrize("end", ["", ".", "..", "=", " ", "é", "From "])
def test_a_chunk_about_as_long_as_a_line_stays_in_bounds(length, end):
    text = "x" * length + end
    assert_fit(quoted.spliced(quoted.chunk(text)))
    assert decoded(quoted.spliced(quoted.chunk(text))) == text + "\n"


def test_a_carriage_return_cannot_be_a_chunk_for_it_may_go_on_in_the_next():
    with pytest.raises(quoted.UnspliceableError):
        quoted.chunk("Ada\r")


def test_every_line_end_becomes_one():
    assert quoted.normal("a\r\nb\rc\nd") == "a\nb\nc\nd"


def test_a_lone_surrogate_becomes_the_replacement_character():
    assert quoted.normal("a\ud83d b") == "a\ufffd b"
