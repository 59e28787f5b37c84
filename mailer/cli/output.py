"""How things are shown: tables and colours for a terminal, plain lines and JSON for a pipe.

The one way out to a person: all text passes through `mailer.mail.foreign`, and none is read as markup.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from typing import TYPE_CHECKING

import click

from mailer.cli.lines import broken, pasteable
from mailer.mail.counts import count
from mailer.mail.durations import spoken
from mailer.mail.foreign import csv_cell, one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

# Rich is for terminals: who writes into a pipe does not load it.

_STYLES = {
    "accepted": "green",
    "rejected": "red",
    "uncertain": "yellow",
    "dead": "red",
    "stopped": "red",
    "cooling": "yellow",
    "running": "green",
    "paused": "yellow",
    "cancelled": "dim",
}

_GAP = 3
"""Blanks between two columns on a terminal."""


def console() -> Console:
    """The terminal, or whatever standard output is; made anew because tests change it."""
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def on_terminal() -> bool:
    """Whether a person looks at standard output right now."""
    return sys.stdout.isatty()


def say(text: str = "", *, err: bool = False) -> None:
    """Print *text*; what would act on a terminal is written out.

    With *err* it goes to standard error, and the commands that it names can be pasted.
    """
    click.echo(broken(shown(pasteable(text))) if err else shown(text), err=err)


def styled(word: str) -> Text:
    """*word*, coloured by what it means."""
    from rich.text import Text  # noqa: PLC0415

    return Text(one_line(word), style=_STYLES.get(word, ""))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* under *headings*: drawn on a terminal, padded lines without wrapping elsewhere.

    A number stands to the right. Lines are broken between words only: where the terminal is too narrow
    for that, each row is a paragraph of its own.
    """
    texts = [[_text(cell) for cell in row] for row in rows]
    right = [all(_numeric(row[i]) for row in texts if row[i]) for i in range(len(headings))]
    if not on_terminal():
        _padded(headings, texts, right)
    elif _narrowest(headings, texts) <= console().width:
        _drawn(headings, texts, right)
    else:
        _as_paragraphs(headings, texts)


def _drawn(headings: Sequence[str], texts: list[list[str]], right: list[bool]) -> None:
    from rich.table import Table  # noqa: PLC0415

    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for heading, is_number, width in zip(headings, right, _widths(headings, texts), strict=True):
        drawn.add_column(heading, justify="right" if is_number else "left", width=width)
    for row in texts:
        drawn.add_row(*map(styled, row))
    console().print(drawn)


def _widths(headings: Sequence[str], texts: list[list[str]]) -> list[int]:
    """Each column as wide as its longest word, and what is left of the line to the first that want it."""
    columns = [*zip(headings, *texts, strict=True)]
    widths = [max(map(_longest_word, column)) for column in columns]
    left = console().width - _narrowest(headings, texts)
    for number, column in enumerate(columns):
        more = min(left, max(map(_cells, column)) - widths[number])
        widths[number] += more
        left -= more
    return widths


def _as_paragraphs(headings: Sequence[str], texts: list[list[str]]) -> None:
    from rich.text import Text  # noqa: PLC0415

    widest = max(map(len, headings))
    for row in texts:
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                line = Text.assemble((f"{heading:>{widest}}  ", "bold"), styled(cell))
                console().print(line, soft_wrap=True)
        click.echo()


def _padded(headings: Sequence[str], texts: list[list[str]], right: list[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    for row in ([heading.upper() for heading in headings], *texts):
        cells = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _narrowest(headings: Sequence[str], texts: list[list[str]]) -> int:
    """How wide a terminal must be so that no word is broken."""
    columns = zip(headings, *texts, strict=True)
    return sum(max(map(_longest_word, column)) + _GAP for column in columns)


def _longest_word(text: str) -> int:
    return max(map(_cells, text.split()), default=0)


def _cells(text: str) -> int:
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(text)


def as_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print CSV: every field quoted, none that a spreadsheet takes for a formula."""
    writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(headings)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)


def as_json(value: object) -> None:
    """Print *value* as JSON: indented for a person, one line for a program."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if on_terminal() else None))


def span(seconds: float | None) -> str:
    """*seconds* as a person says them: ``3 min``, ``2 h 5 min``; a dash where unknown."""
    return "-" if seconds is None else spoken(seconds)


def moment(at: float | None) -> str:
    """*at* (seconds since the epoch) as local date and time; a dash where there is none."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "-"


def _text(cell: object) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return count(cell) if on_terminal() else str(cell)
    return "" if cell is None else one_line(str(cell))


def _numeric(text: str) -> bool:
    return text.replace(",", "").replace(".", "", 1).isdigit()
