"""What `preview` and `lint` ask about a template, and one finished draft of it."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import click

from mailer import Campaign
from mailer.cli.campaigns.campaign_options import headers, pairs
from mailer.cli.lists import encoding_option, rows
from mailer.compose import Composer
from mailer.config import Settings
from mailer.errors import InputError
from mailer.mail.recipients import BrokenRow, Recipient
from mailer.produce.design import recipient as one_recipient

_EXAMPLE = {"email": "ada@example.org", "name": "Ada Lovelace"}
_EXAMPLE_SENDER = "preview@example.org"

Command = Callable[..., Any]

_OPTIONS = (
    click.argument("template", metavar="T"),
    click.argument("recipients", required=False, metavar="[RECIPIENTS]"),
    click.option("--row", type=click.IntRange(1), help="Which row of RECIPIENTS; else the first."),
    encoding_option,
    click.option("--set", "settings_", multiple=True, metavar="KEY=VALUE", help="A variable."),
    click.option("--from", "-f", "sender", metavar="F", help="Sender; else mailer.toml's."),
    click.option("--single", is_flag=True, help="As a single message, not as bulk mail."),
    click.option("--header", multiple=True, metavar="NAME:VALUE", help="A further header field."),
)


def draft_options(command: Command) -> Command:
    """Give *command* the template, the row and the values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def draft(
    settings: Settings, template: str, recipients: str | None, **given: Any
) -> tuple[Composer, Recipient]:
    """The composer of *template* with the values given, and the recipient to try it on."""
    values = pairs(given["settings_"])
    made = Campaign(
        "preview",
        template=template,
        sender=given["sender"] or settings.sender or _EXAMPLE_SENDER,
        context=values,
        headers=headers(given["header"]),
        bulk=not given["single"],
        settings=settings,
    )
    if given["row"] and not recipients:
        raise click.UsageError("--row wants RECIPIENTS")
    row = (
        _row(recipients, given["row"] or 1, given["encoding"])
        if recipients
        else {**_EXAMPLE, **values}
    )
    return made.composer, one_recipient(row)


def _row(recipients: str, number: int, encoding: str | None) -> dict[str, object]:
    row = next(islice(rows(recipients, encoding), number - 1, None), None)
    if row is None:
        raise InputError(f"{recipients} has no row {number}")
    if isinstance(row, BrokenRow):
        raise InputError(f"{recipients}, row {number}: {row.reason}")
    return row
