"""`mailer failures`: who was not accepted, and why."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import click

from mailer.cli.output import as_csv, moment, on_terminal, say, table
from mailer.cli.session import Session, pass_session
from mailer.config import Settings
from mailer.mail.counts import count
from mailer.mail.record import Record
from mailer.mail.status import Status
from mailer.operate.failures import Failure, records_back, unaccepted, with_records
from mailer.operate.feedback import Returned, returned
from mailer.operate.outcomes import columns as columns_of

_FAILED = (Status.REJECTED, Status.DEFERRED, Status.UNCERTAIN, Status.DEAD, Status.DROPPED)
_FIELDS = (
    "email",
    "outcome",
    "stage",
    "reply",
    "action",
    "rule",
    "attempts",
    "at",
    "next",
    "message_id",
)
_SHOWN = 50
_CAME_BACK = {"bounce": "bounced", "complaint": "complained"}


@click.command()
@click.argument("name")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([*[status.word for status in _FAILED], *_CAME_BACK.values()]),
    help="Only these; may be repeated.",
)
@click.option("--csv", "csv_", is_flag=True, help="Print CSV, each field in its column.")
@click.option("--json", "json_", is_flag=True, help="Print JSON Lines, one object a recipient.")
@pass_session
def failures(
    session: Session, name: str, outcomes: tuple[str, ...], *, csv_: bool, json_: bool
) -> None:
    """List the recipients of campaign NAME who were rejected, deferred or are uncertain, and why.

    In the order of the list. With a history (docs/history.md), CSV and JSON hold each Message-ID and the
    columns of the list, ready for `mailer send`.

    \b
    Example:
      mailer failures spring-2026
      mailer failures spring-2026 --outcome rejected --csv > bounced.csv
    """  # noqa: D301 - click's mark against rewrapping
    if csv_ and json_:
        raise click.UsageError("--csv and --json exclude each other")
    wanted = set(outcomes) or {*[status.word for status in _FAILED], *_CAME_BACK.values()}
    found = _found(session.settings, name, wanted)
    if csv_:
        columns = [*_FIELDS, *_columns_of_list(columns_of(session.settings, name)).values()]
        first = list(islice(found, 1))  # nothing is printed of a campaign that nobody knows
        rows = chain(first, found)
        as_csv(columns, ([row.get(column, "") for column in columns] for row in rows))
    elif json_:
        for row in found:
            click.echo(json.dumps(row, ensure_ascii=False, default=str))
    else:
        _shown(found, name)


def _found(settings: Settings, name: str, wanted: set[str]) -> Iterator[dict[str, object]]:
    """Who failed, in the order of the list; then who was accepted and failed later."""
    failed = (one for one in unaccepted(settings, name) if one.status.word in wanted)
    for one, record in with_records(settings, name, failed):
        yield _row(one, record)
    later = [one for one in returned(settings, name) if _CAME_BACK.get(one.kind) in wanted]
    records = records_back(settings, name) if later else {}
    for back in sorted(later, key=lambda one: (one.at, one.recipient)):
        yield _row_back(back) | _of_list(records.get(back.recipient))


def _of_list(record: Record | None) -> dict[str, object]:
    """The Message-ID, and the columns of the list, so that `mailer send` takes what is printed."""
    own = dict(record.row or {}) if record else {}
    columns = {column: own[name] for name, column in _columns_of_list(own).items()}
    return {"message_id": record.message_id if record else "", **columns}


def _columns_of_list(names: Iterable[str]) -> dict[str, str]:
    """Under which name each column of the list stands; the address has its own already."""
    return {name: f"row_{name}" if name in _FIELDS else name for name in names if name != "email"}


def _row(one: Failure, record: Record | None) -> dict[str, object]:
    detail = one.detail
    return {
        "email": detail.mailbox,
        "outcome": one.status.word,
        "stage": detail.stage,
        "reply": detail.reply,
        "action": detail.action,
        "rule": detail.rule,
        "attempts": detail.attempts,
        "at": moment(detail.at) if detail.at else "",
        "next": moment(detail.due) if detail.due else "",
        **_of_list(record),
    }


def _row_back(one: Returned) -> dict[str, object]:
    """What came back of somebody who was accepted first, in the columns of the others."""
    reply = " ".join(part for part in (str(one.code or ""), one.status, one.said) if part)
    return {
        "email": one.recipient,
        "outcome": _CAME_BACK.get(one.kind, one.kind),
        "stage": "later",
        "reply": reply,
        "action": "",
        "rule": one.reason,
        "attempts": 0,
        "at": moment(one.at),
        "next": "",
    }


def _shown(found: Iterator[dict[str, object]], name: str) -> None:
    """A table: all of it in a pipe, the first ones and what they have in common on a terminal."""
    reasons: Counter[tuple[str, str]] = Counter()
    rows: list[list[object]] = []
    for row in found:
        why = str(row["reply"] or row["rule"])
        reasons[str(row["outcome"]), why] += 1
        if len(rows) < _SHOWN or not on_terminal():
            said = f"{row['stage']}: {why}"
            rows.append([row["email"], row["outcome"], said, row["attempts"], row["next"]])
    if not rows:
        say(f"{name}: nobody failed")
        return
    table(["email", "outcome", "why", "attempts", "next try"], rows)
    total = reasons.total()
    if on_terminal() and total > len(rows):
        say(f"\n{count(total)} in all (--csv or --json list them); most frequent:")
        table(
            ["recipients", "outcome", "why"],
            [[number, *reason] for reason, number in reasons.most_common(10)],
        )
