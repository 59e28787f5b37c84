"""Recipient lists: CSV and JSON Lines, streamed, one bad row at a time."""

import io
import itertools
import sys

import pytest

from mailer.errors import InputError
from mailer.mail.rows import BrokenRow, read_rows


def rows(text: str | bytes) -> list[object]:
    return list(read_rows(io.BytesIO(text if isinstance(text, bytes) else text.encode())))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_is_read_whatever_its_separator_and_line_ends(delimiter, end):
    text = end.join(delimiter.join(line) for line in (["email", "name"], ["a@b.de", "Ada"]))
    assert rows(text + end) == [{"email": "a@b.de", "name": "Ada"}]


def test_a_quoted_cell_may_hold_separators_and_line_breaks():
    assert rows('email,name\na@b.de,"x, ""y""\nz"\n') == [{"email": "a@b.de", "name": 'x, "y"\nz'}]


def test_a_byte_order_mark_is_skipped():
    assert rows(b"\xef\xbb\xbfemail\na@b.de\n") == [{"email": "a@b.de"}]


def test_blank_lines_are_skipped():
    assert rows("\n\nemail,x\n\na@b.de,1\n\n\nc@d.de,2\n") == [
        {"email": "a@b.de", "x": "1"},
        {"email": "c@d.de", "x": "2"},
    ]


def test_a_ragged_row_is_broken_and_the_next_is_not():
    assert rows("email,x\na@b.de\nc@d.de,1,2\ne@f.de,3\n") == [
        BrokenRow("the row has 1 fields where there are 2 columns"),
        BrokenRow("the row has 3 fields where there are 2 columns"),
        {"email": "e@f.de", "x": "3"},
    ]


def test_a_field_that_never_ends_is_broken(monkeypatch):
    (row,) = rows('email\n"' + "x" * 200_000)
    assert isinstance(row, BrokenRow)


def test_json_lines_are_known_by_their_first_character():
    assert rows('{"email": "a@b.de", "n": 1}\n\n{"email": "c@d.de", "n": [2]}\n') == [
        {"email": "a@b.de", "n": 1},
        {"email": "c@d.de", "n": [2]},
    ]


def test_json_lines_are_known_by_their_suffix(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text('"x"\n{"email": "a@b.de"}\n')
    first, second = read_rows(path)
    assert first == BrokenRow("the line is JSON, but a str and not an object")
    assert second == {"email": "a@b.de"}


@pytest.mark.parametrize("line", ["{", '{"a": }', "[" * 100_000, "nul"])
def test_a_line_that_is_no_json_is_broken_and_the_next_is_not(line):
    first, second = rows('{"email": "a@b.de"}\n' + line + "\n")
    assert first == {"email": "a@b.de"}
    assert isinstance(second, BrokenRow)


def test_a_json_array_is_refused_with_what_to_do():
    with pytest.raises(InputError, match="one object a line"):
        rows('[{"email": "a@b.de"}]')


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_list_is_refused(text):
    with pytest.raises(InputError, match="is empty"):
        rows(text)


def test_a_list_without_the_column_names_those_that_it_found():
    with pytest.raises(
        InputError, match=r"no column 'email'; its first line names 'mailbox', 'name'"
    ):
        rows("mailbox,name\nx,y\n")


def test_a_list_without_column_names_does_not_repeat_an_address():
    with pytest.raises(InputError) as caught:
        rows("ada@example.org\nbob@example.org\n")
    assert "ada" not in str(caught.value)


def test_a_column_that_is_there_twice_is_refused():
    with pytest.raises(InputError, match="'x' is there twice"):
        rows("email,x,x\n")


def test_latin_1_is_refused_with_the_line_and_what_to_do():
    with pytest.raises(
        InputError, match=r"line 3: octet 0xfc is not UTF-8; save the file as UTF-8"
    ):
        rows(b"email,name\na@b.de,x\nc@d.de,M\xfcller\n")


def test_utf_16_is_refused_with_what_to_do():
    with pytest.raises(InputError, match="UTF-16"):
        rows("email\n".encode("utf-16"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nobody\.csv: No such file"):
        list(read_rows(tmp_path / "nobody.csv"))


def test_a_dash_is_standard_input(monkeypatch):
    class Input:
        buffer = io.BytesIO(b"email\na@b.de\n")

    monkeypatch.setattr(sys, "stdin", Input)
    assert list(read_rows("-")) == [{"email": "a@b.de"}]


def test_text_streams_are_read_too():
    assert list(read_rows(io.StringIO("\ufeffemail\na@b.de\n"))) == [{"email": "a@b.de"}]


def test_rows_are_streamed_not_collected():
    def endless():
        yield b"email\n"
        yield from itertools.repeat(b"a@b.de\n")

    class Stream:
        name = "endless"

        def __iter__(self):
            return endless()

    found = read_rows(Stream())
    assert len(list(itertools.islice(found, 1000))) == 1000
