"""`mailer history`: the database of what became of every message."""

from contextlib import closing

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import say
from mailer.cli.session import Session, pass_session
from mailer.mail.counts import plural
from mailer.operate import events
from mailer.operate.history import mending, opened


@click.group(cls=HelpfulGroup)
def history() -> None:
    """Look after the database of what became of every message.

    \b
    Example:
      mailer history upgrade
    """  # noqa: D301 - click's mark against rewrapping


@history.command(short_help="Make the tables, or bring them to this version.")
@pass_session
def upgrade(session: Session) -> None:
    """Make the history's tables, or bring them to what this version expects.

    To be run once before the first worker starts, and after each update; to run it again does no harm.

    \b
    Example:
      mailer history upgrade
    """  # noqa: D301
    with closing(opened(session.settings)) as tables:
        say(f"the history's tables are at step {tables.upgrade()}")


@history.command(short_help="Put in what the history missed and the ledger knows.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@pass_session
def mend(session: Session, names: tuple[str, ...]) -> None:
    """Put outcomes that the history was never told of into it, of the campaigns NAME or of all.

    For when events left Redis before the history had read them (`mailer events list`), and the last step
    after Redis was restored from a backup (docs/operating.md). Out of the ledger
    come who has which outcome, what came back and, of those not accepted, the last reply. When somebody
    was accepted, and what the server said then, is lost; so are the columns of the list.

    \b
    Example:
      mailer history mend
    """  # noqa: D301
    total, older = 0, events.rewound(session.settings)
    for one in mending.mend(session.settings, names):
        total += one.recipients
        if one.recipients:
            say(f"{one.campaign}: of {plural(one.recipients, 'recipient')} something was put in")
        if one.why:
            say(f"mailer: {one.campaign}: {one.why}", err=True)
    if not total:
        say("the history lacks nothing that the ledger knows")
    if older and not events.rewound(session.settings):
        who = plural(older.recipients, "recipient")
        say(f"nothing more is said of {who} of whom Redis knows less than the history")


@history.command(short_help="Keep nothing more for a history that is configured no longer.")
@pass_session
def drop(session: Session) -> None:
    """Forget that a history reads along: events no longer wait for it in Redis.

    For when [history] was taken out of mailer.toml, here and on all workers. The database stays as it is.

    \b
    Example:
      mailer history drop
    """  # noqa: D301
    lost = events.drop(session.settings, "history")
    say(f"nothing more is kept for the history; {plural(lost, 'message')} had not reached it")
