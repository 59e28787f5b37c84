"""`mailer suppress`: who gets no mail, and which mail that is."""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, Any

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.lists import encoding_option
from mailer.cli.output import as_json, moment, say, table
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.values import given, mailbox
from mailer.errors import InputError
from mailer.mail.barring.scopes import checked
from mailer.mail.counts import plural
from mailer.operate.barring import suppression
from mailer.operate.barring.files import written


def _checked(_context: click.Context, _parameter: click.Parameter, scope: str | None) -> str | None:
    with given():
        return scope and checked(scope)


_scope: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--scope",
    metavar="S",
    callback=_checked,
    help="all mail, bulk mail (receipts still go), or a List-ID.",
)


@click.group(cls=HelpfulGroup)
def suppress() -> None:
    """Keep the list of addresses that get no mail, or not that of some list.

    \b
    Example:
      mailer suppress add ada@example.org --reason "asked by phone"
      mailer suppress import unsubscribed.csv
    """  # noqa: D301 - click's mark against rewrapping


@suppress.command(short_help="Put addresses on the list.")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@click.option("--reason", default="by hand", show_default=True, help="Why; shown in the list.")
@_scope
@click.option("--days", type=click.IntRange(min=1), help="For so many days; without it, for good.")
@click.option("--until", type=click.DateTime(), metavar="DATE", help="Until then.")
@pass_session
def add(  # noqa: PLR0913, PLR0917 - click's
    session: Session,
    emails: tuple[str, ...],
    reason: str,
    scope: str | None,
    days: int | None,
    until: datetime | None,
) -> None:
    """Put addresses on the list; `-` reads them from standard input, one a line.

    What stands on the command line, every user of this host can see while it runs.

    \b
    Example:
      mailer suppress add ada@example.org bob@example.org --reason complaint
      mailer suppress add - --scope news.shop.example < gone.txt
    """  # noqa: D301
    if days and until:
        raise click.UsageError("--days and --until exclude each other")
    if until and until.timestamp() <= time.time():
        raise click.BadParameter(
            f"{until} is over: nobody was put on the list", param_hint="--until"
        )
    named = _given(emails)
    ends = time.time() + days * 86400 if days else until
    added = suppression.add(
        named, reason=reason, scope=scope or "all", until=ends, settings=session.settings
    )
    say(_added(added, len(named)))


@suppress.command(short_help="Take addresses off the list.")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@_scope
@pass_session
def remove(session: Session, emails: tuple[str, ...], scope: str | None) -> None:
    """Take addresses off the list, in every scope or in one; `-` reads them from standard input.

    \b
    Example:
      mailer suppress remove ada@example.org
    """  # noqa: D301
    named = _given(emails)
    removed = suppression.remove(named, scope=scope, settings=session.settings)
    say(f"{plural(removed, 'address')} removed")
    if removed < len(named):
        raise InputError(f"{plural(len(named) - removed, 'address')} not on the list")


@suppress.command(name="list", short_help="Show the list.")
@_scope
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
@pass_session
def list_(session: Session, scope: str | None, *, json_: bool) -> None:
    """Show the list, the latest first.

    \b
    Example:
      mailer suppress list
    """  # noqa: D301
    every = suppression.entries(settings=session.settings)
    found = sorted((one for one in every if scope in (None, one.scope)), key=lambda one: -one.since)
    if json_:
        as_json([written(entry) for entry in found])
    elif found:
        rows = [
            [one.mailbox, one.reason, one.scope, moment(one.since), moment(one.until), one.source]
            for one in found
        ]
        table(["email", "reason", "scope", "since", "until", "source"], rows)
    else:
        say("Nobody is suppressed.")


@suppress.command(name="import", short_help="Put the addresses of a file on it.")
@click.argument("source", metavar="FILE")
@click.option("--reason", default="imported", show_default=True, help="Where a row has none.")
@_scope
@encoding_option
@pass_session
def import_(
    session: Session, source: str, reason: str, scope: str | None, encoding: str | None
) -> None:
    """Put the addresses of FILE on the list: CSV, Excel, JSON Lines or JSON; `-` is stdin.

    FILE is what `export` wrote, a list with a column `email`, or the export of listmonk (subscribers,
    of whom the blocklisted count), Amazon SES, SendGrid (bounces) or Mailgun: its columns say which.
    Faulty rows are named and left out, and the exit code is 1.

    \b
    Example:
      mailer suppress import unsubscribed.csv --scope news.shop.example
    """  # noqa: D301
    done = suppression.load(
        source,
        reason=reason,
        scope=scope or "all",
        encoding=encoding,
        notice=lambda text: say(f"mailer: {text}", err=True),
        settings=session.settings,
    )
    say(_added(done.added, done.read))
    if done.passed_over:
        say(f"{plural(done.passed_over, 'row')} passed over: they may be mailed")
    if done.faults:
        rows = "; ".join(f"row {fault.row}: {fault.reason}" for fault in done.faults[:5])
        more = f"; and {len(done.faults) - 5} more" if len(done.faults) > 5 else ""
        raise InputError(f"{plural(len(done.faults), 'row')} left out: {rows}{more}")


@suppress.command(short_help="Write the list as CSV or JSON Lines.")
@click.argument("target", type=click.File("w", encoding="utf-8"), default="-", metavar="[FILE]")
@click.option("--json", "json_", is_flag=True, help="JSON Lines instead of CSV.")
@pass_session
def export(session: Session, target: IO[str], *, json_: bool) -> None:
    """Write the list in a form that `import` reads, to FILE or standard output.

    \b
    Example:
      mailer suppress export suppressed.csv
    """  # noqa: D301
    suppression.export(target, as_json=json_, settings=session.settings)


def _given(emails: tuple[str, ...]) -> list[str]:
    return list(_lines(emails))


def _lines(emails: tuple[str, ...]) -> Iterator[str]:
    for email in emails:
        if email == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield mailbox(email, "EMAIL")


def _added(added: int, named: int) -> str:
    known = f", {named - added} had been on the list" if named > added else ""
    return f"{plural(added, 'address')} added{known}"
