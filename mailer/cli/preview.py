"""`mailer preview`: the message that one recipient would get."""

import tempfile
import webbrowser
from email.message import EmailMessage
from itertools import islice
from pathlib import Path
from typing import Any

import click

from mailer import Campaign
from mailer.cli.letter import headers, pairs
from mailer.cli.page import page
from mailer.cli.session import Session, pass_session
from mailer.errors import InputError
from mailer.recipients import BrokenRow, read_rows

_EXAMPLE = {"email": "ada@example.org", "name": "Ada Lovelace"}


@click.command()
@click.argument("template", metavar="T")
@click.argument("recipients", required=False, metavar="[RECIPIENTS]")
@click.option(
    "--row", type=click.IntRange(1), help="Which row of RECIPIENTS; the first if not said."
)
@click.option("--set", "settings_", multiple=True, metavar="KEY=VALUE", help="A variable.")
@click.option("--from", "-f", "sender", metavar="F", help="Sender; else mailer.toml's.")
@click.option("--header", multiple=True, metavar="NAME:VALUE", help="A further header field.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Write the .eml to this file."
)
@click.option(
    "--open", "open_", is_flag=True, help="Show it in the browser, desktop and phone wide."
)
@pass_session
def preview(session: Session, /, template: str, recipients: str | None, **given: Any) -> None:
    """Print the message of template T as .eml, for one row of RECIPIENTS or for --set values.

    Without either, an example recipient is used. Nothing is queued, no server is needed.

    \b
    Example:
      mailer preview newsletter people.csv --row 17
      mailer preview newsletter --set name=Ada --set season=spring --open
    """  # noqa: D301 - click's mark against rewrapping
    values = pairs(given["settings_"])
    made = Campaign(
        "preview",
        template=template,
        sender=given["sender"] or session.configured.sender or "preview@example.org",
        context=values,
        headers=headers(given["header"]),
        settings=session.configured,
    )
    row = _row(recipients, given["row"] or 1) if recipients else {**_EXAMPLE, **values}
    message = made.message(row)
    if given["open_"]:
        _show(message)
    elif given["output"]:
        _write(given["output"], message.as_bytes())
        click.echo(f"written to {given['output']}")
    else:
        click.echo(message.as_bytes().decode("utf-8", "replace").replace("\r\n", "\n"))


def _row(recipients: str, number: int) -> dict[str, object]:
    row = next(islice(read_rows(recipients), number - 1, None), None)
    if row is None:
        raise InputError(f"{recipients} has no row {number}")
    if isinstance(row, BrokenRow):
        raise InputError(f"{recipients}, row {number}: {row.reason}")
    return row


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as exc:
        raise InputError(f"cannot write {file}: {exc.strerror}") from exc


def _show(message: EmailMessage) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mailer-preview-"))
    file = folder / "preview.html"
    _write(file, page(message).encode())
    if not webbrowser.open(file.as_uri()):
        click.echo(f"no browser can be opened here; the page is {file}")
