"""How numbers, shares and times are written for people: in words, and the same everywhere."""

from datetime import UTC, datetime
from time import time
from typing import Final

from mailer.mail.counts import count
from mailer.mail.durations import spoken
from mailer.operate.campaigns import Status
from mailer.operate.states import at_rest

NONE: Final = "\u2013"
"""What stands where there is nothing to say."""


def short(number: float) -> str:
    """*number* as it fits a narrow place: ``1.2 M``."""
    # From where three digits would round to a thousand of the smaller unit.
    for size, unit, least in ((1e6, "M", 999_500), (1e3, "k", 10_000)):
        if number >= least:
            found = number / size
            return f"{found:.3g} {unit}" if found < 999.5 else f"{count(found)} {unit}"
    return count(number)


def share(part: float, whole: float) -> str:
    """*part* of *whole* in per cent; never 0 % of something, nor 100 % where something lacks."""
    if not whole or not part:
        return "0 %"
    found = 100 * part / whole
    if found < 0.1:
        return "< 0.1 %"
    if part < whole and found > 99.9:
        return "> 99.9 %"
    return f"{found:.1f} %" if found < 10 or (part < whole and found > 99) else f"{found:.0f} %"


def span(seconds: float | None) -> str:
    """*seconds* as a person says them: ``3 min``, ``2 h 5 min``; a dash where unknown."""
    return NONE if seconds is None else spoken(seconds)


def rate(per_second: float) -> str:
    """A speed in the unit in which it is a number that one can see before oneself."""
    if per_second >= 10:
        return f"{per_second:,.0f}/s"
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    if per_second * 60 >= 1:
        return f"{per_second * 60:,.0f}/min"
    return f"{per_second * 3600:,.0f}/h" if per_second else "0/s"


def moment(at: float | None) -> str:
    """*at* (seconds since the epoch) as date and time; a dash where there is none."""
    return f"{datetime.fromtimestamp(at, UTC):%d %b %Y, %H:%M:%S} UTC" if at else NONE


def day(at: float) -> str:
    """The day of *at*, where the hour matters to nobody."""
    return f"{datetime.fromtimestamp(at, UTC):%d %b %Y}"


def machine(at: float) -> str:
    """*at* as HTML's ``datetime`` wants it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def clock(at: float, days: bool) -> str:  # noqa: FBT001 - a filter of templates
    """*at* under a picture: the time of day, or with *days* the day."""
    return f"{datetime.fromtimestamp(at, UTC):{'%d %b %H:%M' if days else '%H:%M'}}"


def ago(at: float | None) -> str:
    """How long *at* is ago, or is still to come."""
    if not at:
        return "never"
    passed = time() - at
    return f"in {span(-passed)}" if passed < -1 else f"{span(passed)} ago"


def took(one: Status) -> float | None:
    """Seconds from a campaign's beginning to its newest outcome, or until now where it goes on."""
    if not one.started:
        return None
    ends = one.active or one.started
    return (ends if one.final or at_rest(one) else time()) - one.started


def says(one: Status) -> str:
    """What a campaign does now, without the time until which it does."""
    return one.says.partition(" until ")[0]
