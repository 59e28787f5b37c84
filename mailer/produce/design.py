"""What a campaign's design is: its own values over those of the configuration."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from time import time
from typing import Any

from mailer.compose import Design, Unsubscribe
from mailer.config import RetryTable, Settings
from mailer.config.faults import checked
from mailer.errors import ConfigError, InputError
from mailer.mail.recipients import BrokenRow, Recipient, Rejected, parse
from mailer.mail.schedule import Window


def design(
    settings: Settings, campaign: str, template: str, sender: str | None, account: str, **rest: Any
) -> Design:
    """A campaign's design, with the configuration's values where it gives none.

    Raises `ConfigError` where neither names a sender.
    """
    configured = settings.accounts.get(account)
    who = sender or (configured.sender if configured else None) or settings.sender
    if not who:
        raise ConfigError('no sender: pass sender, or set it in mailer.toml (sender = "…")')
    known = {name: value for name, value in rest.items() if value is not None}
    if known.get("bulk", True):
        known.setdefault("list_id", settings.list_id)
        known = _unsubscribable(settings) | known
    known = _returning(settings) | known
    return Design(
        campaign=campaign,
        template=template,
        sender=who,
        templates_path=settings.templates,
        **known,
    )


def _unsubscribable(settings: Settings) -> dict[str, Any]:
    """How recipients get off the list, if the configuration says it for all campaigns."""
    url, own = settings.unsubscribe_url(), settings.unsubscribe
    mailto = own.mailto if own else None
    if not url and not mailto:
        return {}
    takes_posts = own is None or own.one_click
    link = Unsubscribe(url, mailto, one_click=takes_posts and (url or "").startswith("https://"))
    secret = settings.signing_key()
    return {"unsubscribe": link, **({"secret": secret} if secret else {})}


def _returning(settings: Settings) -> dict[str, Any]:
    """Where bounces go to, and how they name their message."""
    if settings.feedback.return_path is None:
        return {}
    secret = settings.signing_key()
    signed = {"secret": secret, "verp": True} if secret else {}
    return {"return_path": settings.feedback.return_path, **signed}


def summary(made: Design | None, account: str) -> Mapping[str, Any]:
    """What is shown of a campaign, and compared when it is enqueued again; None without a template."""
    if made is None:
        return {"template": "", "sender": "", "account": account}
    return {
        "template": made.template,
        "sender": made.sender,
        "account": account,
        "reply_to": made.reply_to,
        "context": _digest(dict(made.context)),
        "headers": _digest(dict(made.headers)),
        "attachments": [attachment.filename for attachment in made.attachments],
    }


def retry_overrides(overrides: Mapping[str, float]) -> Mapping[str, float]:
    """A campaign's own retry values, as the configuration would read them.

    A duration may be a text: ``"5m"`` is 300.0. Raises `InputError` that names the key.
    """
    for key in overrides:
        if key not in RetryTable.model_fields:
            near = difflib.get_close_matches(key, RetryTable.model_fields, 1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"known: {', '.join(RetryTable.model_fields)}"
            )
            raise InputError(f"retry: unknown key {key!r}; {hint}")
    try:
        read = checked(RetryTable, overrides, "retry")
    except ValueError as exc:
        raise InputError(str(exc)) from exc
    return {key: getattr(read, key) for key in overrides}


def aware(start_at: datetime) -> datetime:
    """*start_at* itself. Raises `InputError` where it has no time zone."""
    if start_at.tzinfo is None:
        raise InputError("start_at has no time zone: say which, as in datetime.now().astimezone()")
    return start_at


def checked_window(text: str | None) -> str | None:
    """*text* itself. Raises `InputError` where it is no window of hours."""
    if text is not None:
        try:
            Window.parse(text)
        except ValueError as exc:
            raise InputError(f"window: {exc}") from exc
    return text


def recipient(row: Mapping[str, object] | BrokenRow) -> Recipient:
    """The recipient of a single row. Raises `InputError` where it names nobody."""
    one = parse(row, 1)
    if isinstance(one, Rejected):
        raise InputError(one.reason)
    return one


def _digest(value: object) -> str:
    packed = json.dumps(value, sort_keys=True, default=repr)
    return hashlib.sha256(packed.encode()).hexdigest()[:16]


def coming(start_at: datetime | None) -> datetime | None:
    """Return the Date of messages that wait for *start_at*; None where it is past, or None."""
    if start_at is None or start_at.timestamp() <= time():
        return None
    return start_at.astimezone(UTC)
