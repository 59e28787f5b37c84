"""When mail may leave: send windows, and the hours at which quotas begin anew.

Pure: the time is passed in, as seconds since the epoch, and so come the answers. Wall clock times are
those of a named zone; where daylight saving skips one, the first moment after the gap stands for it,
and where it comes twice, the first.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = 86400

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    r"(?:(?P<days>[A-Za-z]{3}[A-Za-z,\s\u2013-]*?)\s+)?"
    r"(?P<opens>\d{1,2}:\d{2})\s*[-\u2013]\s*(?P<closes>\d{1,2}:\d{2})\s+(?P<zone>\S+)"
)
_EXAMPLE: Final = '"Mon-Fri 08:00-18:00 Europe/Berlin"'


@dataclass(frozen=True, slots=True)
class Reset:
    """The time of day at which a provider's daily quota begins anew: ``"00:00 UTC"``."""

    at: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "Reset | None":
        """The reset that *text* spells, None for ``"rolling"``; raises `ValueError`."""
        if text == "rolling":
            return None
        clock, _, zone = text.strip().partition(" ")
        return cls(_clock(clock), _zone(zone.strip()))

    def next(self, now: float) -> float:
        """The first reset after *now*."""
        return min(at for at in self._around(now) if at > now)

    def _around(self, now: float) -> list[float]:
        today = datetime.fromtimestamp(now, self.zone).date()
        return [_moment(today + timedelta(days), self.at, self.zone) for days in (-1, 0, 1, 2)]

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.zone.key}"


@dataclass(frozen=True, slots=True)
class Window:
    """The hours in which a campaign may send: ``"Mon-Fri 08:00-18:00 Europe/Berlin"``.

    *days* are numbers, Monday is 0; a window that closes before it opens, or when it opens, runs over
    midnight and belongs to the day on which it opens.
    """

    days: frozenset[int]
    opens: time
    closes: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "Window":
        """The window that *text* spells; raises `ValueError` that says what is wrong with it."""
        match = _WINDOW.fullmatch(text.strip())
        if not match:
            raise ValueError(f"must be days, hours and a time zone, as in {_EXAMPLE}, got {text!r}")
        days = _days(match["days"]) if match["days"] else frozenset(range(7))
        return cls(days, _clock(match["opens"]), _clock(match["closes"]), _zone(match["zone"]))

    def next_open(self, now: float) -> float:
        """*now* while the window is open, else when it opens next."""
        later = []
        for opens, closes in self._around(now):
            if opens <= now < closes:
                return now
            if opens > now:
                later.append(opens)
        return min(later)

    def _around(self, now: float) -> list[tuple[float, float]]:
        """Each opening from yesterday's to those of the week after next, in order."""
        today = datetime.fromtimestamp(now, self.zone).date()
        found = []
        # Two weeks: a window of one day of the week may be skipped whole by the clock, see below.
        for ahead in range(-1, 16):
            day = today + timedelta(ahead)
            if day.weekday() in self.days:
                until = day if self.closes > self.opens else day + timedelta(1)
                opens = _moment(day, self.opens, self.zone)
                closes = _moment(until, self.closes, self.zone)
                # Where the clock skips all of a window (02:15 to 02:45, when 02:00 becomes 03:00), it
                # does not open on that day: it would be closed in the moment in which it opens.
                if closes > opens:
                    found.append((opens, closes))
        return found

    def __str__(self) -> str:
        days = ",".join(_DAYS[day].capitalize() for day in sorted(self.days))
        return f"{days} {self.opens:%H:%M}-{self.closes:%H:%M} {self.zone.key}"


def _moment(day: date, at: time, zone: ZoneInfo) -> float:
    local = datetime.combine(day, at, zone)
    seconds = local.timestamp()
    back = datetime.fromtimestamp(seconds, zone)
    if back.time() == at:
        return seconds
    # The clock skips this time: with fold 1 its offset is the new one, and with fold 0 the old one.
    # Both name moments; the gap's end is where the old offset's stretch ends.
    gap = local.utcoffset() or timedelta()
    new = local.replace(fold=1).utcoffset() or timedelta()
    low = datetime.combine(day, at, UTC).timestamp() - max(gap, new).total_seconds()
    high = datetime.combine(day, at, UTC).timestamp() - min(gap, new).total_seconds()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == gap:
            low = middle
        else:
            high = middle
    return high


def _clock(text: str) -> time:
    hours, _, minutes = text.partition(":")
    if hours.isdigit() and minutes.isdigit():
        if (int(hours), int(minutes)) == (24, 0):
            return time(0)
        if int(hours) < 24 and int(minutes) < 60:
            return time(int(hours), int(minutes))
    raise ValueError(f'must be a time of day such as "08:00", got {text!r}')


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f'names no time zone that is known here: {name!r}; write it as "Europe/Berlin"'
        ) from None


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in re.split(r"[,\s]+", re.sub(r"\s*[-\u2013]\s*", "-", text.strip().lower())):
        if not part:
            continue
        first, dash, last = part.partition("-")
        start = _day(first)
        end = _day(last) if dash else start
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(days)


def _day(name: str) -> int:
    for number, short in enumerate(_DAYS):
        if len(name) >= 3 and f"{short}{_REST[number]}".startswith(name):
            return number
    raise ValueError(f"names no day of the week: {name!r}; write Mon, Tue, Wed, Thu, Fri, Sat, Sun")


_REST: Final = ("day", "sday", "nesday", "rsday", "day", "urday", "day")
