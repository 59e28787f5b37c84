"""How the history's database is reached: SQLite or PostgreSQL, by one URL.

The database may be away at any time. Then every call raises `HistoryUnavailableError`, and the next call
tries again: nothing here waits. A writer's call is one transaction, so that what it was given is in
the history whole or not at all.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)

from mailer.errors import ConfigError, HistoryRefusesError, HistoryUnavailableError
from mailer.history import erasing, months, reading, taken
from mailer.history.postgresql import write as write_postgresql
from mailer.history.schema import campaigns
from mailer.history.sqlite import write as write_sqlite
from mailer.history.upgrade import current, knows, newest, upgrade
from mailer.mail.event import Event
from mailer.mail.record import Record

CONNECT_TIMEOUT: Final = 5
"""Seconds until a database that does not answer counts as away."""

_UPGRADING: Final = 0x6D61696C6572
"""The number of the lock under which the tables are changed in PostgreSQL."""

_WRITING: Final = "mailer_writing"

_SECRET: Final = re.compile(r"://[^/@\s]*@")


class History:
    """The history behind *url*; safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._ids: dict[str, int] = {}
        self._months: set[str] = set()
        self._checked = False

    @property
    def is_postgresql(self) -> bool:
        """Whether a server keeps it; else it is a file."""
        return self._engine.dialect.name == "postgresql"

    # Writing.

    def upgrade(self) -> str:
        """Make the tables, or bring them to this version; returns the step that they are at then."""
        with self._begin(checked=False, writing=True) as connection:
            if self.is_postgresql:
                # Two that upgrade at once: the second waits, and finds nothing to do.
                connection.execute(select(func.pg_advisory_xact_lock(_UPGRADING)))
            _refuse_newer(current(connection))
            upgrade(connection)
            return current(connection) or ""

    def write(self, events: Sequence[Event], ledger: str = "") -> None:
        """Write *events* down, in their order, all or none. To do it twice changes nothing more.

        *ledger* is whose stream they are out of; empty where they are out of none. Raises
        `HistoryRefusesError` where one of them cannot be stored, whenever it is tried.
        """
        if not events:
            return
        try:
            with self._begin(writing=True) as connection:
                known = self._campaign_ids(connection, events)
                if self.is_postgresql:
                    missing = {
                        months.month_of(at) for at in {one.at for one in events}
                    } - self._months
                    months.ensure(connection, missing)
                    write_postgresql(connection, events, known)
                else:
                    missing = set()
                    write_sqlite(connection, events, known)
                if ledger:
                    order = max(one.order for one in events)
                    taken.note(connection, reading.inserting(connection), ledger, order)
        except (HistoryUnavailableError, HistoryRefusesError):
            self._ids.clear()  # what was made in this transaction is not there
            self._months.clear()
            raise
        self._months |= missing

    # How far a ledger's stream was taken in.

    def taken(self, ledger: str) -> int | None:
        """The last entry of *ledger* that is in, as events are ordered; None where none ever was."""
        with self._begin() as connection:
            return taken.of(connection, ledger)

    def last_taken(self) -> int:
        """The last entry that is in, of whichever ledger; 0 where there is none."""
        with self._begin() as connection:
            return taken.last(connection)

    def begin_at(self, ledger: str, order: int) -> None:
        """Have *ledger* begin at the entry *order*, whatever was in."""
        with self._begin(writing=True) as connection:
            taken.begin_at(connection, reading.inserting(connection), ledger, order)

    def known_since(self, order: int, at: float) -> Mapping[str, int]:
        """Of how many recipients something newer than *order* is known, by campaign; none before *at*."""
        with self._begin() as connection:
            return taken.since(connection, order, at)

    # Reading.

    def trace(self, address_or_message_id: str) -> list[Record]:
        """Every message to a mailbox, or the one of a Message-ID, the newest first, with its events."""
        with self._begin() as connection:
            return reading.trace(connection, address_or_message_id)

    def export(self, campaign: str, outcomes: Sequence[str] = ()) -> Iterator[Record]:
        """Every recipient of a campaign in the order of the list, streamed; without events."""
        with self._begin(streamed=True) as connection:
            yield from reading.export(connection, campaign, outcomes)

    def columns(self, campaign: str) -> list[str]:
        """The columns of a campaign's list; rows may have different ones."""
        with self._begin(streamed=True) as connection:
            return reading.columns(connection, campaign)

    def page(self, campaign: str, start: int, number: int, outcome: str = "") -> list[Record]:
        """At most *number* recipients of a campaign from position *start* on; without events."""
        with self._begin() as connection:
            return reading.page(connection, campaign, start, number, outcome)

    def message(self, campaign: str, position: int) -> Record | None:
        """One recipient of a campaign, with its events."""
        with self._begin() as connection:
            return reading.message(connection, campaign, position)

    def standing(self, campaign: str, places: range) -> Mapping[int, tuple[str, str]]:
        """Outcome, and what came back later, of those recipients that are known, by position."""
        with self._begin() as connection:
            return reading.standing(connection, campaign, places)

    def counts(self, campaign: str) -> Mapping[str, int]:
        """How many recipients of the campaign have which outcome."""
        with self._begin() as connection:
            return reading.counts(connection, campaign)

    def persons(self, campaign: str, outcomes: Sequence[str]) -> Iterator[int]:
        """The recipients who ever had one of those outcomes, each as its fingerprint in a number."""
        with self._begin(streamed=True) as connection:
            yield from reading.persons(connection, campaign, outcomes)

    # Retention.

    def drop_before(self, at: float) -> int:
        """Forget what happened before *at*; returns how many messages that took away."""
        with self._begin(writing=True) as connection:
            if self.is_postgresql:
                months.drop_before(connection, at)
            self._months.clear()
            self._ids.clear()
            return erasing.drop_before(connection, at)

    def over(self, before: float) -> list[str]:
        """The campaigns of which nothing happened since then."""
        with self._begin() as connection:
            return erasing.over(connection, before)

    def forget(self, campaign: str) -> int:
        """Take a campaign out; returns how many messages that took away."""
        with self._begin(writing=True) as connection:
            self._ids.pop(campaign, None)
            return erasing.forget(connection, campaign)

    def erase(self, mailbox: str) -> int:
        """Take a person out; returns how many messages that took away."""
        with self._begin(writing=True) as connection:
            return erasing.erase(connection, mailbox)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __repr__(self) -> str:
        return f"<History {self._engine.dialect.name}>"

    # The connection.

    @contextmanager
    def _begin(
        self, *, checked: bool = True, writing: bool = False, streamed: bool = False
    ) -> Iterator[Connection]:
        """A connection for one call. What is *streamed* comes by a cursor, which wants a transaction."""
        options: dict[str, Any] = {_WRITING: writing}
        if self.is_postgresql and not writing and not streamed:
            # A question sees what is committed when it is asked, in a transaction or not: BEGIN and
            # COMMIT would only be two more round trips.
            options["isolation_level"] = "AUTOCOMMIT"
        engine = self._engine.execution_options(**options)
        # COPY speaks to the driver itself, whose errors SQLAlchemy does not see.
        raw: Any = self._engine.dialect.dbapi
        try:
            with engine.begin() as connection:
                if checked and not self._checked:
                    _check(connection)
                    self._checked = True
                yield connection
        except (DataError, IntegrityError, raw.DataError, ValueError, OverflowError) as exc:
            raise HistoryRefusesError(f"the history cannot store it: {_reason(exc)}") from exc
        except (SQLAlchemyError, raw.Error) as exc:
            self._checked = False
            raise HistoryUnavailableError(f"the history cannot be used: {_reason(exc)}") from exc

    def _campaign_ids(
        self, connection: Connection, events: Sequence[Event]
    ) -> Callable[[str], int]:
        """What gives a campaign's number; campaigns that are new get one."""
        first = {one.campaign: one.at for one in reversed(events)}
        new = [
            {"name": name, "first_at": at} for name, at in first.items() if name not in self._ids
        ]
        if new:
            table = campaigns
            insert = reading.inserting(connection)(table).on_conflict_do_nothing()
            connection.execute(insert, new)
            wanted = [one["name"] for one in new]
            rows = connection.execute(
                select(table.c.name, table.c.id).where(table.c.name.in_(wanted))
            )
            self._ids.update((name, number) for name, number in rows)
        return self._ids.__getitem__


