"""`mailer failures`: who was not accepted, and why."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import click

from mailer.cli.output import as_csv, count, moment, on_terminal, say, table
from mailer.cli.session import Session, pass_session
from mailer.mail.status import Status
from mailer.operate.failures import Failure, unaccepted
from mailer.operate.feedback import Returned, returned

_FAILED = (Status.REJECTED, Status.DEFERRED, Status.UNCERTAIN, Status.DEAD, Status.DROPPED)
_FIELDS = ("email", "outcome", "stage", "reply", "action", "rule", "attempts", "at", "next")
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

    \b
    Example:
      mailer failures spring-2026
      mailer failures spring-2026 --outcome rejected --csv > bounced.csv
    """  # noqa: D301 - click's mark against rewrapping
    if csv_ and json_:
        raise click.UsageError("--csv and --json exclude each other")
    wanted = set(outcomes) or {*[status.word for status in _FAILED], *_CAME_BACK.values()}
    first = (_row(one) for one in unaccepted(session.settings, name) if one.status.word in wanted)
    later = (_row_back(one) for one in returned(session.settings, name))
    found = chain(first, (row for row in later if row["outcome"] in wanted))
    if csv_:
        as_csv(_FIELDS, ([*row.values()] for row in found))
    elif json_:
        for row in found:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        _shown(found, name)


def _row(one: Failure) -> dict[str, object]:
    detail = one.detail
    return {
        "email": detail.mailbox,
        "outcome": one.status.word,
        "stage": detail.stage,
        "reply": detail.reply,
        "action": detail.action,
        "rule": detail.rule,
        "attempts": detail.attempts,
        "at": moment(detail.at),
        "next": moment(detail.due) if detail.due else "",
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
