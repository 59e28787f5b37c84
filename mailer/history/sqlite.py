"""How events are written into SQLite: for one machine."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from mailer.history import places
from mailer.history.folding import (
    EVENT_COLUMNS,
    KEPT,
    MESSAGE_COLUMNS,
    event_rows,
    message_rows,
)
from mailer.mail.event import WEIGHTS, Event


def upsert(source: str) -> str:
    """The statement that lays the messages of *source* over those that are stored.

    An older event, read again, changes nothing, nor does one of somebody else. A newer one keeps what it
    does not know itself.
    """
    listed = ", ".join(MESSAGE_COLUMNS)
    changes = ", ".join(
        f"{column} = {_newer(column)}"
        for column in MESSAGE_COLUMNS
        if column not in ("campaign_id", "position")
    )
    return (
        f"INSERT INTO messages ({listed}) {source} "
        f"ON CONFLICT (campaign_id, position) DO UPDATE SET {changes} "
        f"WHERE excluded.ordered >= messages.ordered AND {places.IS_SAME}"
    )


def _newer(column: str) -> str:
    if column in KEPT:
        empty = "0" if column == "person" else "''"
        return f"coalesce(nullif(excluded.{column}, {empty}), messages.{column})"
    if column == "ordered":
        return "excluded.ordered"
    if column == "later":
        weightier = f"{_weight('excluded')} >= {_weight('messages')}"
        return f"CASE WHEN {weightier} THEN excluded.later ELSE messages.later END"
    # An event of what came back later has no outcome of its own: the message keeps all of its own.
    return f"CASE WHEN excluded.outcome = '' THEN messages.{column} ELSE excluded.{column} END"


def _weight(table: str) -> str:
    """How much the word for what came back says, as `mailer.mail.event.weightier` has it."""
    cases = " ".join(f"WHEN '{word}' THEN {weight}" for word, weight in WEIGHTS.items())
    return f"CASE {table}.later {cases} ELSE 0 END"


def _values(columns: Sequence[str]) -> str:
    return f"VALUES ({', '.join('?' * len(columns))})"


_UPSERT: Final = upsert(_values(MESSAGE_COLUMNS))
_EVENTS: Final = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) {_values(EVENT_COLUMNS)} "
    "ON CONFLICT DO NOTHING"
)


def write(
    connection: Connection, events: Sequence[Event], campaign_id: Callable[[str], int]
) -> None:
    """Write *events* in the transaction of *connection*."""
    messages = message_rows(events, campaign_id)
    # Before the events: those of whoever is moved aside go with her.
    places.lay(connection, messages, lambda: _many(connection, _UPSERT, messages))
    _many(connection, _EVENTS, event_rows(events, campaign_id))


def _many(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> int:
    """Run *statement* for each of *rows*; returns how many rows it has changed."""
    return connection.exec_driver_sql(statement, rows).rowcount if rows else 0
