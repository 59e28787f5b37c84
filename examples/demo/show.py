"""The whole job on one machine: `make demo`, or `python examples/demo`.

An embedded Redis server, a real Celery worker, a real mail server with TLS and logins; a campaign to
more than five thousand people, some of whom cannot be reached; a second one whose password is wrong.
"""

import argparse
import shutil
import sys
import time
from itertools import islice
from pathlib import Path

from arrange import Stage
from report import Story, report
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from speed import Speed

from mailer import Attachment, Campaign, MailerError, Receipt, load
from mailer.local import Folder, LocalWorker
from mailer.mail.recipients import read_rows

EXAMPLES = Path(__file__).resolve().parents[1]
FOLDER = Path(".mailer/demo")
OUTBOX = Path("outbox")
POLL = 0.25
ALL = 1_000_000


def main() -> int:
    """Run the demo; gives the exit code. ``--rows N`` takes about so many rows of the list."""
    parser = argparse.ArgumentParser(prog="demo", description="The whole job on one machine.")
    parser.add_argument("--rows", type=int, default=ALL, help="about so many rows of the list")
    rows = parser.parse_args().rows
    console = Console(highlight=False)
    folder = Folder(FOLDER)
    try:
        with folder.exclusively():
            forget(FOLDER, OUTBOX)
            with Stage(folder.path, OUTBOX.absolute()) as stage, folder.entered() as url:
                return show(console, stage, folder, url, rows)
    except KeyboardInterrupt:
        console.print("\nInterrupted; nothing runs any more. `make demo` begins anew.")
        return 130
    except MailerError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def forget(folder: Path, outbox: Path) -> None:
    """Remove what an earlier demo left: its data and its mails, nothing else."""
    for name in ("redis", "tls"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("server.url", "server.log", "worker.log", "mail.log", "port", "served.json"):
        (folder / name).unlink(missing_ok=True)
    outbox.mkdir(exist_ok=True)
    for mail in outbox.glob("*.eml"):
        mail.unlink()


def show(console: Console, stage: Stage, folder: Folder, url: str, rows: int) -> int:
    """Enqueue, deliver, report."""
    settings = folder.settings(load(stage.configuration), url)
    big = Campaign(
        "spring-2026",
        template="newsletter",
        sender="Demo Shop <news@demo.example>",
        context={"season": "spring"},
        attachments=[Attachment.from_path(EXAMPLES / "terms.txt")],
        settings=settings,
    )
    small = Campaign(
        "members-may",
        template="newsletter",
        sender="Demo Club <club@demo.example>",
        account="club",
        context={"season": "May"},
        settings=settings,
    )
    console.print(
        f"[bold]mailer demo[/]: an embedded Redis server in {FOLDER}, a Celery worker, a mail server "
        f"on port {stage.port}\n",
        soft_wrap=True,
    )
    if not console.is_terminal:
        console.print("Queueing and sending; this takes less than a minute ...\n")
    worker = LocalWorker(
        url,
        folder.path / "worker.log",
        config=stage.configuration,
        history=settings.history.url,
    )
    with worker, bars(console) as progress:
        receipts = [
            enqueue(progress, big, EXAMPLES / "recipients.csv", rows),
            enqueue(progress, small, EXAMPLES / "members.csv", rows),
        ]
        speed = watch(progress, [big, small], worker)
    story = Story(settings, receipts, speed, stage.stop(), FOLDER, OUTBOX)
    report(console, story)
    return 0


def bars(console: Console) -> Progress:
    """Bars that a pipe does not see."""
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def enqueue(progress: Progress, campaign: Campaign, file: Path, rows: int) -> Receipt:
    """Queue the campaign for everyone in *file*, or for about so many *rows* spread over it."""
    with file.open(encoding="utf-8") as lines:
        total = sum(1 for _ in lines) - 1
    step = max(1, total // rows)
    bar = progress.add_task(f"queueing {campaign.name}", total=len(range(0, total, step)))
    return campaign.enqueue(
        islice(read_rows(file), 0, None, step),
        progress=lambda number: progress.advance(bar, number),
    )


def watch(progress: Progress, campaigns: list[Campaign], worker: LocalWorker) -> Speed:
    """Wait until every recipient of every campaign has an outcome; gives how fast it went."""
    speed = Speed()
    drawn: dict[str, TaskID] = {
        one.name: progress.add_task(f"sending {one.name}", total=None) for one in campaigns
    }
    while True:
        found = [campaign.status() for campaign in campaigns]
        for one in found:
            progress.update(drawn[one.campaign], completed=one.total - one.open, total=one.total)
        speed.note(time.monotonic(), sum(one.outcomes["accepted"] for one in found))
        if all(one.final for one in found):
            return speed
        worker.ensure()
        time.sleep(POLL)
