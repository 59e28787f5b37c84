"""What `send` and `run` ask about a campaign, and the `Campaign` that follows."""

from collections.abc import Callable, Mapping, Sequence
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import click

from mailer import Attachment, Campaign, Receipt
from mailer.cli.init import EXAMPLE
from mailer.cli.lines import pasteable
from mailer.cli.lists import encoding_option, rows
from mailer.cli.output import say
from mailer.cli.progress import ListBar
from mailer.cli.typed.times import coming
from mailer.cli.typed.values import given as wrong
from mailer.compose.headers import one_mailbox, some_mailboxes
from mailer.config import Settings, duration
from mailer.errors import ConfigError
from mailer.operate.recipients import Recipients, accepted, failed, replayable
from mailer.produce.dry_run import rehearse

Command = Callable[..., Any]
Progress = Callable[[int], None]

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)

_OPTIONS = (
    click.option("--template", "-t", required=True, metavar="T", help="Folder below templates/."),
    click.option("--from", "-f", "sender", metavar="F", help="Sender; else mailer.toml's."),
    click.option(
        "--account",
        "accounts",
        multiple=True,
        metavar="NAME[=WEIGHT]",
        help="Which login sends (default: primary); several share by weight.",
    ),
    click.option(
        "--pin",
        "pins",
        multiple=True,
        metavar="DOMAIN=NAME",
        help="Recipients there by this account.",
    ),
    click.option(
        "--set",
        "settings_",
        multiple=True,
        metavar="KEY=VALUE",
        help="A variable for all recipients.",
    ),
    click.option("--attach", multiple=True, type=_FILE, metavar="FILE", help="A file for all."),
    click.option(
        "--inline", multiple=True, type=_FILE, metavar="IMAGE", help="An image that cid:NAME shows."
    ),
    click.option(
        "--attachment-field",
        metavar="COLUMN",
        help="The column that names a recipient's own file …",
    ),
    click.option(
        "--attachments-path", type=_FOLDER, metavar="FOLDER", help="… in this folder or below it."
    ),
    click.option("--reply-to", metavar="ADDRESS", help="Where answers go."),
    click.option("--list-id", metavar="ID", help="List-ID (RFC 2919); else mailer.toml's."),
    click.option("--feedback-id", metavar="ID", help="Feedback-ID, by which Gmail counts spam."),
    click.option("--header", multiple=True, metavar="NAME:VALUE", help="A further header field."),
    click.option(
        "--at",
        "start",
        metavar="TIME",
        help='Not before "2026-05-01 08:00", 08:00, +2h, "08:00 Europe/Berlin".',
    ),
    click.option("--window", metavar="HOURS", help='Only in "Mon-Fri 08:00-18:00 Europe/Berlin".'),
    click.option(
        "--weight", type=float, default=1.0, metavar="N", help="Share against other campaigns."
    ),
    click.option(
        "--retry", multiple=True, metavar="KEY=VALUE", help="As in [retry]: give_up_after=5d."
    ),
    click.option(
        "--on-uncertain",
        type=click.Choice(["hold", "resend"]),
        default="hold",
        show_default=True,
        help="When a message was sent and its reply lost.",
    ),
    click.option(
        "--batch-size", type=click.IntRange(1, 10_000), metavar="N", help="Messages a task."
    ),
    click.option(
        "--processes",
        type=click.IntRange(1, 256),
        default=1,
        metavar="N",
        help="Render in N processes.",
    ),
    click.option(
        "--max-backlog",
        type=click.IntRange(1),
        metavar="N",
        help="Stay at most N ahead of the workers.",
    ),
    click.option("--skip-faulty", is_flag=True, help="Leave out rows that cannot be rendered."),
    click.option(
        "--no-check", is_flag=True, help="Do not render all rows before the first is queued."
    ),
    encoding_option,
    click.option(
        "--skip-accepted-of",
        metavar="OTHER",
        multiple=True,
        help="Leave out who has got campaign OTHER, or may have; can be given more than once.",
    ),
    click.option(
        "--retry-failed-of",
        metavar="OTHER",
        multiple=True,
        help="Queue only those whom campaign OTHER certainly did not reach; can be given more than once.",
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
    accounts = weights(given["accounts"])
    if settings.accounts:  # a producer's file may leave them all to the workers
        for account in accounts:
            settings.account(account)
    _check_mailboxes(given)
    attachments = [Attachment.from_path(path) for path in given["attach"]]
    images = [Attachment.from_path(path) for path in given["inline"]]
    with wrong():
        return _made(settings, name, given, accounts, attachments, images)


def _check_mailboxes(given: dict[str, Any]) -> None:
    """Refuse a sender or a reply-to that is no mailbox."""
    with wrong("--from"):
        _ = given["sender"] and one_mailbox("sender", given["sender"])
    with wrong("--reply-to"):
        _ = given["reply_to"] and some_mailboxes("reply_to", given["reply_to"])


def refuse_example(settings: Settings, given: dict[str, Any]) -> None:
    """Raise `ConfigError` where the sender only stands for one: nothing is to leave under it."""
    if parseaddr(given["sender"] or settings.sender or "")[1] == EXAMPLE:
        raise ConfigError(
            f"{settings.file or 'mailer.toml'}: the sender is still {EXAMPLE}, as mailer init wrote it: "
            "say there who you are"
        )


def _made(  # noqa: PLR0913, PLR0917 - what was read of files comes beside the options
    settings: Settings,
    name: str,
    given: dict[str, Any],
    accounts: Mapping[str, float],
    attachments: Sequence[Attachment],
    images: Sequence[Attachment],
) -> Campaign:
    return Campaign(
        name,
        template=given["template"],
        sender=given["sender"],
        account=accounts,
        pins=pairs(given["pins"], "--pin"),
        context=pairs(given["settings_"]),
        attachments=attachments,
        inline_images=images,
        reply_to=given["reply_to"],
        attachment_field=given["attachment_field"],
        attachments_path=given["attachments_path"],
        list_id=given["list_id"],
        feedback_id=given["feedback_id"],
        headers=headers(given["header"]),
        start_at=coming(given["start"]),
        window=given["window"],
        weight=given["weight"],
        retry=retries(given["retry"]),
        batch_size=given["batch_size"],
        max_backlog=given["max_backlog"],
        on_uncertain=given["on_uncertain"],
        settings=settings,
    )


def enqueued(made: Campaign, recipients: str, given: dict[str, Any], shown: ListBar) -> Receipt:
    """The receipt of enqueueing *made* for the rows of *recipients*."""
    return made.enqueue(
        rows(recipients, given["encoding"]),
        check=not given["no_check"],
        skip_faulty=given["skip_faulty"],
        accept_changes=given["accept_changes"],
        processes=given["processes"],
        progress=shown.queued,
        checked=shown.checked,
        **_others(made, given),
    )


def rehearsed(
    made: Campaign, recipients: str, given: dict[str, Any], progress: Progress
) -> Receipt:
    """The receipt that `enqueued` would have; nothing is queued."""
    return rehearse(
        made,
        rows(recipients, given["encoding"]),
        progress,
        check=not given["no_check"],
        skip_faulty=given["skip_faulty"],
        accept_changes=given["accept_changes"],
        **_others(made, given),
    )


def _others(made: Campaign, given: dict[str, Any]) -> dict[str, Recipients | None]:
    """Who is left out, and to whom it is limited, for what became of them in other campaigns."""
    before, again = given["skip_accepted_of"], given["retry_failed_of"]
    for name in dict.fromkeys((*before, *again)):
        if number := replayable(made.settings, name):
            say(
                pasteable(
                    f"mailer: {number:,} of {name} lie in the dead letters: a replay would reach them "
                    f"a second time; mailer dead purge --campaign {name} ends that"
                ),
                err=True,
            )
    return {
        "skip": accepted(made.settings, *before) if before else None,
        "only": failed(made.settings, *again) if again else None,
    }


def weights(words: tuple[str, ...]) -> dict[str, float]:
    """``name`` or ``name=weight`` words as a mapping; the account ``primary`` where there are none."""
    found = {}
    for word in words or ("primary",):
        name, _, weight = word.partition("=")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            raise click.BadParameter(
                f"{word!r} is not NAME or NAME=WEIGHT", param_hint="--account"
            ) from None
    return found


def retries(words: tuple[str, ...]) -> dict[str, float]:
    """``key=value`` words of [retry], durations as seconds."""
    try:
        return {key: duration(value) for key, value in pairs(words, "--retry").items()}
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--retry") from None


def pairs(words: tuple[str, ...], option: str = "--set") -> dict[str, str]:
    """``key=value`` words as a mapping."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or (option == "--set" and not key.isidentifier()):
            raise click.BadParameter(f"{word!r} is not KEY=VALUE", param_hint=option)
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