def open_history(url: str) -> History:
    """The history at *url*: ``sqlite:///file`` or ``postgresql://…``. Connects when it is first used.

    Raises `ConfigError` for another kind of database, or where its driver is not installed.
    """
    return History(url)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        name = parsed.get_backend_name()
    except ArgumentError:
        raise ConfigError("history.url: must be sqlite:///FILE or postgresql://…") from None
    if name not in ("sqlite", "postgresql"):
        raise ConfigError(f"history.url: must be sqlite:///FILE or postgresql://…, not {name}")
    try:
        if name == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": CONNECT_TIMEOUT})
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        return create_engine(
            parsed, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT}
        )
    except (ImportError, NoSuchModuleError) as exc:
        raise ConfigError(
            f"history.url: the driver is missing ({exc}): pip install 'celery-mailer[history]'"
        ) from exc


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Let readers read while the worker writes; a power cut may cost the newest, which is read again."""
    connection.isolation_level = (
        None  # else sqlite3 would begin transactions by itself, and not for DDL
    )
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; one that writes waits for others at its beginning, and not in the middle."""
    writing = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _refuse_newer(found: str | None) -> None:
    if found and not knows(found):
        raise HistoryUnavailableError(
            f"the history's tables are at step {found}, which a newer version made; this one wants "
            f"step {newest()}: update it"
        )


def _check(connection: Connection) -> None:
    found, wanted = current(connection), newest()
    _refuse_newer(found)
    if found != wanted:
        have = f"at step {found}" if found else "not there"
        raise HistoryUnavailableError(
            f"the history's tables are {have}, this version wants step {wanted}: "
            "run `mailer history upgrade`"
        )


def _reason(exc: Exception) -> str:
    """What the database said, in one line, without the URL's password."""
    said = exc.orig if isinstance(exc, DBAPIError) else exc
    if isinstance(said, UnicodeError):
        return "it is no text that can be stored"
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return _SECRET.sub("://…@", lines[0] if lines else type(said).__name__)
