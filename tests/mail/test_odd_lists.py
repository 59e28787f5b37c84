"""Lists as programs and people write them, each with what becomes of its rows."""

import io

import pytest

from mailer.errors import InputError
from mailer.mail.recipients import Recipient, parse, read_rows

openpyxl = pytest.importorskip("openpyxl")


def people(octets: bytes) -> list[str]:
    """Return address and name of each row, or the reason why it is none."""
    found = [parse(row, n) for n, row in enumerate(read_rows(io.BytesIO(octets)), 1)]
    return [
        f"{p.email} {p.name or ''}".strip() if isinstance(p, Recipient) else p.reason for p in found
    ]


def workbook(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    octets = io.BytesIO()
    book.save(octets)
    return octets.getvalue()


A, B = "a@x.example", "b@x.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Quotes that nothing closes, wherever they stand: the row is named, those after it are read.
        (f'email,name\n{A},"Ada\n{B},Bob\n', ["line 2: a quote opens", f"{B} Bob"]),
        (f'email,name\n"{A},Ada\n{B},Bob\n', ["line 2: a quote opens", f"{B} Bob"]),
        (f'email\tname\n{A}\t"Ada\n{B}\tBob\n', ["line 2: a quote opens", f"{B} Bob"]),
        (f'email|name\n{A}|"Ada|\n{B}|B"ob\n', ["line 2: a quote opens", f'{B} B"ob']),
        (f'name,email\n"Ada, {A}\nBob,{B}\n', ["line 2: a quote opens", f"{B} Bob"]),
        (
            f'email,name,x\n{A},Ada,"\n{B},Bob,"\n',
            ["line 2: a quote opens", "line 3: a quote opens"],
        ),
        # Quotes that are no quotes.
        (f'email;size\n{A};5" tube\n{B};B "the" B\n', [A, B]),
        (f'email,name\n{A},"A"da\n', [f"{A} Ada"]),
        (f"email,name\n{A},'Ada\n{B},O'Brien\n", [f"{A} 'Ada", f"{B} O'Brien"]),
        (f"email,name\n{A},“Ada”\n", [f"{A} “Ada”"]),
        (f'email,name\n{A},"Ada ""the"" A"\n', [f'{A} Ada "the" A']),
        # Cells of several lines.
        (f'email,note\n{A},"one\ntwo"\n{B},"see c@x.example\nthere"\n', [A, B]),
        # Too few cells, too many, none.
        (f"email,name,city\n{A}\n,,\n\n{B},Bob,,,\n", [A, f"{B} Bob"]),
        (
            f"email,name\n{A},Lovelace, Ada\n",
            ["line 2: the row has 3 fields where there are 2 columns"],
        ),
        (
            f"email,,\n{A},note,\n",
            ["line 2: the row has 3 fields where there is 1 column with a name"],
        ),
        (f"email,,\n{A},,\n", [A]),
        # Separators.
        (f"sep=;\nemail;name\n{A};Ada\n", [f"{A} Ada"]),
        (f"sep=\t\nemail\tname\n{A}\tAda\n", [f"{A} Ada"]),
        (f'"sep=|"\nemail|name\n{A}|Ada\n', [f"{A} Ada"]),
        (f"email;amount\n{A};1.234,50\n", [A]),
        (f"email;name;amount\n{A};Ada;1,5\n{B};Bob;2,75\n", [f"{A} Ada", f"{B} Bob"]),
        # Line ends.
        (f"email,name\r{A},Ada\r{B},Bob", [f"{A} Ada", f"{B} Bob"]),
        (f"email,name\r\n\r\n{A},Ada\r\n", [f"{A} Ada"]),
        (f"email,name\n{A},Ada\n\x1a", [f"{A} Ada"]),
        (f"email,name\r\n{A},Ada\r\n\x1a\r\n", [f"{A} Ada"]),
        # Addresses in other clothes.
        (
            f'email\n<{A}>\nAda <{A}>\n"Ada, L" <{A}>\n',
            [A, f"{A} Ada", f"{A} Ada, L"],
        ),
        (f"email\n{A}\u00a0\n", [A]),
        (f"email\nmailto:{A}\n{A}.\n", ["the email address is malformed"] * 2),
        (f'email\n"{A}, {B}"\n{A};{B}\n', ["the email address is malformed"] * 2),
        (
            "email\na\u200b@x.example\na\u202e@x.example\n",
            ["the email address holds an invisible"] * 2,
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_each_row_is_read_or_named(text, expected, encoding):
    found = people(text.encode(encoding))
    assert len(found) == len(expected), found
    for person, start in zip(found, expected, strict=True):
        assert person.startswith(start) if start.startswith(("line", "the")) else person == start


@pytest.mark.parametrize(
    "column",
    [
        "email",
        "EMAIL",
        "e-mail",
        "E-Mail",
        "Email-Address",
        "E-mail·Address",
        "E-Mail-Adresse",
        "Mail",
        "e_mail",
        "mail·address",
        "E-mail·1·-·Value",
        "Adresse·e-mail",
        "Correo·electrónico",
        "Adres·e-mail",
        "Sähköposti",
        "Indirizzo·e-mail",
        "E-postadress",
        "Courriel",
    ],
)
def test_the_column_of_addresses_is_known_by_its_name(column):
    column = column.replace("·", " ")
    assert people(f"Name;{column}\nAda;{A}\n".encode()) == [f"{A} Ada"]


@pytest.mark.parametrize(
    "column", ["Emails sent", "to", "contact", "address", "email2", "e", "mail date"]
)
def test_what_is_another_column_is_not_taken_for_it(column):
    with pytest.raises(InputError, match="no column 'email'"):
        people(f"Name;{column}\nAda;{A}\n".encode())


@pytest.mark.parametrize(
    "title", ["My list", "List,of,people", '"a, b",,', "List;;", "Ada Lovelace"]
)
@pytest.mark.parametrize("gap", ["", "\n", ",,\n", "\n\n\n"])
def test_a_title_above_the_columns_is_told_with_the_line_of_the_columns(title, gap):
    text = f"{title}\n{gap}name,email\nAda,{A}\n"
    line = 2 + gap.count("\n")
    with pytest.raises(InputError, match=rf"; line {line} names one: delete the lines above it$"):
        people(text.encode())


def test_far_below_nothing_is_looked_for():
    with pytest.raises(InputError, match=r"names 'title'$"):
        people(("title\n" + "x\n" * 30 + f"email\n{A}\n").encode())


def test_a_workbooks_title_is_told_too():
    with pytest.raises(InputError, match=r"names 'My list'; line 3 names one"):
        people(workbook(["My list"], [None], ["name", "email"], ["Ada", A]))


def test_rows_of_a_workbook_are_numbered_as_excel_shows_them():
    rows = workbook([None], [None], ["email", "name"], [A, "Ada"], [B, "Bob", "more"])
    assert people(rows) == [
        f"{A} Ada",
        "line 5: the row has 3 cells where there are 2 columns with a name",
    ]


def test_empty_columns_at_the_end_of_a_workbook_are_none():
    assert people(workbook(["email", "name", None, " "], [A, "Ada", None, " "])) == [f"{A} Ada"]
    (reason,) = people(workbook(["email", None], [A, "a note"]))
    assert reason == "line 2: the row has 2 cells where there is 1 column with a name"


@pytest.mark.parametrize(
    "error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"]
)
def test_a_cell_with_an_error_breaks_its_row_alone(error):
    found = people(workbook(["email", "name"], [A, error], [B, "Bob"]))
    assert found == [f"cell B2 holds the error {error}", f"{B} Bob"]
