"""`mailer dead`: the dead letters, looked at, replayed, purged."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import as_json, moment, say, span, table
from mailer.cli.progress import bars
from mailer.cli.session import Session, pass_session
from mailer.cli.typed.times import age
from mailer.errors import InputError, PayloadError
from mailer.mail.counts import plural
from mailer.mail.said import without_addresses
from mailer.operate.dead_letters import REASONS, DeadLetter, DeadLetterOffice, Filter, Moved

Command = Callable[..., Any]

_HEADS = 5


_FILTERS = (
    click.option("--reason", type=click.Choice(REASONS), help="Why it is dead."),
    click.option("--account", metavar="NAME", help="Of this account."),
    click.option("--campaign", metavar="NAME", help="Of this campaign."),
    click.option("--older-than", metavar="AGE", callback=age, help='As in "2h" or "5d".'),
    click.option("--newer-than", metavar="AGE", callback=age, help='As in "15m".'),
)


def _filters(command: Command) -> Command:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group(cls=HelpfulGroup)
def dead() -> None:
    """Look at what needs a human, and have it go on: the dead-letter queue.

    \b
    Example:
      mailer dead list
      mailer dead replay --account primary
    """  # noqa: D301 - click's mark against rewrapping


@dead.command(name="list", short_help="List dead letters.")
@_filters
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
@pass_session
def list_(session: Session, /, *, json_: bool, **which: Any) -> None:
    """List dead letters, the oldest first.

    \b
    Example:
      mailer dead list --reason auth --newer-than 1h
    """  # noqa: D301
    found = list(_office(session).find(Filter(**which), time.time()))
    if json_:
        as_json([_record(letter) for letter in found])
    elif found:
        columns = ("id", "reason", "account", "campaign", "messages", "since", "what was said")
        table(columns, [_line(letter) for letter in found])
    else:
        say("No dead letters." if not any(which.values()) else "No such dead letters.")


@dead.command(short_help="One of them: why, dialogue, headers.")
@click.argument("identifier", metavar="ID")
@click.option("--all", "all_", is_flag=True, help="Every message, not the first five.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@pass_session
def show(session: Session, identifier: str, *, all_: bool, json_: bool) -> None:
    """Show one dead letter: why, the end of the SMTP dialogue, its messages' headers.

    \b
    Example:
      mailer dead show spring-2026:17.1
    """  # noqa: D301
    office = _office(session)
    letter = office.get(identifier)
    try:
        heads = list(office.heads(identifier, None if all_ else _HEADS))
    except PayloadError as exc:
        heads = []
        say(f"mailer: its messages cannot be read: {exc.args[0]}", err=True)
    if json_:
        envelopes = [
            {"from": head.reverse_path, "to": head.forward_path, "headers": list(head.headers)}
            for head in heads
        ]
        as_json({**_record(letter), "dialogue": list(letter.said.dialogue), "heads": envelopes})
        return
    for key, value in _record(letter).items():
        if value:
            say(f"{key:>10}: {value}")
    for line in letter.said.dialogue:
        say(f"            {line}")
    for head in heads:
        say(f"\nMAIL FROM:<{head.reverse_path}>  RCPT TO:<{head.forward_path}>")
        for name, value in head.headers:
            say(f"  {name}: {value}")
    if letter.messages > len(heads) > 0:
        say(f"\n… and {plural(letter.messages - len(heads), 'message')} more (--all)")


@dead.command(short_help="Queue them again.")
@click.argument("identifiers", nargs=-1, metavar="[ID...]")
@_filters
@click.option("--through", metavar="NAME", default="", help="Send through this account instead.")
@click.option("--edit-sender", metavar="F", default="", help="Send in this name instead.")
@pass_session
def replay(session: Session, /, identifiers: tuple[str, ...], **given: Any) -> None:
    """Queue dead letters again: those named, or all that the filters mean.

    What was accepted meanwhile is not sent again; doing it twice does nothing more. --account means
    the letters of that account or, where it has none, those of others, sent through it.

    \b
    Example:
      mailer accounts start primary && mailer dead replay --account primary
      mailer dead replay spring-2026:17.1 --account backup
      mailer dead replay --account old --through new --edit-sender "Shop <shop@new.example>"
    """  # noqa: D301
    account, sender = given.pop("through"), given.pop("edit_sender")
    office = _office(session)
    other = given["account"]
    if other and not account and (identifiers or not _any(office, account=other)):
        session.settings.account(other)
        account, given["account"] = other, None
    letters = _meant(office, identifiers, given)
    moved = _moving(
        office.replay(letters, account=account, sender=sender), len(letters), "replaying"
    )
    _tell(moved, {"replayed": "queued again", "settled": "needed nothing more"})


@dead.command(short_help="Remove them for good.")
@click.argument("identifiers", nargs=-1, metavar="[ID...]")
@_filters
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@pass_session
def purge(session: Session, /, identifiers: tuple[str, ...], **given: Any) -> None:
    """Remove dead letters for good; their recipients count as dropped. Asks first.

    \b
    Example:
      mailer dead purge --reason uncertain --older-than 30d
    """  # noqa: D301
    yes = given.pop("yes")
    office = _office(session)
    letters = _meant(office, identifiers, given)
    if not identifiers and letters and not yes:
        letters = letters if _is_sure("Purge", letters) else []
    moved = _moving(office.purge(letters), len(letters), "purging")
    _tell(moved, {"dropped": "dropped"})


def _office(session: Session) -> DeadLetterOffice:
    producer = session.connections
    return DeadLetterOffice(producer.client, producer.broker, session.settings)


def _meant(
    office: DeadLetterOffice, identifiers: tuple[str, ...], which: dict[str, Any]
) -> list[DeadLetter]:
    if identifiers and any(value is not None for value in which.values()):
        raise click.UsageError("name ids or filter, not both")
    if identifiers:
        return [office.get(identifier) for identifier in identifiers]
    return list(office.find(Filter(**which), time.time()))


def _any(office: DeadLetterOffice, **which: Any) -> bool:
    return next(iter(office.find(Filter(**which), time.time())), None) is not None


def _is_sure(verb: str, letters: list[DeadLetter]) -> bool:
    messages = plural(sum(letter.messages for letter in letters), "message")
    question = f"{verb} {plural(len(letters), 'dead letter')} with {messages}?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say --yes to do it without being asked")
    return click.confirm(question)


def _moving(moves: Iterator[Moved], total: int, what: str) -> list[Moved]:
    with bars() as progress:
        return list(progress.track(moves, total=total, description=what))


def _tell(moved: Iterable[Moved], good: dict[str, str]) -> None:
    """Say what became of the letters; raises `InputError` when some stayed where they were."""
    letters: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    stayed: list[Moved] = []
    for move in moved:
        letters[move.how] += 1
        messages[move.how] += move.messages
        if move.how in ("stopped", "cancelled", "unreadable"):
            stayed.append(move)
    if not letters:
        say("nothing to do")
    for how, words in good.items():
        if letters[how]:
            count = plural(messages[how], "message")
            say(f"{plural(letters[how], 'dead letter')}: {count} {words}")
    if letters["gone"]:
        say(f"{plural(letters['gone'], 'dead letter')}: somebody else was faster")
    if stayed:
        raise InputError("; ".join(_why_stayed(stayed)))


def _why_stayed(stayed: list[Moved]) -> Iterator[str]:
    """Why letters are where they were, each reason once."""
    letters = Counter(move.how for move in stayed)
    campaigns = Counter(move.letter.campaign for move in stayed if move.how == "cancelled")
    if letters["stopped"]:
        names = ", ".join(sorted({one.letter.account for one in stayed if one.how == "stopped"}))
        yield (
            f"{plural(letters['stopped'], 'dead letter')} stayed, for the account is stopped: "
            f"mailer accounts start {names}, or --through another"
        )
    for name, number in sorted(campaigns.items()):
        yield (
            f"{plural(number, 'dead letter')} stayed: "
            f"campaign {name!r} is cancelled: nothing of it is sent any more"
        )
    if letters["unreadable"]:
        number = letters["unreadable"]
        yield f"{plural(number, 'dead letter')} stayed: their messages cannot be changed"


def _record(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.identifier,
        "reason": letter.reason,
        "account": letter.account,
        "campaign": letter.campaign,
        "batch": letter.batch,
        "messages": letter.messages,
        "since": moment(letter.at),
        "stage": letter.said.stage,
        "reply": letter.said.reply,
        "action": letter.said.action,
        "rule": letter.said.rule,
        "attempts": letter.said.attempts,
    }


def _line(letter: DeadLetter) -> list[object]:
    said = f"{letter.said.stage}: {without_addresses(letter.said.reply)}".removeprefix(": ")
    ago = f"{span(time.time() - letter.at)} ago"
    return [
        letter.identifier,
        letter.reason,
        letter.account,
        letter.campaign,
        letter.messages,
        ago,
        said,
    ]
