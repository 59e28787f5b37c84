"""Lists as spreadsheet programs and address books write them, by their manuals, octet for octet."""

import io
from datetime import date
from zipfile import ZipFile

import openpyxl
import pytest

from mailer.errors import InputError
from mailer.mail.recipients import Recipient, parse
from mailer.mail.rows import BrokenRow, read_rows

PEOPLE = [("ada@example.org", "Zoë Müller", "1,5"), ("bob@example.org", "Bob", "")]


def read(octets: bytes) -> list[tuple[str, str | None, object]]:
    """Address, display name and points of every row."""
    found = []
    for number, row in enumerate(read_rows(io.BytesIO(octets), notice=lambda _: None), 1):
        one = parse(row, number)
        assert isinstance(one, Recipient), one
        points = next((v for k, v in one.fields.items() if k.lower() == "points"), "")
        found.append((one.email, one.name, points))
    return found


EXPORTS = {
    "excel, csv (german windows)": "E-Mail;Name;Points\r\nada@example.org;Zoë Müller;1,5\r\n"
    "bob@example.org;Bob;\r\n".encode("cp1252"),
    "excel, csv utf-8": b"\xef\xbb\xbf"
    + 'Email,Name,Points\r\nada@example.org,Zoë Müller,"1,5"\r\nbob@example.org,Bob,\r\n'.encode(),
    "excel, unicode text": "Email\tName\tPoints\r\nada@example.org\tZoë Müller\t1,5\r\n"
    "bob@example.org\tBob\t\r\n".encode("utf-16"),
    "excel, csv (macintosh)": "Email;Name;Points\rada@example.org;Zoë Müller;1,5\r"
    "bob@example.org;Bob;\r".encode("mac_roman"),
    "excel with sep=": "sep=;\r\nEmail;Name;Points\r\nada@example.org;Zoë Müller;1,5\r\n"
    "bob@example.org;Bob\r\n;;\r\n".encode(),
    "libreoffice, all text cells quoted": '"Email","Name","Points"\n"ada@example.org","Zoë Müller",'
    '"1,5"\n"bob@example.org","Bob",\n'.encode(),
    "google sheets": 'Email,Name,Points\r\nada@example.org,Zoë Müller,"1,5"\r\n'
    "bob@example.org,Bob,".encode(),
    "numbers, empty columns behind": "Email;Name;Points;;\nada@example.org;Zoë Müller;1,5;;\n"
    "bob@example.org;Bob;;;\n;;;;\n".encode(),
    "outlook contacts, german": '"Vorname","Name","E-Mail-Adresse","E-Mail 2: Adresse","Points"\r\n'
    '"Zoë","Zoë Müller","ada@example.org","","1,5"\r\n"","Bob","bob@example.org"\r\n'.encode(
        "cp1252"
    ),
    "google contacts": "Name,E-mail 1 - Label,E-mail 1 - Value,Points\nZoë Müller,* Work,"
    'ada@example.org,"1,5"\nBob,,bob@example.org,\n'.encode(),
    "outlook, names beside addresses": 'email,Points\r\n"Zoë Müller <ada@example.org>","1,5"\r\n'
    '"""Bob"" <bob@example.org>",\r\n'.encode(),
}


@pytest.mark.parametrize("octets", EXPORTS.values(), ids=EXPORTS)
def test_the_same_two_people_are_read(octets):
    assert read(octets) == PEOPLE


