"""`mailer feedback`: what came back, and what it means."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import moment, say, table
from mailer.cli.session import Session, pass_session
from mailer.errors import InputError, LedgerUnavailableError, MailerError
from mailer.feedback import Kind, Report, polling, read, serving
from mailer.feedback.intake.files import Found, messages, stream_messages
from mailer.feedback.parts import MAX_OCTETS
from mailer.feedback.returns import Tally, returns_of, rule_for
from mailer.feedback.webhooks.providers import READERS
from mailer.mail.barring.dropping import DEFAULT, Policy, described
from mailer.mail.counts import count, plural
from mailer.operate import feedback as operate

TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: what tells a mail server to try again later."""

_UNKNOWN = ("source", "kind", "recipient", "reason", "said")


@click.group(cls=HelpfulGroup)
def feedback() -> None:
    """Read what comes back: bounces, complaints, automatic answers.

    \b
    Example:
      mailer feedback explain bounce.eml
    """  # noqa: D301 - click's mark against rewrapping


@feedback.command(short_help="Say what messages that came back mean.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "json_", is_flag=True, help="Print one JSON object a recipient a line.")
@click.option(
    "--webhook",
    "provider",
    type=click.Choice(sorted(READERS)),
    help="A FILE is the body of a webhook's request instead.",
)
@pass_session
def explain(session: Session, files: tuple[str, ...], *, json_: bool, provider: str | None) -> None:
    """Say what each FILE means, and change nothing; `-` is standard input.

    A FILE is one message as it came (.eml). Nothing is recorded, and neither Redis nor a
    configuration is needed; where they are there, the campaign is named too. The last column is
    what [feedback.policy] does about the recipient of a message of ours.

    \b
    Example:
      mailer feedback explain bounce.eml
      mailer feedback explain --json Maildir/new/*
    """  # noqa: D301
    missing: list[str] = []
    found = _read_all(files, missing, provider)
    policy = _policy(session)
    if json_:
        campaign_of = _campaigns(session)
        for file, report in found:
            click.echo(_as_json(file, report, campaign_of(report), policy))
    else:
        headings = ["file", "kind", "recipient", "status", "reason", "permanent", "policy"]
        rows = [_row(file, report, policy) for file, report in found]
        if rows or not missing:
            table(headings, rows)
    if missing:
        raise InputError("; ".join(missing))


@feedback.command(name="read", short_help="Take messages that came back from files or stdin.")
@click.argument("places", nargs=-1, required=True, metavar="PLACE...")
@click.option(
    "--to", "envelope", multiple=True, metavar="ADDRESS", help="To whom it was delivered."
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing where all is well.")
@pass_session
def read_(
    session: Session, places: tuple[str, ...], envelope: tuple[str, ...], *, quiet: bool
) -> int:
    """Record what the messages at each PLACE say; `-` is standard input.

    A PLACE is a message, an mbox, a folder, or a Maildir: there, what is in `new` is read, and moves to
    `cur` once it is recorded. Nothing is deleted, and reading a message again changes nothing. While
    Redis is away the exit code is 75, by which a mail server that pipes messages here tries again.

    \b
    Example:
      mailer feedback read Maildir
      bounces: "|mailer feedback read --quiet -"        (in /etc/aliases)
    """  # noqa: D301
    tally = Tally()
    try:
        returns = returns_of(session.settings)
        for place in places:
            for found in _messages(place):
                tally.add(returns.take(found.octets, "file", envelope))
                found.acknowledge()
    except LedgerUnavailableError as error:
        say(f"mailer: {error}", err=True)
        return TRY_AGAIN
    except OSError as error:
        raise InputError(f"{error.filename or ''}: {error.strerror or error}") from error
    if not quiet:
        _tell(tally)
    return 0


@feedback.command(short_help="Fetch what came back from the configured mailbox.")
@click.option("--follow", "-f", is_flag=True, help="Go on until stopped.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing where all is well.")
@pass_session
def poll(session: Session, *, follow: bool, quiet: bool) -> None:
    """Fetch and record what is new in [feedback] imap, pop3 and maildir.

    Workers do so by themselves; this is for who has none running, or wants it now. Nothing is deleted,
    unless [feedback] delete says so: Redis remembers what was read. Polling at once twice does no harm.

    \b
    Example:
      mailer feedback poll
    """  # noqa: D301
    if follow:
        polling.follow_until_stopped(session.settings, _say_nothing if quiet else _tell)
        return
    try:
        tally = polling.Polling(session.settings).once()
    except OSError as error:
        raise InputError(f"{error.filename or ''}: {error.strerror or error}") from error
    if not quiet:
        _tell(tally)


@feedback.command(short_help="Listen by LMTP for what a mail server hands over.")
@click.option("--listen", metavar="HOST:PORT", help="Where, instead of [feedback] lmtp.")
@pass_session
def serve(session: Session, listen: str | None) -> None:
    """Take by LMTP what a mail server delivers, until it is stopped.

    A message is recorded before it is accepted, and the server keeps it while Redis is away. Return
    paths that are not ours are refused. There is no TLS: listen on loopback, or in a network of your own.

    \b
    Example:
      mailer feedback serve --listen 127.0.0.1:2424
    """  # noqa: D301
    serving.serve(session.settings, listen or session.settings.feedback.lmtp, say, _tell)


@feedback.command(short_help="Show what came back and proved nothing.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON object a line.")
@pass_session
def unknown(session: Session, *, json_: bool) -> None:
    """Show what came back and could not be matched with a message of ours, the latest first.

    It is counted and kept, and nobody is dropped for it: anybody can write a bounce.

    \b
    Example:
      mailer feedback unknown
    """  # noqa: D301
    found = operate.unknown(session.settings)
    if json_:
        for at, one in found:
            click.echo(json.dumps({"at": at, **one}))
    elif found:
        rows = [[moment(at), *(one[key] for key in _UNKNOWN)] for at, one in found]
        table(["at", *_UNKNOWN], rows)
    else:
        say("Nothing is unknown.")


def _messages(place: str) -> Iterator[Found]:
    if place == "-":
        return stream_messages(sys.stdin.buffer, "stdin")
    return messages(Path(place))


def _say_nothing(_tally: Tally) -> None:
    """All is well, and nobody asks."""


def _tell(tally: Tally) -> None:
    kinds = ", ".join(f"{count(number)} {kind}" for kind, number in tally.kinds.most_common())
    say(f"{plural(tally.messages, 'message')}: {kinds or 'nothing'}")
    if tally.messages:
        say(f"  {count(tally.matched)} about messages of ours, {count(tally.new)} of them new")
    if tally.dropped:
        say(f"  {plural(tally.dropped, 'address')} put on the suppression list")
    for campaign, why in tally.paused.items():
        say(f"  {campaign} paused itself: {why}")
    for campaign, why in tally.held:
        say(f"  {campaign} holds back its mail to {why}")


def _campaigns(session: Session) -> Callable[[Report], str | None]:
    """What names the campaign of a report; nothing does without secrets, campaigns and Redis."""
    try:
        if not session.configured.reading_keys():
            return lambda _: None
        tokens = returns_of(session.settings).tokens()
    except MailerError:
        return lambda _: None
    return lambda report: match.campaign if (match := tokens.find(report)) else None


def _reports(octets: bytes, provider: str | None) -> Iterable[Report]:
    if provider is None:
        return read(octets)
    try:
        return [event.report() for event in READERS[provider](json.loads(octets))]
    except (ValueError, RecursionError):
        return [Report(Kind.UNKNOWN)]


def _read_all(
    files: Iterable[str], missing: list[str], provider: str | None
) -> Iterable[tuple[str, Report]]:
    for file in files:
        try:
            octets = _octets(file)
        except OSError as error:
            missing.append(f"{file}: {error.strerror or error}")
            continue
        for report in _reports(octets, provider):
            yield file, report


def _octets(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(MAX_OCTETS)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_OCTETS)


def _policy(session: Session) -> Policy:
    """What the configuration says; the defaults where there is none, or it cannot be read."""
    try:
        return session.configured.feedback.dropping
    except MailerError:
        return DEFAULT


def _as_json(file: str, report: Report, campaign: str | None, policy: Policy) -> str:
    # Escaped throughout: what strangers wrote must not act on a terminal.
    return json.dumps(
        {
            "file": file,
            "kind": report.kind.value,
            "recipient": report.recipient,
            "status": report.status,
            "reply_code": report.reply_code,
            "reason": report.reason.value if report.reason else None,
            "permanent": report.permanent,
            "campaign": campaign,
            "message_id": report.trace.message_id,
            "policy": described(rule_for(report, policy)),
        }
    )


def _row(file: str, report: Report, policy: Policy) -> list[object]:
    permanent = "" if report.permanent is None else "yes" if report.permanent else "no"
    reason = report.reason.value if report.reason else ""
    who = [report.recipient or "", report.status or ""]
    return [file, report.kind.value, *who, reason, permanent, described(rule_for(report, policy))]
