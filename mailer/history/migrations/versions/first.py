"""The first tables: campaigns, messages, events.

A step never uses `mailer.history.schema`: that shows the tables of today, a step those of its day.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables; on PostgreSQL, events by month."""
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("first_at", sa.Double, nullable=False),
    )
    op.create_table(
        "messages",
        sa.Column("campaign_id", sa.Integer, sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("person", sa.BigInteger, nullable=False),
        *[
            sa.Column(name, sa.Text, nullable=False)
            for name in ("mailbox", "message_id", "outcome")
        ],
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        *[sa.Column(name, sa.Text, nullable=False) for name in ("reply", "later", "row")],
        sa.Column("ordered", sa.BigInteger, nullable=False),
    )
    op.create_index("messages_person", "messages", ["person"])
    op.create_index("messages_message_id", "messages", ["message_id"])
    op.create_index("messages_at", "messages", ["at"])
    op.create_table(
        "events",
        *[sa.Column(name, sa.Integer, primary_key=True) for name in ("campaign_id", "position")],
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("fence", sa.BigInteger, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("outcome", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, primary_key=True),
        *[sa.Column(name, sa.Text, nullable=False) for name in ("account", "stage")],
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("ordered", sa.BigInteger, nullable=False),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("events_at", "events", ["at"])


def downgrade() -> None:
    """Take the tables away, and all that is in them."""
    for table in ("events", "messages", "campaigns"):
        op.drop_table(table)
