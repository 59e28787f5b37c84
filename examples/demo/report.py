"""What a user wants to know at the end of the demo."""

import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from speed import Speed

from mailer import Receipt, Settings
from mailer.local import Folder
from mailer.mail.said import without_addresses
from mailer.operate.campaigns import statuses
from mailer.store.connection import connect
from mailer.store.dead_letters import DeadLetters, Filter

EXAMPLES_SHOWN = 5


@dataclass
class Story:
    """What happened: the receipts, the speed, what the mail server counted, and where things are."""

    settings: Settings
    receipts: list[Receipt]
    speed: Speed
    served: dict[str, int]
    folder: Path
    outbox: Path


def report(console: Console, story: Story) -> None:
    """Print outcomes, what was not queued, dead letters, the outbox, the rate, and what to type."""
    outcomes(console, story)
    for receipt in story.receipts:
        not_queued(console, receipt)
    dead_letters(console, story.settings)
    the_server(console, story.outbox, story.served)
    next_steps(console, story)


def outcomes(console: Console, story: Story) -> None:
    """One line a campaign, and how fast it went."""
    found = sorted(statuses(story.settings), key=lambda status: -status.total)
    words = [word for word in found[0].outcomes if any(one.outcomes[word] for one in found)]
    table = Table(title="Outcomes", title_justify="left", title_style="bold", box=None)
    table.add_column("campaign")
    for word in (*words, "total"):
        table.add_column(word, justify="right")
    for one in found:
        table.add_row(
            one.campaign, *[f"{one.outcomes[word]:,}" for word in words], f"{one.total:,}"
        )
    console.print(table)
    first = found[0]
    took = (first.active or 0.0) - (first.started or 0.0)
    console.print(
        f"\n[bold]Rate[/]: {story.speed.best:,.0f} messages a second at best; "
        f"{took:.0f} s in all, greylisting waited out "
        "(a mail server in Python takes no more)",
        soft_wrap=True,
    )


def not_queued(console: Console, receipt: Receipt) -> None:
    """How many rows were left out, and why."""
    complaints = [one for one in receipt.complaints if one.kind != "already_queued"]
    if not complaints:
        return
    kinds = Counter(one.kind for one in complaints)
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    console.print(f"\n[bold]Not queued[/] of {receipt.campaign}: {counts}")
    invalid = (one for one in complaints if one.kind == "invalid")
    for one in islice(invalid, EXAMPLES_SHOWN):
        console.print(f"  row {one.row}: {one.reason}", markup=False, soft_wrap=True)
    if kinds["invalid"] > EXAMPLES_SHOWN:
        console.print(f"  … and {kinds['invalid'] - EXAMPLES_SHOWN} more")


def dead_letters(console: Console, settings: Settings) -> None:
    """What needs a human, by account and reason."""
    letters = list(DeadLetters(connect(settings.redis)).find(Filter(), time.time()))
    if not letters:
        return
    console.print(f"\n[bold]Dead letters[/]: {len(letters)}, nothing in them is lost")
    messages: Counter[tuple[str, str, str]] = Counter()
    for letter in letters:
        reply = without_addresses(letter.said.reply)
        messages[letter.account, letter.reason, reply] += letter.messages
    for (account, reason, reply), number in messages.most_common(EXAMPLES_SHOWN):
        console.print(
            f"  {number} messages, account {account}, {reason}: {reply}",
            markup=False,
            soft_wrap=True,
        )


def the_server(console: Console, outbox: Path, served: dict[str, int]) -> None:
    """What the mail server saw: the other side of the story."""
    files = sum(1 for _ in outbox.glob("*.eml"))
    console.print(
        f"\n[bold]The mail server[/] wrote {files:,} .eml files to ./{outbox}/ and counted:"
    )
    for what, number in sorted(served.items(), key=lambda item: -item[1]):
        console.print(f"  {number:>6,} {what}", markup=False, soft_wrap=True)
    if not served.get("received twice"):
        console.print("       0 received twice")


def next_steps(console: Console, story: Story) -> None:
    """Commands that work now: the data are kept, and the server starts when it is asked for."""
    if not Folder(story.folder).persists:
        console.print("\nfakeredis, which stood in for Redis here, forgets all this at its end.")
        return
    mailer = f".venv/bin/mailer --local {story.folder}"
    letter = next(DeadLetters(connect(story.settings.redis)).find(Filter(), time.time()))
    console.print("\n[bold]Next[/], look around; everything is kept:")
    for command in (
        f"{mailer} status",
        f"{mailer} failures spring-2026",
        f"{mailer} dead list",
        f"{mailer} dead show {letter.identifier}",
        f"{mailer} accounts list",
        ".venv/bin/mailer preview newsletter examples/recipients.csv --row 1 --set season=spring",
        '.venv/bin/mailer explain AUTH "535 5.7.8 Authentication failed"',
    ):
        console.print(f"  {command}", markup=False, soft_wrap=True)
