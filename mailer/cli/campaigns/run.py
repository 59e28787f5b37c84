"""`mailer run`: queue and deliver on this machine alone, until every recipient is final."""

import time
from typing import Any

import click
from rich.progress import Progress, TaskID

from mailer import Campaign
from mailer.cli import setup
from mailer.cli.campaigns import hindrances, mending
from mailer.cli.campaigns import receipt as receipts
from mailer.cli.campaigns.campaign_options import (
    campaign,
    campaign_options,
    enqueued,
    refuse_example,
)
from mailer.cli.output import as_json, say, span
from mailer.cli.progress import ListBar, bars
from mailer.cli.session import Session, pass_session
from mailer.errors import SubmissionError
from mailer.local import DEFAULT_FOLDER, Folder, LocalWorker
from mailer.mail.counts import count, plural
from mailer.operate.campaigns import Status

_POLL = 0.5
_LOOK = 2.0
"""Seconds between two looks at what is in the way."""


@click.command()
@click.argument("name")
@click.argument("recipients", metavar="RECIPIENTS")
@campaign_options
@click.option(
    "--concurrency", "-c", type=click.IntRange(1, 64), help="Worker processes; else one a core."
)
@click.option("--json", "json_", is_flag=True, help="Print receipt and outcomes as JSON.")
@pass_session
def run(session: Session, /, name: str, recipients: str, *, json_: bool, **given: Any) -> None:
    """Queue campaign NAME for RECIPIENTS and deliver it here, with an embedded server and worker.

    Nothing else needs to run. Its data are kept in the folder of --local (default .mailer): after
    Ctrl-C, a crash or a reboot the same command goes on where it stopped.

    \b
    Example:
      mailer run spring-2026 --template newsletter --from news@shop.example people.csv
    """  # noqa: D301 - click's mark against rewrapping
    folder = Folder(session.local or DEFAULT_FOLDER)
    session.local = folder.path
    setup.ensure(session)
    refuse_example(session.configured, given)
    with folder.exclusively(), folder.entered() as url:
        settings = folder.settings(session.configured, url)
        made = campaign(settings, name, given)
        made.composer  # noqa: B018 - a fault of the template is found before anything starts
        setup.ask_for_passwords(settings, made.accounts)
        if not folder.persists:
            click.echo("mailer: no Redis server fits here; fakeredis forgets at the end", err=True)
        mending.mend(settings, made)
        worker = LocalWorker(
            url,
            folder.path / "worker.log",
            config=settings.file,
            concurrency=given["concurrency"],
            history=settings.history.url,
        )
        with (
            hindrances.resumable(session, made),
            worker,
            hindrances.finishing(),
            bars() as progress,
        ):
            shown = ListBar(progress)
            receipt = enqueued(made, recipients, given, shown)
            if not json_:
                receipts.show(receipt, json_=False)
                hindrances.begins(made)
            status = _deliver(session, made, worker, progress, shown.bar)
        in_the_way = [*hindrances.found(session, made)]
    _report(session, status, receipt.as_json(), json_=json_)
    receipts.verdict(receipt)
    _verdict(status, in_the_way)


def _deliver(
    session: Session, made: Campaign, worker: LocalWorker, progress: Progress, bar: TaskID
) -> Status:
    """Wait until all is final, with the bar following; say what is waited for, whenever that changes."""
    said: list[str] = []
    look_again = 0.0
    while not (status := made.status()).final:
        worker.ensure()
        done = status.total - status.open
        what = f"sending, {status.rate:.0f}/s"
        waiting = status.outcomes["deferred"]
        if waiting:
            what += f", {count(waiting)} deferred"
        progress.update(bar, description=what, completed=done, total=status.total)
        if time.monotonic() >= look_again:
            look_again = time.monotonic() + _LOOK
            now = [*hindrances.found(session, made)]
            if waiting and waiting == status.open:
                now.append(hindrances.deferred(made, waiting))
            for sentence in now:
                if sentence not in said:
                    say(f"mailer: {sentence}", err=True)
            said = now
        time.sleep(_POLL)
    return status


def _verdict(status: Status, in_the_way: list[str]) -> None:
    """Raise `SubmissionError` where somebody did not get it and it is not their server's word."""
    dead, uncertain = status.outcomes["dead"], status.outcomes["uncertain"]
    parts = [f"{plural(dead, 'recipient')} did not get it"] if dead else []
    if uncertain:
        parts.append(f"{plural(uncertain, 'recipient')} may have got it, for the reply was lost")
    if not parts:
        return
    why = f": {in_the_way[0]}" if in_the_way else ""
    raise SubmissionError(
        f"{' and '.join(parts)}{why}; once that is mended, the same command goes on"
    )


def _report(session: Session, status: Status, receipt: dict[str, Any], *, json_: bool) -> None:
    if json_:
        as_json({"receipt": receipt, **status.as_json()})
        return
    outcomes = ", ".join(f"{count(n)} {word}" for word, n in status.outcomes.items() if n)
    took = (status.active or 0.0) - (status.started or 0.0)
    click.echo(f"{status.campaign}: {outcomes or 'nobody to send to'}, in {span(max(took, 0.0))}")
    bad = {word: status.outcomes[word] for word in ("rejected", "uncertain", "dead")}
    if any(bad.values()):
        say(f"who and why:  {session.command(f'failures {status.campaign}')}")
    if bad["dead"] or bad["uncertain"]:
        say(f"to be judged: {session.command('dead list')}")