def workbook(*rows: list[object], sheets: tuple[str, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for title in sheets:
        book.create_sheet(title).append(["other"])
    octets = io.BytesIO()
    book.save(octets)
    return octets.getvalue()


def test_a_workbook_is_read_as_what_its_cells_are():
    octets = workbook(
        ["Email", "Name", "Points", "Since", None],
        ["ada@example.org", "Zoë Müller", 1.5, date(2026, 3, 1), None],
        [None, None, None, None],
        ["bob@example.org", "Bob"],
        ["cy@example.org", "Cy", 3.0, None],
    )
    assert list(read_rows(io.BytesIO(octets))) == [
        {
            "Email": "ada@example.org",
            "Name": "Zoë Müller",
            "Points": 1.5,
            "Since": date(2026, 3, 1),
        },
        {"Email": "bob@example.org", "Name": "Bob", "Points": "", "Since": ""},
        {"Email": "cy@example.org", "Name": "Cy", "Points": 3, "Since": ""},
    ]


def test_of_several_sheets_the_one_in_front_is_read_with_a_word_about_it(tmp_path):
    path = tmp_path / "list.xlsx"
    path.write_bytes(workbook(["email"], ["a@b.de"], sheets=("Archive",)))
    said = []
    assert list(read_rows(path, notice=said.append)) == [{"email": "a@b.de"}]
    assert said == [f"{path}: the sheet 'Sheet' is read, of 2"]


def test_a_cell_with_an_error_breaks_its_row_only():
    octets = workbook(["email", "x"], ["a@b.de", "#N/A"], ["b@b.de", "1"])
    first, second = read_rows(io.BytesIO(octets))
    assert first == BrokenRow("cell B2 holds the error #N/A")
    assert second == {"email": "b@b.de", "x": "1"}


def test_other_formats_of_spreadsheets_are_refused_with_what_to_do():
    with pytest.raises(InputError, match=r"Excel before 2007: save it as \.xlsx"):
        list(read_rows(io.BytesIO(b"\xd0\xcf\x11\xe0" + b"\0" * 600)))
    ods = io.BytesIO()
    with ZipFile(ods, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(InputError, match="no Excel workbook: save it as"):
        list(read_rows(io.BytesIO(ods.getvalue())))
    with pytest.raises(InputError, match="cannot be read as an Excel workbook"):
        list(read_rows(io.BytesIO(b"PK\x03\x04" + b"x" * 100)))


@pytest.mark.parametrize("rows", [[], [[None]], [["name"], ["Ada"]], [["email", "E-Mail"]]])
def test_a_workbook_without_one_column_of_addresses_is_refused(rows):
    with pytest.raises(InputError, match=r"is empty|no column 'email'|2 columns with an address"):
        list(read_rows(io.BytesIO(workbook(*rows))))


def test_hidden_rows_are_read_and_counted_aloud():
    book = openpyxl.Workbook()
    for row in (["email"], ["a@b.de"], ["b@b.de"], ["c@b.de"]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = book.active.row_dimensions[4].hidden = True
    octets, said = io.BytesIO(), []
    book.save(octets)
    octets.seek(0)
    assert len(list(read_rows(octets, notice=said.append))) == 3
    assert said == ["the stream: 2 hidden rows of the sheet 'Sheet' are read, too"]


def with_cells(cells: str) -> bytes:
    """A workbook whose sheet is written by hand, as other programs do."""
    octets = io.BytesIO()
    with ZipFile(io.BytesIO(workbook(["email"]))) as old, ZipFile(octets, "w") as new:
        for part in old.namelist():
            sheet = part == "xl/worksheets/sheet1.xml"
            new.writestr(part, cells if sheet else old.read(part))
    return octets.getvalue()


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    '<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c></row>{}</sheetData></worksheet>'
)


@pytest.mark.parametrize("result", ["", "<v></v>", "<v/>"])
@pytest.mark.parametrize("formula", ["<f>B2</f>", '<f t="shared" si="0"/>'])
@pytest.mark.parametrize("before", ["", " " * ((1 << 20) - 300)])
def test_a_formula_that_was_never_calculated_loses_nobody_silently(formula, result, before):
    sheet = SHEET.format(f'{before}<row r="2"><c r="A2" s="0">{formula}{result}</c></row>')
    with pytest.raises(InputError, match="results of 1 formulas are not in the file: open it in"):
        list(read_rows(io.BytesIO(with_cells(sheet))))


def test_a_formula_with_a_result_is_read_also_where_that_is_empty_text():
    sheet = SHEET.format(
        '<row r="2"><c r="A2" t="str"><f>B2</f><v>a@b.de</v></c></row>'
        '<row r="3"><c r="A3" t="str"><f>B3</f><v></v></c></row>'
    )
    assert list(read_rows(io.BytesIO(with_cells(sheet)))) == [{"email": "a@b.de"}]


def test_a_workbook_with_a_password_is_named_as_one():
    octets = b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(InputError, match=r"protected with a password: take it off, or save it as"):
        list(read_rows(io.BytesIO(octets)))


def test_damage_behind_the_first_rows_is_said_in_one_line():
    rows = '<row r="2"><c r="A2" t="inlineStr"><is><t>a@b.de</t></is></c></row>'
    octets = with_cells(SHEET.format(rows + " " * 200_000 + "<row"))
    with pytest.raises(InputError, match=r"cannot be read as an Excel workbook \(ParseError\)"):
        list(read_rows(io.BytesIO(octets)))
    damaged = octets.replace(b"a@b.de", b"b@b.de", 1)
    with pytest.raises(InputError, match=r"cannot be read as an Excel workbook \(BadZipFile\)"):
        list(read_rows(io.BytesIO(damaged)))
