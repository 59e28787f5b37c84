"""`mailer events`: what the application is told, and what it did not take."""

import json
from dataclasses import asdict

import click

from mailer.cli.group import HelpfulGroup
from mailer.cli.output import as_json, moment, say, span, table
from mailer.cli.session import Session, pass_session
from mailer.mail.counts import count, plural
from mailer.operate import events as operated

_NAMED = 20
"""Campaigns that are named of many; --json has all."""


@click.group(cls=HelpfulGroup)
def events() -> None:
    """See who is told what becomes of messages, and have told again what was not taken.

    \b
    Example:
      mailer events list
      mailer events replay webhook
    """  # noqa: D301 - click's mark against rewrapping


@events.command("list", short_help="Show who reads events, and what lies aside.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@pass_session
def list_(session: Session, *, json_: bool) -> None:
    """Show who reads events, how far it is behind, and the deliveries that it did not take.

    \b
    Example:
      mailer events list
    """  # noqa: D301
    readers, aside = operated.backlogs(session.settings), list(operated.set_aside(session.settings))
    lost = operated.lost(session.settings)
    missed = {one.consumer: one for one in operated.missed(session.settings)}
    older = operated.rewound(session.settings)
    if json_:
        as_json(
            {
                "consumers": [
                    {
                        "consumer": one.consumer,
                        "waiting": one.messages,
                        "lag": round(one.age, 3),
                        "trouble": one.trouble,
                        "lost": lost.get(one.consumer, 0),
                        "missed": _as_json(missed.get(one.consumer)),
                    }
                    for one in readers
                ],
                "set_aside": [
                    {"consumer": one.consumer, "id": one.identifier, "at": one.at, "why": one.why}
                    | json.loads(one.body)
                    for one in aside
                ],
                "redis_is_older": asdict(older) if older else None,
            }
        )
        return
    if not readers:
        if session.settings.follows:
            say("nobody has read events yet: the first worker that runs begins")
        else:
            say("nobody reads events: [events] and [history] in mailer.toml say who is to")
        return
    table(
        ["consumer", "waiting", "oldest", "trouble"],
        [[one.consumer, one.messages, span(one.age), one.trouble or "-"] for one in readers],
    )
    for one in aside:
        say(f"{one.consumer}: {plural(one.events, 'event')} set aside {moment(one.at)}: {one.why}")
    for name, number in lost.items():
        say(f"{name}: {plural(number, 'event')} had to go, as too many lay aside")
    for gap in missed.values():
        say(_told(session, gap))
    if older:
        say(_told_of_backup(session, older))
    if aside:
        say(f"`{session.command('events replay')}` has them told again; --json shows them")


@events.command(short_help="Have told again what was set aside.")
@click.argument("consumer", required=False)
@pass_session
def replay(session: Session, consumer: str | None) -> None:
    """Have told again what CONSUMER (hook, webhook, task) did not take; without one, what nobody took.

    Workers do it next, before what is new. What is refused once more lies aside again.

    \b
    Example:
      mailer events replay webhook
    """  # noqa: D301
    found = operated.replay(session.settings, consumer)
    for name, number in found.items():
        if number or consumer:
            say(f"{name}: {plural(number, 'event')} to be told again")
    if not consumer and not any(found.values()):
        say("nothing lies aside: nobody is to be told again")


@events.command(short_help="Say no more of what was missed, or of a Redis that was restored.")
@click.argument("consumer")
@pass_session
def dismiss(session: Session, consumer: str) -> None:
    """Say no more of events that left Redis before CONSUMER had read them.

    For a hook, webhook or task, once the application has compared: `mailer export NAME` says what became
    of everybody. `mailer history mend` does it for the history. For `history`, say no more, too, of a
    Redis that was restored from a backup and is older than the history.

    \b
    Example:
      mailer events dismiss webhook
    """  # noqa: D301
    missed, older = operated.dismiss(session.settings, consumer)
    if not missed and not older:
        say(f"{consumer} missed nothing")
    if missed:
        what = f"{plural(missed.recipients, 'event')} that it missed"
        say(f"{consumer}: nothing more is said of {what}")
    if older:
        what = f"{plural(older.recipients, 'recipient')} of whom Redis knows less"
        say(f"{consumer}: nothing more is said of {what}")


@events.command(short_help="Keep nothing more for a consumer that is configured no longer.")
@click.argument("consumer")
@pass_session
def drop(session: Session, consumer: str) -> None:
    """Let nothing wait for CONSUMER any more, and forget what lies aside for it.

    For when it was taken out of mailer.toml, here and on all workers: else events wait for it in Redis.

    \b
    Example:
      mailer events drop webhook
    """  # noqa: D301
    lost = operated.drop(session.settings, consumer)
    say(f"nothing more is kept for {consumer}; of {plural(lost, 'message')} it had not heard")


def _told(session: Session, gap: operated.Missed) -> str:
    when = f"before {moment(gap.until)}"
    if gap.since:
        when = f"between {moment(gap.since)} and {moment(gap.until)}"
    if gap.consumer == "history":
        how = f"`{session.command('history mend')}` puts in what the ledger knows of them"
    else:
        told = session.command(f"events dismiss {gap.consumer}")
        how = f"compare with `{session.command('export NAME')}`, then `{told}`"
    what = f"{gap.consumer} missed {plural(gap.recipients, 'event')}, {when}"
    return f"{what}: they left Redis unread (XTRIM, DEL, an eviction); {how}"


def _told_of_backup(session: Session, older: operated.Rewound) -> str:
    what = plural(older.recipients, "recipient")
    since = f"after {moment(older.since)}, up to" if older.since else "up to"
    most = sorted(older.campaigns.items(), key=lambda one: -one[1])
    named = ", ".join(f"{name} {count(number)}" for name, number in most[:_NAMED])
    named += ", …" if len(most) > _NAMED else ""
    return (
        f"Redis is older than the history, which knows what became of {what} {since} "
        f"{moment(older.until)} ({named}): it was restored from a backup, emptied, or has lost its last "
        "writes. Workers may send to them again: cancel these campaigns and go on under another name "
        f"with --skip-accepted-of (docs/operating.md); then `{session.command('history mend')}`, or "
        f"`{session.command('events dismiss history')}`"
    )


def _as_json(gap: operated.Missed | None) -> dict[str, float] | None:
    if gap is None:
        return None
    return {"events": gap.recipients, "since": gap.since, "until": gap.until}
