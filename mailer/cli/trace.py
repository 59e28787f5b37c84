"""`mailer trace`: who got it, when, and what the server said."""

from dataclasses import asdict

import click

from mailer.cli.output import as_json, moment, say
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.values import mailbox
from mailer.mail.record import Record
from mailer.operate.trace import trace as traced

_WITHOUT_HISTORY = (
    "times, accounts, Message-IDs and replies of what was accepted: [history] keeps them"
)


@click.command()
@click.argument("what", metavar="ADDRESS|MESSAGE-ID")
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
@pass_session
def trace(session: Session, what: str, *, json_: bool) -> None:
    """Show every message to ADDRESS over all campaigns, or the one of MESSAGE-ID: "she did not get it".

    Each with its outcome, time, account, attempts and the server's last reply, in it the queue id to ask
    the mail server for. Without a history (docs/history.md) it shows what the ledger knows.

    \b
    Example:
      mailer trace ada@example.org
      mailer trace '<17.spring@shop.example>' --json
    """  # noqa: D301 - click's mark against rewrapping
    if not what.startswith("<"):
        mailbox(what, "ADDRESS|MESSAGE-ID")
    found = traced(what, session.settings)
    if json_:
        as_json([asdict(one) for one in found])
    for one in () if json_ else found:
        _one(one)
    if not found and not json_:
        say(f"nothing is known of {what}")
    if session.settings.history.url is None:
        # What a program reads stays JSON.
        say(_WITHOUT_HISTORY, err=json_)


def _one(one: Record) -> None:
    tries = f", attempt {one.attempts}" if one.attempts else ""
    through = f", through {one.account}" if one.account else ""
    outcome = one.outcome or "its outcome is not known"
    later = f", later {one.later}" if one.later else ""
    when = f" {moment(one.at)}" if one.at else ""
    say(f"{one.campaign}: {outcome}{later}{when}{through}{tries} {one.message_id}".rstrip())
    if one.reply and one.outcome:
        say(f"  {one.stage}: {one.reply}")
    for step in one.steps:
        if (step.outcome, step.at) != (one.outcome, one.at):
            said = f": {step.reply}" if step.reply else ""
            say(f"    {moment(step.at)} {step.outcome} {step.reason or step.stage}{said}")
