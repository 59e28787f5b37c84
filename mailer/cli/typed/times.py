"""When is it that people mean: times that are to come, and times that are over."""

import re
from datetime import datetime, timedelta

import click

from mailer.config import duration


def coming(text: str | None, now: datetime | None = None) -> datetime | None:
    """A time as people write it: a date with or without time, a time of today, or ``+2h``.

    Without a zone it is this machine's. A time of day that is over means tomorrow's.
    """
    if text is None:
        return None
    now = now or datetime.now().astimezone()
    try:
        if text.startswith("+"):
            return now + timedelta(seconds=duration(text[1:]))
        if at := _of_day(text, now):
            return at if at > now else at + timedelta(days=1)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'{text!r} is no time; write "2026-05-01 08:00", "08:00" or "+2h"', param_hint="--at"
        ) from None


def past(text: str | None, now: datetime | None = None) -> float:
    """The same of what is over, in seconds since the epoch: ``7d`` is a week ago; 0.0 for None.

    A time of day that is still to come means yesterday's.
    """
    if text is None:
        return 0.0
    now = now or datetime.now().astimezone()
    try:
        if at := _of_day(text, now):
            return (at if at <= now else at - timedelta(days=1)).timestamp()
        if re.fullmatch(r"[\d.]+\s*[a-z]+", text):
            return now.timestamp() - duration(text)
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'{text!r} is no time; write "2026-05-01", "08:00" or "7d"', param_hint="--since"
        ) from None


def age(_context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """An option's span of time, such as ``90d``, in seconds."""
    if value is None:
        return None
    try:
        return duration(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param=option) from None


def _of_day(text: str, now: datetime) -> datetime | None:
    if not re.fullmatch(r"\d{1,2}:\d{2}", text):
        return None
    hour, minute = map(int, text.split(":"))
    return now.replace(hour=hour, minute=minute, second=0, microsecond=0)
