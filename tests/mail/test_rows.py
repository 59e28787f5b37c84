"""Recipient lists: CSV and JSON Lines, streamed, one bad row at a time."""

import io
import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import InputError
from mailer.mail.lists.csv_rows import check_columns
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


def test_a_short_row_is_filled_up_and_empty_cells_too_many_are_dropped():
    assert rows("email,x,y\na@b.de\nc@d.de,1,2,,\ne@f.de,3\n") == [
        {"email": "a@b.de", "x": "", "y": ""},
        {"email": "c@d.de", "x": "1", "y": "2"},
        {"email": "e@f.de", "x": "3", "y": ""},
    ]


def test_a_cell_too_many_that_says_something_breaks_its_row_only():
    assert rows("email,x\nc@d.de,1,2\ne@f.de,3\n") == [
        BrokenRow("line 2: the row has 3 fields where there are 2 columns with a name"),
        {"email": "e@f.de", "x": "3"},
    ]


def test_rows_of_empty_cells_are_passed_over():
    assert rows("email;x\n;;\n ; \na@b.de;1\n;;;;\n") == [{"email": "a@b.de", "x": "1"}]


OPEN = "a quote opens a cell and nothing closes it"
SWALLOWS = "a quote opens a cell that swallows the rows after it"


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ('email,note\na@b.de,"tea\nb@b.de,x\nc@b.de,y\n', {0: f"line 2: {OPEN}"}),
        ('email,note\n"a@b.de,x\nb@b.de,x\nc@b.de,y\n', {0: f"line 2: {OPEN}"}),
        ('email,note\na@b.de,x\nb@b.de,x\nc@b.de,"y', {2: f"line 4: {OPEN}"}),
        ('email,note\na@b.de,"x\nb@b.de,y"\nc@b.de,z\n', {0: f"line 2: {SWALLOWS}"}),
        ('note,email\n"x,a@b.de\n"y",b@b.de\nz,c@b.de\n', {0: f"line 2: {SWALLOWS}"}),
        ('email\n"a@b.de\nb@b.de\nc@b.de\n', {0: f"line 2: {OPEN}"}),
        ('\n\nemail,n\na@b.de,"x\r\nb@b.de,\r\nc@b.de,\r\n', {0: f"line 4: {OPEN}"}),
        (
            'email,n\na@b.de,"x\nb@b.de,y\nc@b.de,"z\n',
            {0: f"line 2: {SWALLOWS}", 2: f"line 4: {OPEN}"},
        ),
    ],
)
def test_a_stray_quote_breaks_its_own_row_and_swallows_no_other(text, broken):
    found = rows(text)
    assert {n: row.reason for n, row in enumerate(found) if isinstance(row, BrokenRow)} == broken
    people = ["a@b.de", "b@b.de", "c@b.de"]
    read = [row["email"] for row in found if isinstance(row, dict)]
    assert read == [who for n, who in enumerate(people) if n not in broken]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["plain", "stray", "cell", "break"]))))
def test_whatever_quotes_there_are_no_person_is_lost_in_silence(kinds):
    cells = {"plain": "x", "stray": '"x', "cell": '"x, ""y"""', "break": '"x\ny"'}
    text = "email,a,b,c,d\n"
    for n, (at, kind) in enumerate(kinds):
        line = ["", "", "", ""]
        line[at] = cells[kind]
        text += ",".join([f"p{n}@b.de", *line]) + "\n"
    found = rows(text)
    read = [row["email"] for row in found if isinstance(row, dict)]
    whole = [f"p{n}@b.de" for n, (_, kind) in enumerate(kinds) if kind != "stray"]
    # What stands on a line of its own is read, and who is not is named.
    assert set(whole) <= set(read)
    assert len(read) + sum(isinstance(row, BrokenRow) for row in found) >= len(kinds)


def test_an_open_quote_among_the_column_names_is_refused():
    for text in ('"email,name\na@b.de,x\n', 'email,"name\na@b.de,"x"\n'):
        with pytest.raises(InputError, match="line 1: a quote in the line of column names"):
            rows(text)


def test_a_column_name_may_hold_a_line_break_as_in_excel():
    assert rows('email,"First\nname"\na@b.de,x\n') == [{"email": "a@b.de", "First name": "x"}]


def test_a_quote_escaped_by_a_backslash_is_named_not_mangled():
    first, second = rows('email,x\na@b.de,"say \\"hi\\""\nb@b.de,"a\\"\n')
    assert first == BrokenRow('line 2: a quote within a quoted cell is written "", not \\"')
    assert second == {"email": "b@b.de", "x": "a\\"}


def test_a_cell_may_be_longer_than_python_s_csv_allows():
    (row,) = rows("email,x\na@b.de," + "x" * 400_000 + "\n")
    assert len(row["x"]) == 400_000


