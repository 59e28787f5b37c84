"""What a user wants to know at the end of the demo."""

import time
from collections import Counter
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mailer import Receipt, Settings
from mailer.campaign import statuses
from mailer.outcome import without_addresses
from mailer.store.connection import connect
from mailer.store.dead_letters import DeadLetters, Filter

EXAMPLES_SHOWN = 5


def report(  # noqa: PLR0913, PLR0917 - all that there is to tell
    console: Console,
    settings: Settings,
    receipts: list[Receipt],
    folder: Path,
    outbox: Path,
    served: dict[str, int],
) -> None:
    """Print outcomes, what was not queued, dead letters, the outbox, the rate, and what to type next."""
    outcomes(console, settings)
    for receipt in receipts:
        not_queued(console, receipt)
    dead_letters(console, settings)
    the_server(console, outbox, served)
    next_steps(console, folder)


def outcomes(console: Console, settings: Settings) -> None:
    """One line a campaign."""
    found = statuses(settings)
    words = [word for word in found[0].outcomes if any(one.outcomes[word] for one in found)]
    table = Table(title="Outcomes", title_justify="left", title_style="bold", box=None)
    table.add_column("campaign")
    for word in (*words, "total", "messages/s"):
        table.add_column(word, justify="right")
    for one in sorted(found, key=lambda status: -status.total):
        took = (one.active or 0.0) - (one.started or 0.0)
        rate = f"{one.outcomes['accepted'] / took:,.0f}" if took > 0 else "-"
        counts = [f"{one.outcomes[word]:,}" for word in words]
        table.add_row(one.campaign, *counts, f"{one.total:,}", rate)
    console.print(table)


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
        console.print(f"  row {one.row}: {one.reason}", markup=False)
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
        console.print(f"  {number} messages, account {account}, {reason}: {reply}", markup=False)


def the_server(console: Console, outbox: Path, served: dict[str, int]) -> None:
    """What the mail server saw: the other side of the story."""
    files = sum(1 for _ in outbox.glob("*.eml"))
    console.print(
        f"\n[bold]The mail server[/] wrote {files:,} .eml files to ./{outbox}/ and counted:"
    )
    for what, number in sorted(served.items(), key=lambda item: -item[1]):
        console.print(f"  {number:>6,} {what}", markup=False)
    if not served.get("received twice"):
        console.print("       0 received twice")


def next_steps(console: Console, folder: Path) -> None:
    """Commands that work now: the data are kept, and the server starts when it is asked for."""
    mailer = f".venv/bin/mailer --local {folder}"
    console.print("\n[bold]Next[/], look around; everything is kept:")
    for command in (
        f"{mailer} status",
        f"{mailer} failures spring-2026",
        f"{mailer} dead list",
        f"{mailer} accounts list",
        ".venv/bin/mailer preview newsletter examples/recipients.csv --row 1 --from you@example.org",
        '.venv/bin/mailer explain AUTH "535 5.7.8 Authentication failed"',
    ):
        console.print(f"  {command}", markup=False, soft_wrap=True)
