"""`mailer forget`, `mailer erase`: what is over leaves Redis; a person leaves everything."""

import sys

import click

from mailer.cli.output import as_json, say, table
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.times import age
from mailer.cli.typed.values import mailbox
from mailer.mail.counts import plural
from mailer.operate import erasing, retention


@click.command()
@click.argument("names", nargs=-1, metavar="NAME…")
@click.option("--older-than", callback=age, metavar="AGE", help="All that was over 90d ago, say.")
@click.option("--history", is_flag=True, help="Take them out of the history, too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def forget(
    session: Session,
    names: tuple[str, ...],
    *,
    older_than: float | None,
    history: bool,
    yes: bool,
) -> None:
    """Take campaigns that are over out of Redis. Asks first on a terminal.

    Workers do this by themselves as [retention] says. One of which somebody is open, or lies in the dead
    letters, or that the history has not read whole, is refused. Its name stays taken.

    \b
    Example:
      mailer forget spring-2026
      mailer forget --older-than 90d --history
    """  # noqa: D301 - click's mark against rewrapping
    if bool(names) is (older_than is not None):
        raise click.UsageError("say which: NAME…, or --older-than AGE")
    what = ", ".join(names) or "all campaigns of that age"
    also = ", and what the history knows of it" if history else ""
    if not yes and sys.stdin.isatty() and not click.confirm(f"Forget {what}{also}, for good?"):
        say("nothing was forgotten")
        return
    settings = session.settings
    if older_than is None:
        found = retention.forget(settings, names, history=history)
    else:
        found = retention.forget_older(settings, older_than, history=history)
    number = 0
    for number, one in enumerate(found, start=1):  # noqa: B007 - how many there were
        more = f"; the history forgot {plural(one.messages, 'message')}" if history else ""
        say(f"{one.campaign}: forgotten{more}")
    if not number:
        say("nothing is old enough")


@click.command()
@click.argument("address")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "json_", is_flag=True, help="Print what was found as JSON.")
@pass_session
def erase(session: Session, address: str, *, yes: bool, json_: bool) -> None:
    """Take the person with ADDRESS out of everything but the suppression list.

    Replies, dead letters, what came back, the history; a message that waits for her is cancelled. Asks
    first on a terminal. Run again, it finds nothing more; it ends with 1 where it must be run again.

    \b
    Example:
      mailer erase ada@example.org
    """  # noqa: D301
    mailbox(address, "ADDRESS")
    if not yes and sys.stdin.isatty() and not click.confirm(f"Erase {address}, for good?"):
        say("nothing was erased")
        return
    done = erasing.erase(session.settings, address)
    if json_:
        as_json(
            {
                "found": [
                    {"where": one.place, "campaign": one.campaign, "number": one.number}
                    for one in done.found
                ],
                "suppressed": done.suppressed,
                "again": done.again,
            }
        )
    else:
        _shown(done)
    if done.again:
        raise click.exceptions.Exit(1)


def _shown(done: erasing.Erased) -> None:
    if done.found:
        table(
            ["erased from", "campaign", "number"],
            [[one.place, one.campaign, one.number] for one in done.found],
        )
    else:
        say("nothing was found")
    if done.suppressed:
        say("The address stays on the suppression list, so that it gets no mail.")
    for why in done.again:
        say(f"mailer: {why}: run this again in a while", err=True)
