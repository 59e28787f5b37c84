"""`mailer preview`: the message that one recipient would get."""

import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import click

from mailer.cli.campaigns.template_options import draft, draft_options
from mailer.cli.session import Session, pass_session
from mailer.compose.preview import as_eml, as_page
from mailer.errors import InputError


@click.command()
@draft_options
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Write the .eml to this file."
)
@click.option(
    "--open", "open_", is_flag=True, help="Show it in the browser, desktop and phone wide."
)
@pass_session
def preview(session: Session, /, **given: Any) -> None:
    """Print the message of template T as .eml, for one row of RECIPIENTS or for --set values.

    Without either, an example recipient is used. Nothing is queued, no server is needed.

    \b
    Example:
      mailer preview newsletter people.csv --row 17
      mailer preview newsletter --set name=Ada --set season=spring --open
    """  # noqa: D301 - click's mark against rewrapping
    output, open_ = given.pop("output"), given.pop("open_")
    composer, recipient = draft(session.configured, **given)
    if open_:
        _show(as_page(composer, recipient))
    elif output:
        _write(output, as_eml(composer, recipient))
        click.echo(f"written to {output}")
    else:
        click.echo(as_eml(composer, recipient).decode("utf-8", "replace").replace("\r\n", "\n"))


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as exc:
        raise InputError(f"cannot write {file}: {exc.strerror}") from exc


def _show(page: str) -> None:
    """Show *page*; its file stays, for the browser reads it after this command has ended."""
    file = Path(tempfile.mkdtemp(prefix="mailer-preview-")) / "preview.html"
    _write(file, page.encode())
    if not webbrowser.open(file.as_uri()):
        click.echo(f"no browser can be opened here; the page is {file}")
