"""How far the history has taken in what happened: of each ledger, the last entry of its stream."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from mailer.history.schema import campaigns, messages, taken


def note(connection: Connection, insert: Callable[..., Any], ledger: str, order: int) -> None:
    """Write down that all up to *order* is in; never less than before."""
    statement = insert(taken).values(ledger=ledger, ordered=order)
    higher = statement.excluded.ordered > taken.c.ordered
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[taken.c.ledger],
            set_={"ordered": statement.excluded.ordered},
            where=higher,
        )
    )


def begin_at(connection: Connection, insert: Callable[..., Any], ledger: str, order: int) -> None:
    """Have *ledger* begin at *order*, also where more was in."""
    connection.execute(taken.delete().where(taken.c.ledger == ledger))
    connection.execute(insert(taken).values(ledger=ledger, ordered=order))


def of(connection: Connection, ledger: str) -> int | None:
    """The last entry of *ledger* that is in; None where nothing of it ever was."""
    query = select(taken.c.ordered).where(taken.c.ledger == ledger)
    return connection.execute(query).scalar_one_or_none()


def last(connection: Connection) -> int:
    """The last entry that is in of any ledger; 0 where there is none."""
    return connection.execute(select(func.max(taken.c.ordered))).scalar_one() or 0


def since(connection: Connection, order: int, at: float) -> Mapping[str, int]:
    """Of how many recipients something newer than *order* is known, by campaign; none before *at*."""
    query = (
        select(campaigns.c.name, func.count().label("number"))
        .select_from(messages.join(campaigns))
        .where(messages.c.at >= at, messages.c.ordered > order)
        .group_by(campaigns.c.name)
    )
    return {row.name: row.number for row in connection.execute(query)}
