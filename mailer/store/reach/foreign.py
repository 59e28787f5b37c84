"""Which keys of ours hold another type than we write: another program's, or made by hand.

Redis says WRONGTYPE and not of which key, so it is looked for once such an answer came.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from time import monotonic
from typing import Final

import redis

from mailer.store import keys
from mailer.store.client import Client

WHILE: Final = 2.0
"""Seconds after which no more keys are looked at: a campaign of a million has some 16,000."""

_NAMED: Final = 3
"""Keys that one sentence names."""

_PAGE: Final = 1000

_OLDER: Final = {"mailer:seen:": "hash"}
"""What version 0.1.0 wrote there."""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """The *key* holds a *found*, where mailer keeps an *expected*: types by Redis's names."""

    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.key} holds a {self.found}, where mailer keeps a {self.expected}"


def is_foreign(exc: BaseException) -> bool:
    """Whether Redis says that a key holds another type than the command wants."""
    return isinstance(exc, redis.ResponseError) and "WRONGTYPE" in str(exc)


def told(client: Client) -> str:
    """Which keys that are, and what to do about them; empty where none are found in that time."""
    try:
        found = list(islice(misplaced(client), _NAMED))
    except redis.RedisError:
        return ""
    if not found:
        return ""
    return (
        f"in Redis {', '.join(map(str, found))}: another program writes there, or somebody did by hand; "
        "give mailer a database of its own, and to go on without what is there: "
        f"redis-cli RENAME {found[0].key} aside:{found[0].key}"
    )


def misplaced(client: Client) -> Iterator[Misplaced]:
    """Find such keys, for at most `WHILE` seconds."""
    cursor, until = 0, monotonic() + WHILE
    while monotonic() < until:
        cursor, page = client.scan(cursor, match=f"{keys.PREFIX}*", count=_PAGE)
        pipe = client.pipeline(transaction=False)
        for key in page:
            pipe.type(key)
        for key, found in zip(page, pipe.execute(), strict=True):
            yield from _judged(key.decode(errors="replace"), found.decode())
        if cursor == 0:
            return


@cache
def types() -> dict[str, str]:
    """The type of each key, by its pattern.

    The one table of keys is the docstring that people read. It is read when it is wanted: no command is
    to pay for it at its start.
    """
    row = r"(?m)^(mailer:\S+)\s+(string|hash|set|zset|stream)\b"
    return dict(re.findall(row, keys.__doc__ or ""))


@cache
def _beginnings() -> dict[str, str]:
    return {pattern.partition("<")[0]: kind for pattern, kind in types().items() if "<" in pattern}


def _judged(key: str, found: str) -> Iterator[Misplaced]:
    begins = _beginnings()
    place = max((one for one in begins if key.startswith(one)), key=len, default="")
    expected = types().get(key) or begins.get(place)
    if expected and found not in (expected, _OLDER.get(place), "none"):
        yield Misplaced(key, found, expected)