def test_a_line_without_end_is_refused_and_not_held_in_memory():
    class Endless:
        name = "endless"

        def read(self, size):
            return b"x" * size

    with pytest.raises(InputError, match="a line of more than 16777216 characters"):
        list(read_rows(Endless()))


def test_a_nul_in_a_row_is_named():
    assert rows("email,x\na@b.de,1\0\nb@b.de,2\n") == [
        BrokenRow("line 2: the row holds a NUL: the file is damaged, or not text"),
        {"email": "b@b.de", "x": "2"},
    ]


def test_a_first_line_sep_says_the_separator():
    for text in ("sep=;\r\nemail;x\r\na@b.de;1,5\r\n", '"sep=;"\nemail;x\na@b.de;1,5\n'):
        assert rows(text) == [{"email": "a@b.de", "x": "1,5"}]


def test_the_time_for_many_columns_grows_with_their_number():
    """Counted, not timed: names are looked at a fixed number of times each."""
    looks = 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other):
            nonlocal looks
            looks += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    check_columns([Name("email"), *(Name(f"c{n}") for n in range(20_000))], "list")
    assert looks < 100_000
    (row,) = rows(",".join(["email", *(f"c{n}" for n in range(100_000))]) + "\na@b.de\n")
    assert len(row) == 100_001


def test_lines_may_end_in_a_bare_cr():
    assert rows("email,x\ra@b.de,1\rb@b.de,2") == [
        {"email": "a@b.de", "x": "1"},
        {"email": "b@b.de", "x": "2"},
    ]


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


@pytest.mark.parametrize(
    "line", ["{", '{"a": }', "[" * 100_000, "nul", '{"n": 1' + "0" * 5000 + "}"]
)
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
    assert str(caught.value).endswith(
        "begins with a recipient: put a line of column names above it, such as email,name"
    )


def test_a_column_that_is_there_twice_is_refused():
    with pytest.raises(InputError, match="'x' is there twice"):
        rows("email,x,x\n")


LIST = "email,name\na@b.de,x\nc@d.de,Müller … €\n"
MEANT = [{"email": "a@b.de", "name": "x"}, {"email": "c@d.de", "name": "Müller … €"}]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_what_unicode_a_list_is_in_is_known_for_certain(encoding, tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(LIST.encode(encoding))
    said = []
    assert list(read_rows(path, notice=said.append)) == MEANT
    assert list(read_rows(io.BytesIO(LIST.encode(encoding)), notice=said.append)) == MEANT
    assert said == []


def test_windows_1252_is_recognised_with_a_word_about_it(tmp_path):
    path = tmp_path / "list.csv"
    # The first octet that is not ASCII stands far behind the first block.
    padding = "".join(f"p{n}@b.de,x\n" for n in range(20_000))
    path.write_bytes((LIST[:11] + padding + LIST[11:]).encode("cp1252"))
    said = []
    assert list(read_rows(path, notice=said.append))[-2:] == MEANT
    assert said == [
        f"{path} is not UTF-8: read as Windows-1252 (if names look wrong, say --encoding)"
    ]


def test_mac_roman_is_recognised_by_its_line_ends():
    said = []
    text = "email,name\ra@b.de,Zoë Müller\r"
    found = list(read_rows(io.BytesIO(text.encode("mac_roman")), notice=said.append))
    assert found == [{"email": "a@b.de", "name": "Zoë Müller"}]
    assert "Mac Roman" in said[0]


def test_an_encoding_that_was_said_is_believed():
    text = "email,name\na@b.de,Łucja\n"
    said = []
    found = read_rows(
        io.BytesIO(text.encode("cp1250")), encoding="windows-1250", notice=said.append
    )
    assert list(found) == [{"email": "a@b.de", "name": "Łucja"}]
    assert said == []


def test_an_encoding_that_nobody_knows_is_refused():
    with pytest.raises(InputError, match="there is no encoding 'klingon'"):
        list(read_rows(io.BytesIO(b"email\n"), encoding="klingon"))


def test_an_octet_that_the_encoding_lacks_names_its_line():
    with pytest.raises(InputError, match=r"line 3: octet 0xfc is not UTF-8; .* or say --encoding"):
        list(read_rows(io.BytesIO(LIST.encode("latin-1", "replace")), encoding="utf-8"))
    with pytest.raises(InputError, match=r"line 2: octet 0x81 is not Windows-1252"):
        list(read_rows(io.BytesIO(b"email,n\na@b.de,\x81\n"), notice=lambda _: None))


@pytest.mark.parametrize("names", [("email", "Email"), ("E-Mail", "mail"), ("email", "Courriel")])
def test_two_columns_with_an_address_are_named_and_not_guessed(names):
    with pytest.raises(
        InputError, match=f"2 columns with an address, '{names[0]}' and '{names[1]}'"
    ):
        rows(",".join(names) + "\na@b.de,c@d.de\n")


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
