"""How long a reply asks to wait: "try again in 5 minutes", "until 14:30 UTC", "retry after 60".

Pure; the time is passed in. Nothing is guessed: where a text names no time, there is no answer.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

LONGEST: Final = 7 * 86400.0
"""Seconds; a reply that names a later time is not believed."""

LONGEST_TEXT: Final = 2000
"""Characters of a text that are looked at."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNIT: Final = r"(seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|[smhd])\b"
_NUMBERS: Final = {"a": 1, "an": 1, "one": 1, "two": 2, "five": 5, "ten": 10, "thirty": 30}
_NUMBER: Final = r"(\d{1,7}(?:\.\d+)?|an?|one|two|five|ten|thirty)"

# What stands before a wait, never before a limit ("exceeded 50 messages in 24 hours"). The words
# between may hold no digit and end no sentence.
_ASKS: Final = (
    r"(?:try|retry|retried|again|wait|later|greylist\w*|graylist\w*|blocked|deferred|locked|resets?"
    r"|back ?off|resume\w*|available|retry-after)"
)
_FOR: Final = re.compile(
    rf"\b{_ASKS}\b[^.;!?\d]{{0,40}}?\b(?:in|for|after|within|least|wait|another)?\s*:?\s*"
    rf"{_NUMBER}\s*{_UNIT}(?:\s*(?:,|and)?\s*(\d+)\s*{_UNIT})?",
    re.IGNORECASE,
)
_BARE: Final = re.compile(
    rf"\b(?:retry[- ]after|try again (?:after|in))\s*[:=]?\s*(\d{{1,6}})\b(?![:\d/.-]|\s*{_UNIT})",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    rf"\b{_ASKS}\b[^.;!?\d]{{0,40}}?\b(?:in|after)\s+(\d{{1,3}}):(\d\d):(\d\d)\b", re.IGNORECASE
)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"\b(?:at|until|after)\s+(\d{1,2}):(\d\d)(?::(\d\d))?\s*(UTC|GMT|Z)?\b", re.IGNORECASE
)


def retry_after(text: str, now: float) -> float | None:
    """Seconds from *now* that the reply's *text* asks to wait; None where it says nothing.

    A time of day is read as UTC and as the next one to come.
    """
    # One blank for many: else some patterns would try each way to share them out.
    text = " ".join(text[:LONGEST_TEXT].split())
    for read in (_duration, _clock, _moment, _time_of_day, _bare):
        seconds = read(text, now)
        if seconds is not None and 0 < seconds <= LONGEST:
            return seconds
    return None


def _duration(text: str, _now: float) -> float | None:
    match = _FOR.search(text)
    if not match:
        return None
    number, unit, more, more_unit = match.groups()
    seconds = float(_NUMBERS.get(number.lower()) or number) * _UNITS[unit[0].lower()]
    return seconds + (float(more) * _UNITS[more_unit[0].lower()] if more else 0)


def _clock(text: str, _now: float) -> float | None:
    match = _CLOCK.search(text)
    if not match:
        return None
    hours, minutes, seconds = map(int, match.groups())
    return hours * 3600.0 + minutes * 60 + seconds


def _moment(text: str, now: float) -> float | None:
    match = _MOMENT.search(text)
    if not match:
        return None
    day, clock, zone = match.groups()
    zone = "+00:00" if not zone or zone.upper() in ("Z", "UTC", "GMT") else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp() - now
    except ValueError:
        return None


def _time_of_day(text: str, now: float) -> float | None:
    match = _TIME.search(text)
    if not match:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    today = datetime.fromtimestamp(now, UTC)
    then = today.replace(hour=hours, minute=minutes, second=seconds, microsecond=0)
    return (then - today).total_seconds() if then > today else _tomorrow(then, today)


def _tomorrow(then: datetime, today: datetime) -> float:
    return (then + timedelta(days=1) - today).total_seconds()


def _bare(text: str, _now: float) -> float | None:
    match = _BARE.search(text)
    return float(match[1]) if match else None
