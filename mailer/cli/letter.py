"""What `send` and `run` ask about a campaign, and the `Campaign` that follows."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from mailer import Attachment, Campaign
from mailer.config import Settings, duration

Command = Callable[..., Any]

_OPTIONS = (
    click.option("--template", "-t", required=True, metavar="T", help="Folder below templates/."),
    click.option("--from", "-f", "sender", metavar="F", help="Sender; else mailer.toml's."),
    click.option("--account", default="primary", show_default=True, help="Which login sends."),
    click.option(
        "--set",
        "settings_",
        multiple=True,
        metavar="KEY=VALUE",
        help="A variable for all recipients.",
    ),
    click.option(
        "--attach",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A file for all.",
    ),
    click.option("--reply-to", metavar="ADDRESS", help="Where answers go."),
    click.option("--header", multiple=True, metavar="NAME:VALUE", help="A further header field."),
    click.option(
        "--at", "start", metavar="TIME", help='Not before: "2026-05-01 08:00", 08:00, +2h.'
    ),
    click.option("--batch-size", type=click.IntRange(1, 10_000), help="Messages a task."),
    click.option(
        "--on-uncertain",
        type=click.Choice(["hold", "resend"]),
        default="hold",
        show_default=True,
        help="When a message was sent and the reply was lost.",
    ),
    click.option(
        "--processes",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Render in so many.",
    ),
    click.option("--skip-faulty", is_flag=True, help="Leave rows out that cannot be rendered."),
    click.option(
        "--no-check", is_flag=True, help="Do not render every row before the first is queued."
    ),
    click.option("--accept-changes", is_flag=True, help="Go on although template or rows changed."),
)


def campaign_options(command: Command) -> Command:
    """Give *command* the options that describe a campaign."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def campaign(settings: Settings, name: str, given: dict[str, Any]) -> Campaign:
    """The campaign *name* as the options in *given* describe it."""
    return Campaign(
        name,
        template=given["template"],
        sender=given["sender"],
        account=given["account"],
        context=pairs(given["settings_"]),
        attachments=[Attachment.from_path(path) for path in given["attach"]],
        reply_to=given["reply_to"],
        headers=headers(given["header"]),
        start_at=moment(given["start"]),
        batch_size=given["batch_size"],
        max_backlog=given.get("max_backlog"),
        on_uncertain=given["on_uncertain"],
        settings=settings,
    )


def pairs(words: tuple[str, ...]) -> dict[str, str]:
    """``key=value`` words as a mapping."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise click.BadParameter(f"{word!r} is not KEY=VALUE", param_hint="--set")
        found[key] = value
    return found


def headers(words: tuple[str, ...]) -> dict[str, str]:
    """``Name: value`` words as a mapping."""
    found = {}
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"{word!r} is not NAME:VALUE", param_hint="--header")
        found[name.strip()] = value.strip()
    return found


def moment(text: str | None, now: datetime | None = None) -> datetime | None:
    """A time as people write it: a date with or without time, a time of today, or ``+2h``.

    Without a zone it is this machine's. A time of day that is over means tomorrow's.
    """
    if text is None:
        return None
    now = now or datetime.now().astimezone()
    try:
        if text.startswith("+"):
            return now + timedelta(seconds=duration(text[1:]))
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = map(int, text.split(":"))
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return at if at > now else at + timedelta(days=1)
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.BadParameter(
            f'{text!r} is no time; write "2026-05-01 08:00", "08:00" or "+2h"', param_hint="--at"
        ) from None
