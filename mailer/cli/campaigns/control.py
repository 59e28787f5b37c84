"""`mailer schedule`, `pause`, `resume`, `cancel`: when a campaign goes on, on all workers."""

import sys
from time import time

import click

from mailer.cli.output import moment, say
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.times import coming
from mailer.mail.counts import plural
from mailer.operate import campaigns


@click.command()
@click.argument("name")
@click.option(
    "--at",
    "at",
    metavar="TIME",
    help='Not before "2026-05-01 08:00", 08:00, +2h, "08:00 Europe/Berlin".',
)
@click.option("--now", "now", is_flag=True, help="Begin at once.")
@pass_session
def schedule(session: Session, name: str, at: str | None, *, now: bool) -> None:
    """Let campaign NAME begin at another time: what waits for its start moves with it.

    Of a campaign that is being sent, what is left waits until then.

    \b
    Example:
      mailer schedule spring-2026 --at "2026-05-01 08:00"
      mailer schedule spring-2026 --now
    """  # noqa: D301 - click's mark against rewrapping
    start = coming(at)
    if (start is None) is not now:
        raise click.UsageError("say when: --at TIME, or --now")
    begins = start.timestamp() if start else time()
    campaigns.schedule(session.settings, name, begins)
    if begins > time():
        say(f"{name}: begins at {moment(begins)}")
    else:
        say(f"{name}: begins now")


@click.command()
@click.argument("name")
@pass_session
def pause(session: Session, name: str) -> None:
    """Start no more message of campaign NAME, on any worker, from a second from now.

    What is being transmitted is finished; `mailer resume` goes on.

    \b
    Example:
      mailer pause spring-2026
    """  # noqa: D301 - click's mark against rewrapping
    if not campaigns.pause(session.settings, name):
        say(f"campaign {name!r} is over: nothing to pause")
        return
    say(f"{name}: paused; go on with: {session.command(f'resume {name}')}")


@click.command()
@click.argument("name")
@click.option(
    "--accept-rate", is_flag=True, help="Do not pause it again for bounces and complaints."
)
@pass_session
def resume(session: Session, name: str, *, accept_rate: bool) -> None:
    """Go on with the paused campaign NAME.

    One that paused itself because too much came back pauses again with the next report, unless
    --accept-rate says that somebody has looked.

    \b
    Example:
      mailer resume spring-2026
    """  # noqa: D301
    if campaigns.resume(session.settings, name, accept_rate=accept_rate):
        say(f"{name}: running")
    else:
        say(f"campaign {name!r} is over: nothing to resume")


@click.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def cancel(session: Session, name: str, *, yes: bool) -> None:
    """Send nothing more of campaign NAME, for good. Asks first on a terminal.

    \b
    Example:
      mailer cancel spring-2026 --yes
    """  # noqa: D301
    if not yes and sys.stdin.isatty():
        left = campaigns.status(session.settings, name).open
        if not click.confirm(f"Cancel {name} for good, with {plural(left, 'recipient')} open?"):
            say("nothing was cancelled")
            return
    number = campaigns.cancel(session.settings, name)
    if number is None:
        say(f"campaign {name!r} is over: nothing to cancel")
        return
    said = f"{name}: cancelled, {plural(number, 'recipient')} will get nothing"
    held = campaigns.held(session.settings, name)
    say(f"{said}; {held}" if held else said)
