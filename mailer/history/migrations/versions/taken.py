"""How far the stream of each ledger was taken in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table; it is filled with the first events that come."""
    op.create_table(
        "taken",
        sa.Column("ledger", sa.Text, primary_key=True),
        sa.Column("ordered", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Take the table away."""
    op.drop_table("taken")
