"""`mailer history`: the database of what became of every message."""

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import say
from mailer.cli.session import Session, pass_session
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
