"""`mailer status`: campaigns, their outcomes, rate and time left, once or as a live view."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import click

from mailer.cli.lines import pasteable
from mailer.cli.output import as_json, console, on_terminal, say, span, styled, table
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.times import past
from mailer.mail.counts import count, plural
from mailer.operate import campaigns, events
from mailer.operate.health import refused
from mailer.operate.states import at_rest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from mailer.config import Settings
    from mailer.operate.campaigns import Status

INTERVAL = 1.0
"""Seconds between two looks of a live view."""

LAST = 20
"""How many campaigns are shown, unless all are asked for."""

_COLUMNS = (
    "accepted",
    "queued",
    "deferred",
    "rejected",
    "uncertain",
    "dead",
    "suppressed",
    "cancelled",
    "dropped",
)


@click.command()
@click.argument("name", required=False)
@click.option("--watch", "-w", is_flag=True, help="Look again every second, until all is final.")
@click.option("--json", "json_", is_flag=True, help="Print JSON; with --watch a line each second.")
@click.option("--since", metavar="TIME", help="Enqueued since 2026-05-01, 08:00 or 7d ago.")
@click.option("--state", type=click.Choice(campaigns.STATES), help="Only those in this state.")
@click.option("--all", "all_", is_flag=True, help="All campaigns, not only the last twenty.")
@pass_session
def status(  # noqa: PLR0913 - the options
    session: Session,
    /,
    name: str | None,
    *,
    watch: bool,
    json_: bool,
    since: str | None,
    state: str | None,
    all_: bool,
) -> None:
    """Show the last twenty campaigns, or the one called NAME: outcomes, rate, time left.

    \b
    Example:
      mailer status
      mailer status spring-2026 --watch
      mailer status spring-2026 --json | jq .outcomes.rejected
      mailer status --state paused --since 30d
    """  # noqa: D301 - click's mark against rewrapping
    if name and (since or state or all_):
        raise click.UsageError("--since, --state and --all choose among campaigns: leave NAME out")
    which = _Which(name, past(since), state or "", None if all_ else LAST)
    looks = _looks(session, which, forever=watch)
    if json_:
        for found in looks:
            as_json(found[0].as_json() if name else [one.as_json() for one in found])
    elif watch and on_terminal():
        from rich.live import Live  # noqa: PLC0415 - for terminals only

        with Live(console=console(), auto_refresh=False) as live:
            for found in looks:
                live.update(_drawn(found, name), refresh=True)
    else:
        _plain(looks, which)
        _troubles(session)


def _troubles(session: Session) -> None:
    """Say on standard error what is not as it should be, whichever campaigns are shown."""
    settings = session.settings
    for one in campaigns.late(settings):
        why = f": {one.trouble}" if one.trouble else ""
        waits = f"{plural(one.messages, 'event')} wait, the oldest {span(one.age)}"
        say(f"mailer: {one.consumer}: {waits}{why}", err=True)
    for consumer, number in campaigns.set_aside(settings).items():
        said = f"events of {plural(number, 'batch')} set aside"
        say(f"mailer: {consumer}: {said}: `mailer events list`", err=True)
    for gap in events.missed(settings):
        what = f"missed {plural(gap.recipients, 'event')}, which left Redis unread"
        say(f"mailer: {gap.consumer}: {what}: `mailer events list`", err=True)
    if older := events.rewound(settings):
        what = f"knows what became of {plural(older.recipients, 'recipient')}, and Redis does not"
        say(f"mailer: history: {what}: was it restored? `mailer events list`", err=True)
    if said := refused(settings):
        say(f"mailer: Redis takes no writes, and workers wait: {said}", err=True)
    elif waiting := campaigns.unattended(settings):
        who = f"{plural(waiting, 'recipient')} {'waits' if waiting == 1 else 'wait'}"
        say(f"mailer: no worker runs, and {who}: {_start(session)}", err=True)


def _start(session: Session) -> str:
    if session.local is not None:
        return "the `mailer run` of before goes on"
    return "start one: celery -A mailer worker --loglevel INFO"


@dataclass(frozen=True, slots=True)
class _Which:
    """Which campaigns are shown: the one called *name*, or the last ones; *last* None means all."""

    name: str | None
    since: float
    state: str
    last: int | None

    def found(self, settings: Settings) -> list[Status]:
        """What there is of them, and one more than is shown where there are more."""
        if self.name:
            return [campaigns.status(settings, self.name)]
        every = campaigns.statuses(settings, self.since, self.state)
        return list(islice(every, self.last and self.last + 1))


def _looks(session: Session, which: _Which, *, forever: bool) -> Iterator[Sequence[Status]]:
    """What there is to see: once, or every second until nothing moves any more."""
    while True:
        settings = session.settings
        found = which.found(settings)
        if which.last and len(found) > which.last and not forever:
            found = found[: which.last]
            say(f"mailer: the last {which.last} campaigns; --all shows the others, too", err=True)
        yield found[: which.last]
        if not forever or all(one.final for one in found):
            return
        try:
            time.sleep(INTERVAL)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None  # the usual end of a watch


def _plain(looks: Iterator[Sequence[Status]], which: _Which) -> None:
    before: Sequence[object] = ()
    for found in looks:
        now = [(one.says, dict(one.outcomes), dict(one.came_back), dict(one.held)) for one in found]
        if now == before:
            continue
        before = now
        if which.name:
            _one(found[0])
        elif found:
            _all(found)
        elif which.since or which.state:
            say("No such campaigns.")
        else:
            say(pasteable("No campaigns yet: mailer send NAME --template T --from F RECIPIENTS"))


def _all(found: Sequence[Status]) -> None:
    shown = [column for column in _COLUMNS if any(one.outcomes.get(column) for one in found)]
    table(
        ["campaign", "state", "total", *shown, "rate", "left"],
        [
            [
                one.campaign,
                one.says,
                one.total,
                *[one.outcomes.get(column, 0) for column in shown],
                _rate(one),
                span(one.time_left),
            ]
            for one in found
        ],
    )


def _one(one: Status) -> None:
    say(f"{one.campaign}: {one.says}, {plural(one.total, 'recipient')}")
    if one.why:
        say(
            f"  It paused itself: {one.why}. {pasteable(f'`mailer resume {one.campaign}`')} goes on."
        )
    if one.unheld:
        say(
            f"  {plural(one.unheld, 'recipient')} {'is' if one.unheld == 1 else 'are'} in no batch, so "
            "nobody sends to them: Redis ended a script in its middle, or keys were deleted. The mail "
            f"server's log knows who got it; {pasteable(f'`mailer cancel {one.campaign}`')} settles them."
        )
    for domain, why in one.held.items():
        mend = pasteable(f"`mailer resume {one.campaign} --accept-rate`")
        say(f"  Nothing is sent to {domain}: {why}. {mend} goes on.")
    for column in _COLUMNS:
        if number := one.outcomes.get(column, 0):
            say(f"  {column:<11}{count(number):>12}{_share(number, one.total):>9}")
            if column == "accepted" and (back := _came_back(one)):
                say(f"  {'':<11}{back}")
    if not one.final and not at_rest(one):
        say(f"  {one.rate:.0f} a second, {span(one.time_left)} left")


def _rate(one: Status, left: str = "") -> str:
    """Its rate, and *left* after it; a dash where nobody sends."""
    return f"{one.rate:.0f}/s{left}" if one.final or not at_rest(one) else "-"


def _came_back(one: Status) -> str:
    """What became of the accepted later: "of these 41 bounced, 2 complained"."""
    words = {"bounce": "bounced", "complaint": "complained", "unsubscribe": "unsubscribed"}
    parts = [
        f"{count(number)} {word}"
        for kind, word in words.items()
        if (number := one.came_back.get(kind, 0))
    ]
    return f"of these {', '.join(parts)}" if parts else ""


def _share(number: int, total: int) -> str:
    return f"{number / total:.1%}" if total else ""


def _drawn(found: Sequence[Status], name: str | None) -> Table:
    from rich.table import Table  # noqa: PLC0415 - for terminals only

    grid = Table(box=None, header_style="bold", padding=(0, 3, 0, 0))
    if name:
        one = found[0]
        grid.add_column(one.campaign)
        grid.add_column(one.says, justify="right")
        grid.add_column(_rate(one, f", {span(one.time_left)} left"), justify="right")
        for column in _COLUMNS:
            if number := one.outcomes.get(column, 0):
                grid.add_row(styled(column), count(number), _share(number, one.total))
            if column == "accepted" and (back := _came_back(one)):
                grid.add_row(f"  {back}", "", "")
        grid.add_row("total", count(one.total), "")
        return grid
    for heading in ("campaign", "state", "total", "accepted", "open", "failed", "rate", "left"):
        grid.add_column(heading, justify="left" if heading in ("campaign", "state") else "right")
    for one in found:
        bad = sum(one.outcomes.get(word, 0) for word in ("rejected", "uncertain", "dead"))
        grid.add_row(
            one.campaign,
            styled(one.says),
            count(one.total),
            count(one.outcomes["accepted"]),
            count(one.open),
            count(bad),
            _rate(one),
            span(one.time_left),
        )
    return grid
