"""Which names are time zones: those that people write, and the environment's TZ."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_FOLDERS: Final = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo")
"""Where the system's own library looks, by Linux's and macOS's customs; ``$TZDIR`` goes before."""

_RULE: Final = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,3}(?::\d\d){0,2}(?!\d)")
"""How a zone is written that is no name but a rule (POSIX): ``CET-1CEST,M3.5.0,M10.5.0/3``."""

_UTC: Final = ("UTC", "GMT", "Etc/UTC", "Etc/GMT", "UCT", "Zulu")
"""What a machine without any zones takes right, too."""


def zone_of(name: str) -> "ZoneInfo":
    """The time zone of that *name*. Raises `ValueError` for one that is not known here."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - slow to import, seldom wanted

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"names no time zone that is known here: {name!r}") from None


def unknown_zone(environ: Mapping[str, str] | None = None) -> str:
    """Why times without a zone are not what whoever set ``$TZ`` wanted; empty where they are."""
    environ = os.environ if environ is None else environ
    given = environ.get("TZ", "")
    name = given.removeprefix(":")
    if not name or name in _UTC or _RULE.match(name) or not hasattr(time, "tzset"):
        return ""
    folders = [environ["TZDIR"]] if "TZDIR" in environ else _FOLDERS
    if any(Path(folder, name).is_file() for folder in folders):
        return ""
    return (
        f"TZ={given}: this machine knows no time zone of that name and takes UTC; mend TZ, "
        "or install the system's tzdata"
    )
