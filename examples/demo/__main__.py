"""The whole job on one machine: `make demo`, or `python examples/demo`.

An embedded Redis server, a real Celery worker, a real mail server with TLS and logins; a campaign to
more than five thousand people, some of whom cannot be reached; a second one whose password is wrong.
"""

import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path

from arrange import Stage
from report import report
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from mailer import Attachment, Campaign, MailerError, Receipt, load
from mailer.local import Folder, LocalWorker
from mailer.recipients import read_rows

EXAMPLES = Path(__file__).resolve().parents[1]
FOLDER = Path(".mailer/demo")
OUTBOX = Path("outbox")
POLL = 0.25


def main() -> int:
    """Run the demo; gives the exit code."""
    console = Console(highlight=False)
    folder = Folder(FOLDER)
    try:
        with folder.exclusively():
            forget(FOLDER, OUTBOX)
            with Stage(folder.path, OUTBOX.absolute()) as stage, folder.entered() as url:
                return show(console, stage, folder, url)
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


def show(console: Console, stage: Stage, folder: Folder, url: str) -> int:
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
        f"[bold]mailer demo[/]: an embedded server in {FOLDER}, a Celery worker, "
        f"a mail server on port {stage.port}\n"
    )
    worker = LocalWorker(url, folder.path / "worker.log", config=stage.configuration)
    with worker, bars(console) as progress:
        receipts = [
            enqueue(progress, big, EXAMPLES / "recipients.csv"),
            enqueue(progress, small, EXAMPLES / "members.csv"),
        ]
        watch(progress, [big, small], worker)
    report(console, settings, receipts, FOLDER, OUTBOX, stage.stop())
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


def enqueue(progress: Progress, campaign: Campaign, file: Path) -> Receipt:
    """Queue the campaign for everyone in *file*."""
    with file.open(encoding="utf-8") as lines:
        total = sum(1 for _ in lines) - 1
    bar = progress.add_task(f"queueing {campaign.name}", total=total)
    receipt = campaign.enqueue(
        read_rows(file), progress=lambda number: progress.advance(bar, number)
    )
    progress.update(bar, completed=total)
    return receipt


def watch(progress: Progress, campaigns: list[Campaign], worker: LocalWorker) -> None:
    """Wait until every recipient of every campaign has an outcome."""
    drawn: dict[str, TaskID] = {
        one.name: progress.add_task(f"sending {one.name}", total=None) for one in campaigns
    }
    while True:
        found = [campaign.status() for campaign in campaigns]
        for one in found:
            progress.update(drawn[one.campaign], completed=one.total - one.open, total=one.total)
        if all(one.final for one in found):
            return
        worker.ensure()
        time.sleep(POLL)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
