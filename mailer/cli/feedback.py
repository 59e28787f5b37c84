"""`mailer feedback`: what came back, and what it means."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import table
from mailer.errors import InputError
from mailer.feedback import Report, read
from mailer.feedback.parts import MAX_OCTETS


@click.group(cls=HelpfulGroup)
def feedback() -> None:
    """Read what comes back: bounces, complaints, automatic answers.

    \b
    Example:
      mailer feedback explain bounce.eml
    """  # noqa: D301 - click's mark against rewrapping


@feedback.command(short_help="Say what messages that came back mean.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "json_", is_flag=True, help="Print one JSON object a recipient a line.")
def explain(files: tuple[str, ...], *, json_: bool) -> None:
    """Say what each FILE means, and change nothing; `-` is standard input.

    A FILE is one message as it came (.eml). Nothing is recorded, and neither Redis nor a
    configuration is needed.

    \b
    Example:
      mailer feedback explain bounce.eml
      mailer feedback explain --json Maildir/new/*
    """  # noqa: D301
    missing: list[str] = []
    found = _read_all(files, missing)
    if json_:
        for file, report in found:
            click.echo(_as_json(file, report))
    else:
        headings = ["file", "kind", "recipient", "status", "reason", "permanent"]
        table(headings, [_row(file, report) for file, report in found])
    if missing:
        raise InputError("; ".join(missing))


def _read_all(files: Iterable[str], missing: list[str]) -> Iterable[tuple[str, Report]]:
    for file in files:
        try:
            octets = _octets(file)
        except OSError as error:
            missing.append(f"{file}: {error.strerror or error}")
            continue
        for report in read(octets):
            yield file, report


def _octets(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(MAX_OCTETS)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_OCTETS)


def _as_json(file: str, report: Report) -> str:
    # Escaped throughout: what strangers wrote must not act on a terminal.
    return json.dumps(
        {
            "file": file,
            "kind": report.kind.value,
            "recipient": report.recipient,
            "status": report.status,
            "reply_code": report.reply_code,
            "reason": report.reason.value if report.reason else None,
            "permanent": report.permanent,
            "campaign": None,
            "message_id": report.trace.message_id,
        }
    )


def _row(file: str, report: Report) -> list[object]:
    permanent = "" if report.permanent is None else "yes" if report.permanent else "no"
    reason = report.reason.value if report.reason else ""
    return [file, report.kind.value, report.recipient or "", report.status or "", reason, permanent]
