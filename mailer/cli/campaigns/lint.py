"""`mailer lint`: what a mail expert would object to in a template."""

from dataclasses import asdict
from typing import Any

import click

from mailer.cli.campaigns.template_options import draft, draft_options
from mailer.cli.output import as_json, say, table
from mailer.cli.session import Session, pass_session
from mailer.compose.lint import Finding, lint_as_received
from mailer.errors import InputError
from mailer.mail.counts import plural

_COUNTED = ("error", "warning")


@click.command()
@draft_options
@click.option("--json", "json_", is_flag=True, help="Print the findings as JSON.")
@pass_session
def lint(session: Session, /, *, json_: bool, **given: Any) -> None:
    """Say what a mail expert would object to in template T.

    Exits with 1 where there is an error or a warning; advice alone is no failure.

    \b
    Example:
      mailer lint newsletter people.csv
    """  # noqa: D301 - click's mark against rewrapping
    composer, recipient = draft(session.configured, **given)
    accounts = session.configured.accounts.values()
    signing = [key.domain for account in accounts for key in account.dkim]
    found = lint_as_received(composer, recipient, signing)
    if json_:
        as_json([asdict(finding) for finding in found])
    elif found:
        table(("level", "rule", "where", "finding"), [_line(finding) for finding in found])
    else:
        say(f"{given['template']}: nothing to object to")
    grave = [finding for finding in found if finding.level in _COUNTED]
    if grave:
        counts = [
            plural(number, level)
            for level in _COUNTED
            if (number := sum(finding.level == level for finding in grave))
        ]
        raise InputError(f"{given['template']}: {', '.join(counts)}")


def _line(finding: Finding) -> list[object]:
    return [finding.level, finding.rule, finding.where, finding.message]
