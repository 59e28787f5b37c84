"""`mailer history`: the database of what became of every message."""

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import plural, say
from mailer.cli.session import Session, pass_session
from mailer.operate import events
from mailer.operate.history import opened


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
    say(f"the history's tables are at step {opened(session.settings).upgrade()}")


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
