"""`mailer suppress`: the addresses that never get mail."""

import csv
import time
from collections.abc import Iterator
from datetime import datetime
from typing import IO

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.lists import encoding_option
from mailer.cli.lists import rows as rows_of
from mailer.cli.output import as_json, moment, plural, table
from mailer.cli.session import Session, pass_session
from mailer.errors import InputError
from mailer.mail.recipients import Rejected, parse
from mailer.operate import suppression
from mailer.operate.suppression import Suppressed


@click.group(cls=HelpfulGroup)
def suppress() -> None:
    """Keep the list of addresses that never get mail, whatever the campaign.

    \b
    Example:
      mailer suppress add ada@example.org --reason "asked by phone"
      mailer suppress import unsubscribed.csv
    """  # noqa: D301 - click's mark against rewrapping


@suppress.command(short_help="Put addresses on the list.")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@click.option("--reason", default="by hand", show_default=True, help="Why; shown in the list.")
@click.option("--days", type=click.IntRange(min=1), help="For so many days; without it, for good.")
@pass_session
def add(session: Session, emails: tuple[str, ...], reason: str, days: int | None) -> None:
    """Put addresses on the list.

    \b
    Example:
      mailer suppress add ada@example.org bob@example.org --reason complaint
    """  # noqa: D301
    until = time.time() + days * 86400 if days else None
    added = suppression.add(session.settings, emails, reason=reason, until=until)
    click.echo(_added(added, len(emails)))


@suppress.command(short_help="Take addresses off the list.")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@pass_session
def remove(session: Session, emails: tuple[str, ...]) -> None:
    """Take addresses off the list.

    \b
    Example:
      mailer suppress remove ada@example.org
    """  # noqa: D301
    removed = suppression.remove(session.settings, emails)
    click.echo(f"{plural(removed, 'address')} removed")
    if removed < len(emails):
        raise InputError(f"{plural(len(emails) - removed, 'address')} not on the list")


@suppress.command(name="list", short_help="Show the list.")
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
@pass_session
def list_(session: Session, *, json_: bool) -> None:
    """Show the list, the latest first.

    \b
    Example:
      mailer suppress list
    """  # noqa: D301
    found = sorted(suppression.entries(session.settings), key=lambda entry: -entry.since)
    if json_:
        as_json([_record(entry) for entry in found])
    elif found:
        table([*_record(found[0])], [[*_record(entry).values()] for entry in found])
    else:
        click.echo("Nobody is suppressed.")


@suppress.command(name="import", short_help="Put the addresses of a file on it.")
@click.argument("source", metavar="FILE")
@click.option("--reason", default="imported", show_default=True, help="Where a row has none.")
@encoding_option
@pass_session
def import_(session: Session, source: str, reason: str, encoding: str | None) -> None:
    """Put the addresses of FILE on the list: CSV, Excel or JSON Lines with `email`; `-` is stdin.

    A column `reason` says why, `until` until when. Faulty rows are named and left out, and the exit
    code is 1.

    \b
    Example:
      mailer suppress import unsubscribed.csv
    """  # noqa: D301
    faults: list[Rejected] = []
    read = 0

    def entries() -> Iterator[tuple[bytes, Suppressed]]:
        nonlocal read
        now = time.time()
        for number, row in enumerate(rows_of(source, encoding), start=1):
            one = parse(row, number)
            if isinstance(one, Rejected):
                faults.append(one)
                continue
            read += 1
            why = str(one.fields.get("reason") or reason)
            until = _time(one.fields.get("until"))
            yield one.key, Suppressed(one.mailbox, why, now, until, source="import")

    added = suppression.put(session.settings, entries())
    click.echo(_added(added, read))
    if faults:
        rows = "; ".join(f"row {fault.row}: {fault.reason}" for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise InputError(f"{plural(len(faults), 'row')} left out: {rows}{more}")


@suppress.command(short_help="Write the list as CSV.")
@click.argument("target", type=click.File("w", encoding="utf-8"), default="-", metavar="[FILE]")
@pass_session
def export(session: Session, target: IO[str]) -> None:
    """Write the list as CSV that `import` reads, to FILE or standard output.

    \b
    Example:
      mailer suppress export suppressed.csv
    """  # noqa: D301
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(("email", "reason", "since", "until", "source"))
    writer.writerows(_record(entry).values() for entry in suppression.entries(session.settings))


def _time(value: object) -> float | None:
    """The time that `export` wrote; None for good."""
    try:
        return datetime.fromisoformat(str(value)).timestamp() if value else None
    except ValueError:
        raise InputError(f"until: {value!r} is no time, such as 2026-03-31 12:00:00") from None


def _record(entry: Suppressed) -> dict[str, str]:
    return {
        "email": entry.mailbox,
        "reason": entry.reason,
        "since": moment(entry.since),
        "until": moment(entry.until) if entry.until else "",
        "source": entry.source,
    }


def _added(added: int, given: int) -> str:
    known = f", {given - added} had been on the list" if given > added else ""
    return f"{plural(added, 'address')} added{known}"
