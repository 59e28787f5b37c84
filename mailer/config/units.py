"""How a value is written in the configuration: durations, rates, times of day, lists, paths.

Every type here accepts two spellings: the TOML value, strictly typed, and the plain string of an
environment variable (`FromEnvironment`), which is parsed as TOML where the field wants no string.
"""

import ipaddress
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

import idna
from annotated_types import Ge, Gt, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    ValidationInfo,
)

from mailer.config.clock import zone_of


class Model(BaseModel):
    """A frozen table of the configuration; a key that it does not know is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class FromEnvironment(str):
    """The text of an environment variable, not yet read as a number, a flag or a list."""

    __slots__ = ()


def parsed(value: object) -> object:
    """*value* as TOML would read it when it comes from the environment; else untouched."""
    if not isinstance(value, FromEnvironment):
        return value
    try:
        return tomllib.loads(f"x = {value}")["x"]
    except (ValueError, RecursionError):  # no TOML, or one that Python cannot read
        return str(value)


def listed(value: object) -> object:
    """*value* as a tuple: one item may stand alone, and an environment's list by its commas."""
    if isinstance(value, FromEnvironment):
        value = parsed(value)
        if isinstance(value, str):
            items = (item.strip() for item in value.split(","))
            return tuple(FromEnvironment(item) for item in items if item)
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, tuple) else (value,)


DAY: Final = 86400.0
LONGEST: Final = 100 * 365 * DAY
"""Seconds of the longest duration, a hundred years. An endless one would be no number to Redis."""

MOST: Final = 10**9
"""The greatest number of anything that is counted. Redis and Lua count exactly up to some 2**53."""

_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 365 * 86400.0,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdwy])\s*")


def duration(value: object) -> float:
    """*value* in seconds: a number, or digits with units as in ``"90s"``, ``"15m"``, ``"1h 30m"``.

    Raises `ValueError` with what may be written.
    """
    value = parsed(value)
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(
            f'must be seconds or a duration such as "90s", "15m", "2h", "5d", got {value!r}'
        )
    if seconds > LONGEST:
        raise ValueError("must be at most 100 years")
    return float(seconds)


def _seconds(value: object) -> float | None:
    """The seconds that *value* says, before any bound; None where it says none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if value != value else value  # noqa: PLR0124 - NaN alone is not itself
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        if text and re.fullmatch(f"({_DURATION.pattern})+", text):
            return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    return None


_PERIODS = {"second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "m": 60}
_PERIODS |= {"hour": 3600, "h": 3600, "day": 86400, "d": 86400}
# As many digits as a sensible number has: Python reads thousands of them as no number at all.
_RATE = re.compile(r"(\d{1,12}(?:_\d{1,12}){0,12})\s*(?:/|\bper\b)\s*(\d{1,12})?\s*([a-z]+)")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most *count* messages in any *seconds*: ``"14/second"``, ``"300/5 minutes"``."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, value: object) -> "Rate":
        """The rate that *value* spells; raises `ValueError` with what may be written."""
        if isinstance(value, Rate):
            return value
        match = _RATE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if match:
            count, times, unit = match.groups()
            period = _PERIODS.get(unit) or _PERIODS.get(unit.removesuffix("s"))
            number, span = int(count), (period or 0) * int(times or 1)
            if 0 < number <= MOST and 0 < span <= LONGEST:
                return cls(number, span)
        raise ValueError(f'must be a rate such as "14/second" or "50000/day", got {value!r}')

    def __str__(self) -> str:
        for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
            if self.seconds % seconds == 0:
                times = self.seconds // seconds
                return f"{self.count}/{unit}" if times == 1 else f"{self.count}/{times} {unit}s"
        raise AssertionError("a second divides every period")


def _reset(value: str) -> str:
    """*value* when it says a time of day with a zone, or that windows roll."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)\s+(\S+)", value)
    if value != "rolling" and not match:
        raise ValueError(f'must be "rolling" or a time with its zone, "00:00 UTC", got {value!r}')
    if match:
        zone_of(match[3])
    return value


def _from_folder(value: Path, info: ValidationInfo) -> Path:
    """*value* with ``~`` expanded, relative to the folder of the configuration file."""
    folder = (info.context or {}).get("folder", Path())
    return Path(folder) / value.expanduser()


_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,254}}\Z){_LABEL}(?:\.{_LABEL})*\.?", re.IGNORECASE)


def is_host(text: str) -> bool:
    """Whether a host can be called *text*: a name, also one that is not ASCII, or an address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        return True
    try:
        ascii_ = text if text.isascii() else idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return False
    return _HOST.fullmatch(ascii_) is not None


def _host(value: str) -> str:
    if not is_host(value):
        raise ValueError("is no name of a host; write it as smtp.example.com")
    return value


def _within_a_day(seconds: float) -> float:
    if seconds > DAY:
        raise ValueError(f"must be at most 1 day, got {seconds:.15g} seconds")
    return seconds


def is_safe(url: str) -> bool:
    """Whether *url* is https with a host, or http to this machine, where nobody listens in between."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))


Flag = Annotated[bool, BeforeValidator(parsed), Strict()]
Count = Annotated[int, BeforeValidator(parsed), Strict(), Ge(1), Le(MOST)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(listed)]
# A thousand: the 64th power of it, by which a wait grows at most, is still a number.
Factor = Annotated[float, BeforeValidator(parsed), Strict(), Ge(1.0), Le(1000.0)]
Share = Annotated[float, BeforeValidator(parsed), Strict(), Ge(0.0), Le(1.0)]
Port = Annotated[int, BeforeValidator(parsed), Strict(), Ge(0), Le(65535)]
Seconds = Annotated[float, BeforeValidator(duration), Gt(0.0)]
# What a socket waits for: the system takes no more than 24 days.
Wait = Annotated[Seconds, AfterValidator(_within_a_day)]
Host = Annotated[str, AfterValidator(_host)]
Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
Rates = Annotated[
    tuple[Rate, ...], BeforeValidator(lambda v: tuple(Rate.parse(item) for item in listed(v)))
]
Reset = Annotated[str, AfterValidator(_reset)]
File = Annotated[Path, AfterValidator(_from_folder)]
Tables = Annotated[tuple[dict[str, Any], ...], BeforeValidator(listed)]


def split_address(url: str) -> SplitResult:
    """Split *url* as `urlsplit` does, also where several hosts stand in it, some of them in brackets.

    Newer Pythons refuse ``a,[::1]`` as a host: this reads the parts and leaves the hosts to the caller.
    Raises `ValueError` for a bracket that belongs to no host.
    """
    scheme, _, rest = url.partition("://")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    login, _, hosts = netloc.rpartition("@")
    if set("[]") & set(login) or hosts.count("[") != hosts.count("]"):
        raise ValueError("a bracket that belongs to no host")
    return SplitResult(scheme.lower(), netloc, slash + path, query, fragment)
