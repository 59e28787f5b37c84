"""Which months the events of a PostgreSQL history lie in: each is a partition of its own.

What is too old goes by whole partitions, which costs nothing; SQLite deletes rows. A month's bounds
are seconds since the epoch, in UTC.
"""

import calendar
import re
import time
from collections.abc import Iterable

from sqlalchemy import Connection, text

_PREFIX = "events_"
_OURS = re.compile(rf"(?:^|\.){_PREFIX}(\d{{4}}_(?:0[1-9]|1[0-2]))$")


def month_of(at: float) -> str:
    """The month that *at* lies in: ``2026_03``. Raises `ValueError`, `OverflowError` where it is none."""
    try:
        return time.strftime("%Y_%m", time.gmtime(at))
    except OSError as exc:
        raise OverflowError(str(exc)) from None


def bounds(month: str) -> tuple[int, int]:
    """When *month* begins and ends."""
    year, number = (int(part) for part in month.split("_"))
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return calendar.timegm((year, number, 1, 0, 0, 0)), calendar.timegm((*after, 1, 0, 0, 0))


def ensure(connection: Connection, months: Iterable[str]) -> None:
    """Make the partitions of *months* that are not there."""
    for month in sorted(months):
        begins, ends = bounds(month)
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {_PREFIX}{month} PARTITION OF events "
                f"FOR VALUES FROM ({begins}) TO ({ends})"
            )
        )


def drop_before(connection: Connection, at: float) -> list[str]:
    """Drop the partitions that ended before *at*; returns their months."""
    names = connection.execute(
        text(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
        )
    ).scalars()
    # A partition that somebody else has made is theirs to drop.
    ours = [found[1] for name in names if (found := _OURS.search(name))]
    old = sorted(month for month in ours if bounds(month)[1] <= at)
    for month in old:
        connection.execute(text(f"DROP TABLE {_PREFIX}{month}"))
    return old
