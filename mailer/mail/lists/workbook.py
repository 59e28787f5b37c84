"""How a recipient list is read out of an Excel workbook (``.xlsx``), row by row.

openpyxl reads it as a stream, an optional package (``celery-mailer[xlsx]``). The list is the sheet that
was in front when the file was saved. Cells come as what they are, numbers and dates too; empty ones are
empty text, as in CSV; a cell with an error (``#N/A``) breaks its row, so that nobody reads it in
a mail. Hidden rows are read like others, as Excel itself writes them into a CSV, and how many is said.
"""

import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, time
from typing import IO, Any, Final

from mailer.errors import InputError
from mailer.mail.lists.columns import BrokenRow, Row
from mailer.mail.lists.csv_rows import check_columns, named_columns
from mailer.mail.lists.decoding import Notice

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"
_MEMORY: Final = 1 << 22
"""Octets of a workbook that are kept in memory; a larger one lies in a temporary file."""

_MISSING: Final = "reading Excel workbooks needs an extra: pip install 'celery-mailer[xlsx]'"
_SEALED: Final = "EncryptedPackage".encode("utf-16-le")
"""What a workbook with a password holds, which Excel wraps in a file of the old format."""

_LOOKED_THROUGH: Final = 1 << 20
_KEPT: Final = 10_000
"""Octets of the part before that are looked at again: a cell's formula may lie across both."""

_HIDDEN: Final = re.compile(rb'<row\b[^>]{0,400}\bhidden="(?:1|true)"')
# A formula's result may be empty text: then the cell says that it is text.
_NEVER_CALCULATED: Final = re.compile(
    rb"""<c\b(?![^>]{0,400}\bt="str")[^>]{0,400}>\s*<f\b(?:[^>]{0,400}/>|[^>]{0,400}>[^<]{0,8200}</f>)"""
    rb"""\s*(?:<v>\s*</v>|<v\s*/>)?\s*</c>"""
)
_OTHER: Final = "save it as .xlsx (Excel workbook) or as CSV (UTF-8)"


def is_workbook(head: bytes) -> bool:
    """Tell whether a file that begins with *head* is a spreadsheet program's own."""
    return head.startswith((_ZIP, _OLE))


def workbook_rows(blocks: Iterable[bytes], name: str, notice: Notice) -> Iterator[Row]:
    """Yield the rows of the workbook that *blocks* are the octets of.

    Raises `InputError` for a file that is no ``.xlsx``, and for a list without a column of addresses.
    """
    with tempfile.SpooledTemporaryFile(_MEMORY) as file:
        for block in blocks:
            file.write(block)
        file.seek(0)
        if file.read(4) == _OLE:
            raise InputError(f"{name} is {_old_or_sealed(file)}")
        file.seek(0)
        book = _opened(file, name)
        try:
            yield from _rows(book, name, notice)
        except InputError:
            raise
        except Exception as error:  # damage further down: the file's end, a checksum
            raise _unreadable(name, error) from error
        finally:
            book.close()


def _old_or_sealed(file: IO[bytes]) -> str:
    before = b""
    while block := file.read(_LOOKED_THROUGH):
        if _SEALED in before + block:
            return f"protected with a password: take it off, or {_OTHER}"
        before = block[-len(_SEALED) :]
    return f"in the format of Excel before 2007: {_OTHER}"


def _opened(file: IO[bytes], name: str) -> Any:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - optional
    except ImportError:
        raise InputError(f"{name}: {_MISSING}") from None
    try:
        is_excel = "xl/workbook.xml" in zipfile.ZipFile(file).namelist()
        file.seek(0)
        if is_excel:
            return load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except Exception as error:  # whatever damaged bytes provoke in three libraries
        raise _unreadable(name, error) from error
    raise InputError(f"{name} is a compressed file, but no Excel workbook: {_OTHER}")


def _unreadable(name: str, error: Exception) -> InputError:
    what = type(error).__name__
    return InputError(f"{name} cannot be read as an Excel workbook ({what}): {_OTHER}")


def _rows(book: Any, name: str, notice: Notice) -> Iterator[Row]:
    sheet = book.active
    if sheet is None or not hasattr(sheet, "iter_rows"):
        raise InputError(f"{name}: the sheet in front holds no cells")
    others = [other for other in book.sheetnames if other != sheet.title]
    if others:
        notice(f"{name}: the sheet {sheet.title!r} is read, of {len(others) + 1}")
    _look_through(book, sheet, name, notice)
    sheet.reset_dimensions()  # some programs write it wrongly, and rows would be cut off
    cells = enumerate(sheet.iter_rows(), 1)
    columns = _columns(cells, name)
    for number, row in cells:
        read = _row(columns, row, number)
        if read is not None:
            yield read


def _look_through(book: Any, sheet: Any, name: str, notice: Notice) -> None:
    """Say how many rows are hidden; refuse formulas without results, which would be read as empty."""
    hidden = formulas = 0
    before = b""
    with book._archive.open(sheet._worksheet_path) as stream:  # noqa: SLF001 - cells tell neither
        while block := stream.read(_LOOKED_THROUGH):
            part = before + block
            hidden += _ending_after(_HIDDEN, part, len(before))
            formulas += _ending_after(_NEVER_CALCULATED, part, len(before))
            before = part[-_KEPT:]
    if formulas:
        raise InputError(
            f"{name}: the results of {formulas} formulas are not in the file: open it in Excel or "
            "LibreOffice, and save it there"
        )
    if hidden:
        notice(f"{name}: {hidden} hidden rows of the sheet {sheet.title!r} are read, too")


def _ending_after(pattern: re.Pattern[bytes], part: bytes, place: int) -> int:
    """How many matches were not seen whole in the first *place* octets."""
    return sum(found.end() > place for found in pattern.finditer(part))


def _columns(rows: Iterator[tuple[int, Any]], name: str) -> list[str]:
    for _, row in rows:
        columns = [" ".join(str(_value(cell)).split()) for cell in row]
        while columns and not columns[-1]:
            columns.pop()
        if columns:
            check_columns(columns, name, ((n, [_value(cell) for cell in row]) for n, row in rows))
            return columns
    raise InputError(f"{name} is empty: its first row must hold the names of the columns")


def _row(columns: list[str], row: Any, number: int) -> Row | None:
    values = [_value(cell) for cell in row]
    if not any(value != "" for value in values):
        return None
    for cell in row:
        if getattr(cell, "data_type", None) == "e":
            return BrokenRow(f"cell {cell.coordinate} holds the error {cell.value}")
    if any(value != "" for value in values[len(columns) :]):
        return BrokenRow(
            f"line {number}: the row has {len(values)} cells where there {named_columns(len(columns))}"
        )
    values += [""] * (len(columns) - len(values))
    return {column: value for column, value in zip(columns, values, strict=False) if column}


def _value(cell: Any) -> object:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return "" if not value.strip() else value
    if isinstance(value, datetime) and value.time() == time():
        return value.date()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value
