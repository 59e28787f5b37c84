"""When is it that people mean: times that are to come, and times that are over."""

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from mailer.config import duration
from mailer.config.clock import unknown_zone, zone_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


def coming(text: str | None, now: datetime | None = None) -> datetime | None:
    """A time as people write it: a date with or without time, a time of today, or ``+2h``.

    A zone may stand behind it, ``08:00 Europe/Berlin``; without one it is this machine's. A time of day
    that is over means tomorrow's.
    """
    if text is None:
        return None
    now = now or datetime.now().astimezone()
    try:
        if text.startswith("+"):
            return now + timedelta(seconds=duration(text[1:]))
        clock, zone = _zone(text, "--at")
        if at := _of_day(clock, now.astimezone(zone) if zone else now):
            _trust_the_clock(zone, "--at")
            return at if at > now else at + timedelta(days=1)
        return _moment(clock, zone, "--at")
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'{text!r} is no time; write "2026-05-01 08:00", "08:00" or "+2h"', param_hint="--at"
        ) from None


def past(text: str | None, now: datetime | None = None) -> float:
    """The same of what is over, in seconds since the epoch: ``7d`` is a week ago; 0.0 for None.

    A time of day that is still to come means yesterday's. A zone is written as for `coming`.
    """
    if text is None:
        return 0.0
    now = now or datetime.now().astimezone()
    try:
        if re.fullmatch(r"[\d.]+\s*[a-z]+", text):
            return now.timestamp() - duration(text)
        clock, zone = _zone(text, "--since")
        if at := _of_day(clock, now.astimezone(zone) if zone else now):
            _trust_the_clock(zone, "--since")
            return (at if at <= now else at - timedelta(days=1)).timestamp()
        return _moment(clock, zone, "--since").timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'{text!r} is no time; write "2026-05-01", "08:00" or "7d"', param_hint="--since"
        ) from None


def _zone(text: str, option: str) -> tuple[str, "ZoneInfo | None"]:
    """*text* without the zone that it names, and that zone."""
    named = re.fullmatch(r"(.*\d)\s+([A-Za-z][\w/+-]*)", text.strip())
    if not named:
        return text, None
    try:
        return named[1], zone_of(named[2])
    except ValueError:
        raise click.BadParameter(
            f"{named[2]!r} names no time zone that is known here; write it as Europe/Berlin",
            param_hint=option,
        ) from None


def _moment(text: str, zone: "ZoneInfo | None", option: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        _trust_the_clock(zone, option)
        return at.replace(tzinfo=zone) if zone else at.astimezone()
    return at.astimezone(zone)


def _trust_the_clock(zone: "ZoneInfo | None", option: str) -> None:
    """Raise `click.BadParameter` where a time without a *zone* would be another than was meant."""
    if zone is None and (said := unknown_zone()):
        raise click.BadParameter(
            f"which zone is meant? {said}, or write the zone behind the time", param_hint=option
        )


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
