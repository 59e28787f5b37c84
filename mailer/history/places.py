"""Who stands at a place in a campaign that somebody else gets: kept, at a place of her own.

A campaign has a place for each recipient. A ledger that was restored from a backup gives places a second
time that the history knows already, as does a campaign of a name that was forgotten. Whoever stood there
is moved aside with all that happened to her, to a negative place: she is found as before.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Connection,
    Integer,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    update,
)

from mailer.history.folding import MESSAGE_COLUMNS
from mailer.history.schema import events, messages

ASIDE: Final = -(1 << 30) - 1
"""The first place of those who were moved aside; what came back of unknown places lies above it."""

_PERSON, _MESSAGE_ID, _OUTCOME, _ROW = map(
    MESSAGE_COLUMNS.index, ("person", "message_id", "outcome", "row")
)

# The same as `_is_other` says, within the statement that lays rows over those that are stored.
IS_SAME: Final = (
    "(excluded.outcome = '' OR excluded.person = 0 OR messages.person IN (0, excluded.person) AND "
    "(excluded.row = '' OR messages.message_id IN ('', excluded.message_id)))"
)

_Rows = Sequence[tuple[Any, ...]]


def lay(connection: Connection, rows: _Rows, upsert: Callable[[], int]) -> None:
    """Lay *rows*, of ``messages``, over those that are stored, and nobody over somebody else.

    *upsert* lays all that it may and answers how many these were. Only where it was not all, some being
    read again or a place taken, it is asked who stands there: that costs as much as half of the writing.
    """
    if upsert() < len(rows) and _clear(connection, rows):
        upsert()


def _clear(connection: Connection, rows: _Rows) -> bool:
    """Move aside whoever stands where one of *rows* puts somebody else; returns whether anybody did."""
    is_cleared = False
    for campaign_id, group in groupby(rows, itemgetter(0)):
        new = {row[1]: row for row in group if row[_OUTCOME] and row[_PERSON]}
        standing = _standing(connection, campaign_id, new) if new else ()
        taken = [place for place, *known in standing if _is_other(known, new[place])]
        if taken:
            _move_aside(connection, campaign_id, taken)
            is_cleared = True
    return is_cleared


def _is_other(known: Sequence[Any], row: tuple[Any, ...]) -> bool:
    person, message_id = known
    if person not in (0, row[_PERSON]):
        return True
    # Of single messages, one person may have many. What is known of a message that was only tried may
    # lack its Message-ID; one that was queued has it.
    return bool(row[_ROW] and message_id and row[_MESSAGE_ID] != message_id)


def _standing(
    connection: Connection, campaign_id: int, places: Collection[int]
) -> Iterator[tuple[int, int, str]]:
    """Place, person and Message-ID of who stands at one of *places*."""
    here: Any
    if connection.dialect.name == "postgresql":
        here = messages.c.position == any_(cast(list(places), ARRAY(Integer)))
    else:
        listed = func.json_each(json.dumps(list(places))).table_valued(column("value", Integer))
        here = messages.c.position.in_(select(listed.c.value))
    query = select(messages.c.position, messages.c.person, messages.c.message_id)
    for row in connection.execute(query.where(messages.c.campaign_id == campaign_id, here)):
        yield row.position, row.person, row.message_id


def _move_aside(connection: Connection, campaign_id: int, places: Sequence[int]) -> None:
    """Give those at *places* places of their own, with all that happened to them."""
    lowest = select(func.min(messages.c.position)).where(
        messages.c.campaign_id == campaign_id, messages.c.position <= ASIDE
    )
    first = min(connection.execute(lowest).scalar_one() or 0, ASIDE + 1) - 1
    moved = [{"from": place, "to": first - number} for number, place in enumerate(places)]
    for table in (events, messages):
        here = (table.c.campaign_id == campaign_id) & (table.c.position == bindparam("from"))
        connection.execute(update(table).where(here).values(position=bindparam("to")), moved)
