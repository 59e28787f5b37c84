"""`mailer export`: every recipient of a campaign, with what became of it."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, islice

import click

from mailer.cli.output import as_csv, moment, say
from mailer.cli.session import Session, pass_session
from mailer.mail.event import LATER
from mailer.mail.record import Record
from mailer.mail.status import Status
from mailer.operate.outcomes import columns as columns_of
from mailer.operate.outcomes import outcomes as found_of

_WITHOUT_HISTORY = (
    "the addresses of whom it was accepted, their times, Message-IDs and replies, and the columns of the "
    "list: [history] keeps them"
)
_OURS = ("position", "outcome", "later", "at", "message_id", "account", "attempts", "reply")


@click.command()
@click.argument("name")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([*[status.word for status in Status], *LATER]),
    help="Only these; may be repeated.",
)
@click.option("--csv", "csv_", is_flag=True, help="Print CSV (as without an option).")
@click.option("--json", "json_", is_flag=True, help="Print JSON Lines, one object a recipient.")
@pass_session
def export(
    session: Session, name: str, outcomes: tuple[str, ...], *, csv_: bool, json_: bool
) -> None:
    """Print every recipient of campaign NAME in the order of the list, ready for `mailer send`.

    The columns of the list come first, then outcome, time, Message-ID, account, attempts and the server's
    reply. Without a history (docs/history.md) it is what the ledger knows: the place in the list, the
    outcome, the last reply to what was not accepted.

    \b
    Example:
      mailer export spring-2026 --outcome rejected > again.csv
    """  # noqa: D301 - click's mark against rewrapping
    if csv_ and json_:
        raise click.UsageError("--csv and --json exclude each other")
    found = found_of(session.settings, name, outcomes)
    _as_json(found) if json_ else _as_csv(found, columns_of(session.settings, name))
    if session.settings.history.url is None:
        say(_WITHOUT_HISTORY, err=True)


def _as_json(found: Iterator[Record]) -> None:
    for one in found:
        shown = {key: value for key, value in asdict(one).items() if key != "steps"}
        click.echo(json.dumps(shown, ensure_ascii=False))


def _as_csv(found: Iterator[Record], columns: list[str]) -> None:
    columns = columns or ["email"]
    own = [f"mailer_{name}" for name in _OURS]
    first = list(islice(found, 1))  # nothing is printed of a campaign that nobody knows
    as_csv([*columns, *own], _rows(chain(first, found), columns))


def _rows(records: Iterator[Record], columns: list[str]) -> Iterator[list[object]]:
    for one in records:
        row = one.row or {"email": one.mailbox}
        values = {**asdict(one), "at": moment(one.at) if one.at else ""}
        yield [*[row.get(name, "") for name in columns], *[values[name] for name in _OURS]]
