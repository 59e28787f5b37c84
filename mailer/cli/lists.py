"""How commands read a recipient list: what was guessed about the file is said on standard error."""

from collections.abc import Callable, Iterator
from typing import Any

import click

from mailer.cli.typed.values import given
from mailer.mail.lists.decoding import known
from mailer.mail.recipients import read_rows
from mailer.mail.rows import Row

Command = Callable[..., Any]


def _known(
    _context: click.Context, _parameter: click.Parameter, encoding: str | None
) -> str | None:
    with given():
        return encoding and known(encoding)


encoding_option: Callable[[Command], Command] = click.option(
    "--encoding",
    metavar="E",
    callback=_known,
    help="Of RECIPIENTS, where it is not UTF-8: windows-1252, …",
)


def rows(source: str, encoding: str | None = None) -> Iterator[Row]:
    """Yield the rows of the list *source*, a path or ``-``."""
    return read_rows(
        source, encoding=encoding, notice=lambda text: click.echo(f"mailer: {text}", err=True)
    )
