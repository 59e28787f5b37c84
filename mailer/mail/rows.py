"""How a recipient list is read: CSV or JSON Lines, row by row.

Files are streamed: memory does not grow with the list. What is wrong with the file as a whole (no
such file, no column with an address, not UTF-8) is an `InputError`; what is wrong with one row is
a `BrokenRow` in its place, so that the rows after it are still read and numbers stay true.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Final, TypeAlias

from mailer.errors import InputError

_JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})
_DELIMITERS: Final = (",", ";", "\t")
_EMAIL_COLUMNS: Final = frozenset({"email", "emailaddress", "mail", "mailaddress"})
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that could not be read as fields, and the reason."""

    reason: str


Row: TypeAlias = dict[str, object] | BrokenRow


def is_email_column(name: object) -> bool:
    """Tell whether a column holds the address: ``email``, ``E-Mail``, ``Email Address``."""
    return isinstance(name, str) and re.sub(r"[\W_]+", "", name).casefold() in _EMAIL_COLUMNS


def read_rows(source: str | Path | IO[str] | IO[bytes]) -> Iterator[Row]:
    """Yield the rows of *source*: a path, ``-`` for standard input, or an open file.

    JSON Lines is known by its suffix or its first character ``{``; all else is CSV with a line of
    column names, separated by commas, semicolons or tabs. A byte order mark is skipped, as are
    blank lines. The file is read as UTF-8. Raises `InputError` when the list cannot be used at
    all.
    """
    if isinstance(source, str | Path) and str(source) != "-":
        return _read_path(Path(source))
    if isinstance(source, str | Path):
        return _read_stream(sys.stdin.buffer, "standard input", None)
    return _read_stream(source, str(getattr(source, "name", "the stream")), None)


def _read_path(path: Path) -> Iterator[Row]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with stream:
        yield from _read_stream(stream, str(path), path.suffix.lower())


def _read_stream(stream: IO[str] | IO[bytes], name: str, suffix: str | None) -> Iterator[Row]:
    lines = _lines(stream, name)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InputError(f"{name} is empty: it needs a line of column names, or JSON Lines")
    lines = chain((first,), lines)
    if suffix in _JSON_SUFFIXES or first.lstrip().startswith(("{", "[")):
        return _json_rows(lines, name)
    return _csv_rows(lines, name, first)


def _lines(stream: IO[str] | IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of *stream* as text, each with its line end."""
    lines: Iterable[str | bytes] = stream
    for number, line in enumerate(lines, 1):
        if isinstance(line, str):
            yield line.removeprefix("\ufeff") if number == 1 else line
            continue
        if number == 1 and line.startswith(_UTF16):
            raise InputError(f"{name} is UTF-16: save it as UTF-8")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}, line {number}: octet 0x{line[error.start]:02x} is not UTF-8; "
                "save the file as UTF-8 (it may be Windows-1252 or Latin-1)"
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text


def _json_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    for position, line in enumerate(filter(str.strip, lines)):
        if position == 0 and line.lstrip().startswith("["):
            raise InputError(f"{name} is a JSON array: write one object a line (JSON Lines)")
        yield _json_row(line)


def _json_row(line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BrokenRow(f"the line is not JSON: {getattr(error, 'msg', 'nested too deeply')}")
    if not isinstance(row, dict):
        return BrokenRow(f"the line is JSON, but a {type(row).__name__} and not an object")
    return row


def _csv_rows(lines: Iterator[str], name: str, first: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=_delimiter(first))
    try:
        columns = [column.strip() for column in next(reader)]
    except csv.Error as error:
        raise InputError(f"{name}: the line of column names is broken: {error}") from error
    _check_columns(columns, name)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BrokenRow(f"the row is broken CSV: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(columns):
            yield BrokenRow(
                f"the row has {len(cells)} fields where there are {len(columns)} columns"
            )
            continue
        yield {column: cell for column, cell in zip(columns, cells, strict=True) if column}


def _check_columns(columns: list[str], name: str) -> None:
    named = [column for column in columns if column]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise InputError(f"{name}: column {twice[0]!r} is there twice")
    if not any(map(is_email_column, named)):
        # A list without column names begins with an address, which is not repeated here.
        found = ", ".join(repr(column) for column in named if "@" not in column)
        raise InputError(
            f"{name} has no column 'email'; its first line names {found or 'no columns at all'}"
        )


def _delimiter(first: str) -> str:
    """Return the separator that the line of column names uses most, else a comma."""
    bare = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=bare.count)
