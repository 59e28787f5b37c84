"""What is asked of the history: who got it, when, and what the server said."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Integer,
    Row,
    Select,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from mailer.history.folding import LONGEST_MESSAGE_ID, person
from mailer.history.schema import campaigns, events, messages
from mailer.mail.record import Record, Step, columns_of

_PAGE = 1_000


def inserting(connection: Connection) -> Callable[..., Any]:
    """The INSERT of this database that knows ON CONFLICT."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def trace(connection: Connection, what: str) -> list[Record]:
    """Every message to the mailbox *what*, or the one of that Message-ID, the newest first."""
    is_id = what.startswith("<")
    wanted = (
        messages.c.message_id == what[:LONGEST_MESSAGE_ID]
        if is_id
        else messages.c.person == person(what)
    )
    query = _messages().where(wanted).order_by(messages.c.at.desc())
    rows = connection.execute(query).all()
    steps = _steps(connection, rows)
    return [_record(row, tuple(steps[_place(row)])) for row in rows]


def export(connection: Connection, campaign: str, outcomes: Sequence[str]) -> Iterator[Record]:
    """Every recipient of *campaign* by position; with *outcomes*, only those.

    Last come those without a place in the list: of an old ledger, or moved aside (`places`).
    """
    query = _messages().where(campaigns.c.name == campaign).order_by(messages.c.position)
    if outcomes:
        query = query.where(messages.c.outcome.in_(outcomes) | messages.c.later.in_(outcomes))
    connection = connection.execution_options(yield_per=_PAGE)
    for here in (messages.c.position >= 0, messages.c.position < 0):
        for row in connection.execute(query.where(here)):
            yield _record(row)


def columns(connection: Connection, campaign: str) -> list[str]:
    """The columns of the list of *campaign*, those of the first row first."""
    query = select(messages.c.row).join(campaigns).order_by(messages.c.position)
    query = query.where(campaigns.c.name == campaign, messages.c.row != "")
    found: dict[str, None] = {}
    for row in connection.execution_options(yield_per=_PAGE).execute(query).scalars():
        found.update(dict.fromkeys(columns_of(row) or ()))
    return [*found]


def page(
    connection: Connection, campaign: str, start: int, number: int, outcome: str
) -> list[Record]:
    """At most *number* recipients of *campaign* from position *start* on; with *outcome*, only those."""
    query = _messages().where(campaigns.c.name == campaign, messages.c.position >= start)
    if outcome:
        query = query.where((messages.c.outcome == outcome) | (messages.c.later == outcome))
    found = connection.execute(query.order_by(messages.c.position).limit(number))
    return [_record(row) for row in found]


def message(connection: Connection, campaign: str, position: int) -> Record | None:
    """One recipient of *campaign*, with its events."""
    wanted = campaigns.c.name == campaign, messages.c.position == position
    row = connection.execute(_messages().where(*wanted)).one_or_none()
    if row is None:
        return None
    return _record(row, tuple(_steps(connection, [row])[_place(row)]))


def standing(connection: Connection, campaign: str, places: range) -> Mapping[int, tuple[str, str]]:
    """Outcome and what came back later, by position, of the recipients of *campaign* that are known."""
    query = (
        select(messages.c.position, messages.c.outcome, messages.c.later)
        .join(campaigns)
        .where(campaigns.c.name == campaign)
        .where(messages.c.position >= places.start, messages.c.position < places.stop)
    )
    return {row.position: (row.outcome, row.later) for row in connection.execute(query)}


def counts(connection: Connection, campaign: str) -> Mapping[str, int]:
    """How many recipients have which outcome."""
    query = (
        select(messages.c.outcome, func.count().label("number"))
        .join(campaigns)
        .where(campaigns.c.name == campaign)
        .group_by(messages.c.outcome)
    )
    return {row.outcome: row.number for row in connection.execute(query)}


def persons(connection: Connection, campaign: str, outcomes: Sequence[str]) -> Iterator[int]:
    """The recipients who ever had one of those outcomes as numbers, whatever became of them since."""
    number = select(campaigns.c.id).where(campaigns.c.name == campaign).scalar_subquery()
    ever = select(events.c.position).where(
        events.c.campaign_id == number, events.c.outcome.in_(outcomes)
    )
    query = select(messages.c.person).where(
        messages.c.campaign_id == number,
        or_(messages.c.outcome.in_(outcomes), messages.c.position.in_(ever)),
    )
    yield from connection.execution_options(yield_per=_PAGE).execute(query).scalars()


def _messages() -> Select[Any]:
    return select(messages, campaigns.c.name.label("campaign")).join(campaigns)


def _steps(
    connection: Connection, rows: Sequence[Row[Any]]
) -> Mapping[tuple[int, int], list[Step]]:
    """The events of these messages in their order, by campaign and position."""
    found: dict[tuple[int, int], list[Step]] = {_place(row): [] for row in rows}
    for first in range(0, len(rows), _PAGE):
        for row in connection.execute(_events_of(connection, rows[first : first + _PAGE])):
            found[_place(row)].append(_step(row))
    return found


def _place(row: Row[Any]) -> tuple[int, int]:
    return row.campaign_id, row.position


def _events_of(connection: Connection, rows: Sequence[Row[Any]]) -> Select[Any]:
    places = [_place(row) for row in rows]
    if connection.dialect.name != "postgresql" or len(places) == 1:
        query = select(events).where(tuple_(events.c.campaign_id, events.c.position).in_(places))
        return query.order_by(events.c.ordered, events.c.at)
    # By the key, message by message, whatever is planned: a table that was just filled has no statistics,
    # and PostgreSQL would read all of each month. OFFSET keeps it from joining in another way.
    arrays = [cast(list(numbers), ARRAY(Integer)) for numbers in zip(*places, strict=True)]
    wanted = func.unnest(*arrays).table_valued("campaign_id", "position").render_derived()
    here = (events.c.campaign_id == wanted.c.campaign_id, events.c.position == wanted.c.position)
    its = select(events).where(*here).correlate(wanted).offset(literal_column("0")).lateral()
    return select(its).join_from(wanted, its, true()).order_by(its.c.ordered, its.c.at)


def _step(row: Row[Any]) -> Step:
    return Step(
        row.outcome,
        row.at,
        row.account,
        row.attempt,
        row.stage,
        row.reply,
        row.reason,
        bool(row.permanent),
    )


def _record(row: Row[Any], steps: tuple[Step, ...] = ()) -> Record:
    return Record(
        campaign=row.campaign,
        position=row.position,
        mailbox=row.mailbox,
        message_id=row.message_id,
        outcome=row.outcome,
        at=row.at,
        account=row.account,
        attempts=row.attempts,
        stage=row.stage,
        reply=row.reply,
        later=row.later,
        row=columns_of(row.row),
        steps=steps,
    )
