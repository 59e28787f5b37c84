"""How things are shown: tables and colours for a terminal, plain lines and JSON for a pipe."""

import json
import sys
import time
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table

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


def console() -> Console:
    """The terminal, or whatever standard output is; made anew because tests change it."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def on_terminal() -> bool:
    """Whether a person looks at standard output right now."""
    return sys.stdout.isatty()


def styled(word: str) -> str:
    """*word* in rich's markup, coloured by what it means."""
    style = _STYLES.get(word)
    return f"[{style}]{word}[/]" if style else word


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* under *headings*: drawn on a terminal, padded lines without wrapping elsewhere.

    A number stands to the right.
    """
    texts = [[_text(cell) for cell in row] for row in rows]
    right = [all(_numeric(row[i]) for row in texts if row[i]) for i in range(len(headings))]
    if on_terminal():
        drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
        for heading, is_number in zip(headings, right, strict=True):
            drawn.add_column(heading, justify="right" if is_number else "left", overflow="fold")
        for row in texts:
            drawn.add_row(*[styled(_escaped(cell)) for cell in row])
        console().print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    for row in ([heading.upper() for heading in headings], *texts):
        cells = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def as_json(value: object) -> None:
    """Print *value* as JSON: indented for a person, one line for a program."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if on_terminal() else None))


def count(number: int) -> str:
    """*number* with its thousands apart, as people read it."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """*number* and *noun* in the right form: ``1 message``, ``2 batches``."""
    ending = "es" if noun.endswith(("ch", "s", "x")) else "s"
    return f"{count(number)} {noun}{'' if number == 1 else ending}"


def span(seconds: float | None) -> str:
    """*seconds* as a person says them: ``3 min``, ``2 h 5 min``; a dash where unknown."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} days"


def moment(at: float | None) -> str:
    """*at* (seconds since the epoch) as local date and time; a dash where there is none."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "-"


def _text(cell: object) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return count(cell) if on_terminal() else str(cell)
    return "" if cell is None else str(cell)


def _numeric(text: str) -> bool:
    return text.replace(",", "").replace(".", "", 1).isdigit()


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
