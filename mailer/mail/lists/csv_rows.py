"""How CSV is read: what spreadsheets write, and what they write wrongly.

Python's `csv` takes an opening quote that is never closed for a cell that holds the rest of the
file: the people in it would get nothing, and nobody would hear of it. So each row that runs over
several lines is looked at again. When it cannot be what was meant, the line with the quote is a
`BrokenRow`, and reading goes on with the line after it.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from mailer.errors import InputError
from mailer.mail.lists.columns import BrokenRow, Row, email_columns

_DELIMITERS: Final = (",", ";", "\t", "|")
_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\s@,;<>\"]+")
_END_OF_FILE: Final = "\x1a"
"""Ctrl-Z: how programs of DOS's time end a file."""

_LOOKED_AT: Final = 20
"""Lines or rows in which column names are looked for that are not in the first."""

_QUOTED: Final = re.compile(r'"[^"]*"')

# A cell may be as long as a line (`mailer.mail.lists.decoding`): an article, a picture in base64.
csv.field_size_limit(1 << 24)


class CsvRows:
    """The rows of *lines*, before which the file has *before* empty ones; iterate over it once.

    Raises `InputError` when the line of column names cannot be used. Short rows are filled up with empty
    cells and empty cells too many are dropped: Excel and Outlook write both. Rows without any
    content are passed over.
    """

    def __init__(self, lines: Iterator[str], name: str, before: int = 0) -> None:
        self._source = lines
        # Lines that were read too far, to be read again.
        self._again: deque[tuple[int, str]] = deque()
        self._taken: list[tuple[int, str]] = []
        self._number = before
        self._name = name
        self._delimiter = ","
        self._columns = self._header()
        self._email = self._columns.index(email_columns(self._columns)[0])
        self._reader = self._new_reader()

    def __iter__(self) -> Iterator[Row]:
        """Yield one row after the other."""
        while True:
            self._taken = []
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._broken(f"the row is broken CSV: {error}")
                continue
            fault = self._fault()
            if fault:
                yield self._broken(fault)
            elif any(map(str.strip, cells)) and cells != [_END_OF_FILE]:
                yield self._row(cells)

    # Lines.

    def _lines(self) -> Iterator[str]:
        """Yield lines, remembering those of the row that is being read."""
        while True:
            if self._again:
                number, line = self._again.popleft()
            else:
                following = next(self._source, None)
                if following is None:
                    return
                self._number += 1
                number, line = self._number, following
            self._taken.append((number, line))
            yield line

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines(), delimiter=self._delimiter)

    def _broken(self, reason: str) -> BrokenRow:
        """Return the row's first line as broken, and go on with the line after it."""
        self._again.extendleft(reversed(self._taken[1:]))
        self._reader = self._new_reader()
        return BrokenRow(reason)

    # The line of column names.

    def _header(self) -> list[str]:
        lines = self._lines()
        first = next((line for line in lines if line.strip()), "")
        said = _SEPARATOR.fullmatch(first)
        if said:
            self._delimiter = said[1]
            first = next((line for line in lines if line.strip()), "")
        else:
            self._delimiter = _delimiter(first)
        self._again.append(self._taken[-1] if self._taken else (1, first))
        self._taken = []
        try:
            cells: list[str] = next(self._new_reader(), [])
        except csv.Error as error:
            raise InputError(
                f"{self._name}: the line of column names is broken: {error}"
            ) from error
        columns = [" ".join(cell.split()) for cell in cells]
        while columns and not columns[-1]:
            columns.pop()
        self._check(columns)
        return columns

    def _check(self, columns: Sequence[str]) -> None:
        if len(self._taken) > 1 and (self._unclosed() or self._swallowed(len(columns), None)):
            raise InputError(
                f"{self._name}, line {self._taken[0][0]}: a quote in the line of column names is "
                "not closed"
            )
        check_columns(columns, self._name, self._later())

    def _later(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number and cells of the lines after the first."""
        for number, line in enumerate(self._source, self._number + 1):
            yield number, line.strip().replace('"', "").split(_delimiter(line))

    # One row.

    def _row(self, cells: list[str]) -> Row:
        columns = self._columns
        missing = len(columns) - len(cells)
        if missing > 0:
            cells += [""] * missing
        elif missing < 0 and any(map(str.strip, cells[len(columns) :])):
            return BrokenRow(
                f"line {self._taken[0][0]}: the row has {len(cells)} fields where there "
                f"{named_columns(len(columns))}"
            )
        return {column: cell for column, cell in zip(columns, cells, strict=False) if column}

    def _fault(self) -> str | None:
        """Return what is wrong with the row as such, or with its quotes."""
        number, line = self._taken[0]
        if "\0" in line:
            fault = "the row holds a NUL: the file is damaged, or not text"
        elif '"' in line:
            fault = self._quote_fault(line)
        else:
            return None
        return fault and f"line {number}: {fault}"

    def _quote_fault(self, line: str) -> str:
        alone = len(self._taken) == 1
        if alone and '\\"' in line and not self._is_strict():
            return 'a quote within a quoted cell is written "", not \\"'
        # A row on a line of its own is left open at the end of the file only.
        if (not alone or line.count('"') % 2) and self._unclosed():
            return "a quote opens a cell and nothing closes it"
        swallowed = not alone and self._swallowed(len(self._columns), self._email)
        if not alone and (swallowed or not self._is_strict()):
            return "a quote opens a cell that swallows the rows after it"
        return ""

    def _is_strict(self) -> bool:
        return self._strict_fault() is None

    def _unclosed(self) -> bool:
        return "unexpected end" in (self._strict_fault() or "")

    def _strict_fault(self) -> str | None:
        """Return what a reader says that forgives nothing."""
        texts = [line for _, line in self._taken]
        try:
            for _ in csv.reader(texts, delimiter=self._delimiter, strict=True):
                pass
        except csv.Error as error:
            return str(error)
        return None

    def _swallowed(self, width: int, email: int | None) -> bool:
        """Tell whether a later line of a row of *width* cells looks like a row of its own.

        *email* is the column with the address; None looks in all.
        """
        if width == 1:
            return True
        for _, line in self._taken[1:]:
            parts = [part.strip(' \t\r\n"') for part in line.split(self._delimiter)]
            if len(parts) > 1 and any(
                map(_ADDRESS.fullmatch, parts if email is None else parts[email : email + 1])
            ):
                return True
        return False


def named_columns(count: int) -> str:
    """Return how many columns have a name, in words that follow "there"."""
    return "is 1 column with a name" if count == 1 else f"are {count} columns with a name"


def check_columns(
    columns: Sequence[str], name: str, later: Iterable[tuple[int, Sequence[object]]] = ()
) -> None:
    """Raise `InputError` unless *columns* name each thing once, and one of them the address.

    *later* are the rows after them, with their numbers: some lists begin with a title.
    """
    named = Counter(column for column in columns if column)
    twice = sorted(column for column, count in named.items() if count > 1)
    if twice:
        raise InputError(f"{name}: column {twice[0]!r} is there twice")
    found = email_columns(named)
    if not found:
        if any(map(_ADDRESS.fullmatch, named)):  # which is not repeated here
            raise InputError(
                f"{name} begins with a recipient: put a line of column names above it, such as email,name"
            )
        shown = ", ".join(map(repr, list(named)[:20]))
        raise InputError(
            f"{name} has no column 'email'; its first line names {shown or 'no columns at all'}"
            + _below(later)
        )
    if len(found) > 1:
        both = " and ".join(map(repr, found[:3]))
        raise InputError(
            f"{name} has {len(found)} columns with an address, {both}: keep one, or rename the others"
        )


def _below(later: Iterable[tuple[int, Sequence[object]]]) -> str:
    """Return where the column names are, if they are in one of the next rows."""
    for number, cells in islice(later, _LOOKED_AT):
        if email_columns(cells):
            return f"; line {number} names one: delete the lines above it"
    return ""


def _delimiter(first: str) -> str:
    """Return the separator that the line of column names uses most, else a comma."""
    bare = _QUOTED.sub("", first)
    return max(_DELIMITERS, key=bare.count)
