"""The octets of a list become its lines, in whatever encoding and however they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import InputError
from mailer.mail.lists.decoding import LONGEST_LINE, lines_of, text_lines

TEXT = "email;name\na@x.example;Jörg Müller\nb@x.example;Zoë\n"


def lines(
    octets: bytes, size: int = 1 << 16, encoding: str | None = None
) -> tuple[list[str], list[str]]:
    """Return the lines of *octets*, which come *size* at a time, and what was noticed."""
    blocks = [octets[at : at + size] for at in range(0, len(octets), size)]
    notices: list[str] = []
    found = list(lines_of(blocks, "list.csv", encoding, notices.append, whole=True))
    return found, notices


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
    ],
)
def test_what_is_certain_is_read_without_a_word(encoding, mark, size, ends):
    text = TEXT.replace("\n", ends)
    found, notices = lines(mark + text.encode(encoding), size)
    assert "".join(found) == text
    assert len(found) == 3
    assert notices == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [200, 1000])
def test_utf_16_without_a_mark_is_known_by_its_zeros(encoding, size):
    assert lines(TEXT.encode(encoding), size) == (TEXT.splitlines(keepends=True), [])


@pytest.mark.parametrize(
    ("octets", "name", "guess"),
    [
        (TEXT.encode("cp1252"), "Müller", "Windows-1252"),
        (TEXT.replace("\n", "\r\n").encode("cp1252"), "Müller", "Windows-1252"),
        (TEXT.replace("\n", "\r").encode("mac_roman"), "Müller", "Mac Roman"),
        ("email\n€@x.example\n".encode("cp1252"), "€", "Windows-1252"),
    ],
)
def test_what_is_guessed_is_said(octets, name, guess):
    found, notices = lines(octets)
    assert name in "".join(found)
    assert notices == [
        f"list.csv is not UTF-8: read as {guess} (if names look wrong, say --encoding)"
    ]


@pytest.mark.parametrize(
    "encoding", ["cp1252", "windows-1252", "latin-1", "iso-8859-15", "mac-roman", "cp437", "UTF-8"]
)
def test_an_encoding_that_is_said_is_taken(encoding):
    assert lines(TEXT.encode(encoding), 5, encoding) == (TEXT.splitlines(keepends=True), [])


@pytest.mark.parametrize("encoding", ["klingon", "", " ", "utf-99"])
def test_an_encoding_that_nobody_knows_is_named(encoding):
    if encoding:
        with pytest.raises(InputError, match="there is no encoding"):
            lines(b"email\n", encoding=encoding)
    else:
        assert lines(b"email\n", encoding=encoding) == (["email\n"], [])


@pytest.mark.parametrize(
    ("octets", "encoding", "line", "octet"),
    [
        (b"email\na\xff\n", "utf-8", 2, "ff"), (b"\xef\xbb\xbfemail\n\n\nb\xe4d\n", None, 4, "e4"),
        (b"email\r\na\r\nb\x81\r\n", "cp1252", 3, "81"), (b"emails\ra\rb\x81\r", "cp1252", 3, "81"),
        (b"\xff\xfee\0m\0\n\0x\xd8y\0", None, 2, "78"), (b"email\n\xc3", "utf-8", 2, "c3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [6, 1000])
def test_an_octet_that_does_not_belong_is_told_by_its_line(octets, encoding, line, octet, size):
    with pytest.raises(InputError, match=rf"list\.csv, line {line}: octet 0x{octet} is not "):
        lines(octets, size, encoding)


@given(st.text(st.sampled_from("ab,\n\r\u2028\x0b\x85é"), max_size=40), st.integers(1, 9))
def test_lines_are_the_same_in_whatever_pieces_they_come(text, size):
    octets = text.encode()
    found, _ = lines(octets, size)
    assert found == lines(octets)[0]
    assert "".join(found) == text
    assert all(line.count("\n") + line.count("\r") <= 1 or line.endswith("\r\n") for line in found)


def test_a_mark_in_decoded_text_is_taken_away_once():
    assert list(text_lines(["\ufeffa\n", "\ufeffb"], "x")) == ["a\n", "\ufeffb"]


def test_a_line_without_end_is_no_list():
    with pytest.raises(InputError, match="a line of more than"):
        list(text_lines(("x" * (LONGEST_LINE // 4) for _ in range(5)), "x"))
