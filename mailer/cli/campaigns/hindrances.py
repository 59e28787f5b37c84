"""What keeps a campaign from being sent, and what to do about it, in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Final

import click

from mailer import Campaign
from mailer.cli.output import moment, say
from mailer.cli.session import Session, shortest
from mailer.errors import MailerError
from mailer.mail.counts import count, plural
from mailer.operate.accounts import AccountOffice, Standing
from mailer.operate.health import forgetful

_ENDED: Final = click.exceptions.Exit(130)
"""Ctrl-C of which everything is said."""


def found(session: Session, campaign: Campaign) -> Iterator[str]:
    """Yield a sentence for each account of *campaign* that cannot send now."""
    names = set(campaign.accounts)
    for one in AccountOffice(session.settings).standings():
        if one.name in names and (sentence := _in_the_way(session, one)):
            yield sentence


def _in_the_way(session: Session, one: Standing) -> str:
    state = one.state
    why = state.said.reply or state.reason
    if not one.running:
        mend = session.command(f"accounts start {one.name}")
        return f"account {one.name} is stopped ({why}): mend it, then {mend}"
    if (state.until or 0.0) > time():
        return f"account {one.name} waits until {moment(state.until)} ({why}), then tries again"
    if (one.pace.until or 0.0) > time():
        return f"account {one.name} pauses until {moment(one.pace.until)}: its server asked for it"
    return ""


def warn(session: Session, campaign: Campaign) -> None:
    """Say on standard error why what was queued will not leave now, or may leave twice one day."""
    if said := forgetful(session.settings):
        say(f"mailer: {said}", err=True)
    for sentence in found(session, campaign):
        say(f"mailer: {sentence}", err=True)


def begins(campaign: Campaign) -> None:
    """Say when *campaign* begins, where that was said; a time that is over may be a slip."""
    if campaign.start_at is None:
        return
    at = campaign.start_at.timestamp()
    if at > time():
        say(f"  not before {moment(at)}")
    else:
        say(f"mailer: --at: {moment(at)} is over, so it begins now", err=True)


@contextmanager
def resumable(session: Session, campaign: Campaign) -> Iterator[None]:
    """Where Ctrl-C ends `mailer run`, say what is where by then, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            status = campaign.status()
        except MailerError:
            say("mailer: interrupted; nothing was queued", err=True)
            raise _ENDED from None
        name, done = campaign.name, status.total - status.open
        where = shortest(session.local or Path())
        say(
            f"mailer: interrupted; {count(done)} of {plural(status.total, 'recipient')} of {name} are "
            f"final, {count(status.open)} wait in {where}, and nothing is sent meanwhile. "
            f"The same command goes on; {session.command(f'cancel {name}')} ends it",
            err=True,
        )
        raise _ENDED from None


@contextmanager
def finishing() -> Iterator[None]:
    """Where Ctrl-C ends the block, say why it takes a moment until all stands."""
    try:
        yield
    except KeyboardInterrupt:
        say("mailer: stopping; what is being transmitted is finished first", err=True)
        raise


@contextmanager
def interruptible(session: Session, campaign: Campaign) -> Iterator[None]:
    """Where Ctrl-C ends the block, say what is queued by then and how it can be stopped."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            queued = campaign.status().total
        except MailerError:
            queued = 0
        if not queued:
            say("mailer: interrupted; nothing was queued", err=True)
            raise _ENDED from None
        name = campaign.name
        say(
            f"mailer: interrupted; {plural(queued, 'recipient')} of {name} "
            f"{'is' if queued == 1 else 'are'} queued and being sent. The same command goes on; "
            f"{session.command(f'pause {name}')} or {session.command(f'cancel {name}')} stops it",
            err=True,
        )
        raise _ENDED from None


def deferred(campaign: Campaign, number: int) -> str:
    """What the *number* deferred recipients of *campaign* wait for, and until when."""
    soonest, reply = 0.0, ""
    for one in campaign.failures():
        if one.detail.due and (not soonest or one.detail.due < soonest):
            soonest, reply = one.detail.due, one.detail.reply
    when = f" until {moment(soonest)}" if soonest else ""
    return f"{count(number)} deferred{when}" + (f": {reply}" if reply else "")
