"""The tables of the history, as SQL.

``campaigns`` has a row for each campaign, ``messages`` one for each recipient with the newest that is
known of it, ``events`` one for each thing that happened to one, ``taken`` one for each ledger that told
it. Times are seconds since the epoch (``to_timestamp(at)`` in PostgreSQL, ``datetime(at, 'unixepoch')``
in SQLite).

On PostgreSQL ``events`` is partitioned by month (`mailer.history.months`). The tables are made and
changed by the migrations alone; a test compares what they make with what stands here.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata: Final = MetaData()

campaigns: Final = Table(
    "campaigns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("first_at", Double, nullable=False),
)

messages: Final = Table(
    "messages",
    metadata,
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    # The recipient's fingerprint as a number: equal for two spellings of one mailbox, and small.
    Column("person", BigInteger, nullable=False),
    Column("mailbox", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("account", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("code", Integer, nullable=False),
    Column("reply", Text, nullable=False),
    Column("later", Text, nullable=False),
    Column("row", Text, nullable=False),
    Column("ordered", BigInteger, nullable=False),
    Index("messages_person", "person"),
    Index("messages_message_id", "message_id"),
    Index("messages_at", "at"),
)

events: Final = Table(
    "events",
    metadata,
    # All that names an event is its key: an event that is read twice is stored once.
    Column("campaign_id", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("batch", Integer, primary_key=True),
    Column("fence", BigInteger, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("at", Double, primary_key=True),
    Column("account", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("code", Integer, nullable=False),
    Column("reply", Text, nullable=False),
    Column("ordered", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("permanent", Integer, nullable=False, server_default="0"),
    Index("events_at", "at"),
)

taken: Final = Table(
    "taken",
    metadata,
    Column("ledger", Text, primary_key=True),
    # The last entry of its stream that is in: a ledger that lacks it was restored from a backup.
    Column("ordered", BigInteger, nullable=False),
)
