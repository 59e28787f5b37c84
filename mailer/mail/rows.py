"""How a recipient list is read: CSV, JSON Lines or an Excel workbook, row by row.

Files are streamed: memory does not grow with the list. What is wrong with the file as a whole (no
such file, no column with an address, an encoding that it is not in) is an `InputError`; what is wrong
with one row is a `BrokenRow` in its place, so that the rows after it are still read and numbers stay
true.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from mailer.errors import InputError
from mailer.mail.lists.columns import BrokenRow, Row, is_email_column
from mailer.mail.lists.csv_rows import CsvRows
from mailer.mail.lists.decoding import BLOCK, Notice, lines_of, text_lines
from mailer.mail.lists.workbook import is_workbook, workbook_rows

__all__ = ["BrokenRow", "Row", "is_email_column", "read_rows"]

_JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})

log = logging.getLogger(__name__)


def read_rows(
    source: str | Path | IO[str] | IO[bytes],
    *,
    encoding: str | None = None,
    notice: Notice = log.warning,
) -> Iterator[Row]:
    """Yield the rows of *source*: a path, ``-`` for standard input, or an open file.

    JSON Lines is known by its suffix or its first character ``{``, a workbook (``.xlsx``) by its
    first octets; all else is CSV with a line of column names, separated by commas, semicolons, tabs or
    bars, or as a first line ``sep=;`` says. A byte order mark is skipped, as are blank lines. The
    file is UTF-8, UTF-16, or in *encoding*; where it is none of these it is read as Windows-1252,
    and *notice* is told so in a sentence. Raises `InputError` when the list cannot be used at all.
    """
    if isinstance(source, str | Path) and str(source) != "-":
        return _read_path(Path(source), encoding, notice)
    if isinstance(source, str | Path):
        source, name = sys.stdin.buffer, "standard input"
    else:
        name = str(getattr(source, "name", "the stream"))
    return read_blocks(_blocks(source), name, encoding=encoding, notice=notice)


def read_blocks(
    blocks: Iterator[Any], name: str, *, encoding: str | None, notice: Notice
) -> Iterator[Row]:
    """Yield the rows of the list *name* that comes as *blocks* of octets or text; see `read_rows`."""
    return _read_blocks(_Once(blocks), name, None, encoding, notice)


def _read_path(path: Path, encoding: str | None, notice: Notice) -> Iterator[Row]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with stream:
        again = _Again(stream)
        yield from _read_blocks(again, str(path), path.suffix.lower(), encoding, notice)


class _Again:
    """The blocks of a file, from its start each time; a pipe's only once, as they come."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.whole = stream.seekable()

    def __iter__(self) -> Iterator[bytes]:
        if self.whole:
            # The second look must not move the first one's place.
            with Path(self._stream.name).open("rb") as stream:
                yield from _blocks(stream)
        else:
            yield from _blocks(self._stream)


class _Once:
    """Blocks that can be had once."""

    whole = False

    def __init__(self, blocks: Iterator[Any]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Any]:
        return self._blocks


def _blocks(stream: Iterable[Any]) -> Iterator[Any]:
    """Yield what *stream* holds as it comes, octets or text."""
    # read1 gives what is there: a pipe's rows are not held up until a block is full.
    read: Callable[[int], Any] | None = getattr(stream, "read1", getattr(stream, "read", None))
    if read is None:
        yield from stream
        return
    while block := read(BLOCK):
        yield block


def _read_blocks(
    blocks: _Again | _Once, name: str, suffix: str | None, encoding: str | None, notice: Notice
) -> Iterator[Row]:
    parts = iter(blocks)
    head = next(parts, b"")
    if isinstance(head, bytes) and is_workbook(head):
        return workbook_rows(chain((head,), parts), name, notice)
    if isinstance(head, str):
        lines = text_lines(chain((head,), parts), name)
    elif blocks.whole:
        lines = lines_of(blocks, name, encoding, notice, whole=True)
    else:
        lines = lines_of(_Once(chain((head,), parts)), name, encoding, notice, whole=False)
    return _rows(lines, name, suffix)


def _rows(lines: Iterator[str], name: str, suffix: str | None) -> Iterator[Row]:
    before, first = next(((n, line) for n, line in enumerate(lines) if line.strip()), (0, None))
    if first is None:
        raise InputError(f"{name} is empty: it needs a line of column names, or JSON Lines")
    lines = chain((first,), lines)
    if suffix in _JSON_SUFFIXES or first.lstrip().startswith(("{", "[")):
        return _json_rows(lines, name)
    return iter(CsvRows(lines, name, before))


def _json_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    for position, line in enumerate(filter(str.strip, lines)):
        if position == 0 and line.lstrip().startswith("["):
            raise InputError(f"{name} is a JSON array: write one object a line (JSON Lines)")
        yield _json_row(line)


def _json_row(line: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return BrokenRow(f"the line is not JSON: {error.msg}")
    except ValueError:
        return BrokenRow("the line holds a number of more than 4300 digits")
    except RecursionError:
        return BrokenRow("the line is JSON nested too deeply")
    if not isinstance(row, dict):
        return BrokenRow(f"the line is JSON, but a {type(row).__name__} and not an object")
    return row
