"""Why a message came back: the reason of a bounce, and whether its address is no good for good."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; what is written already has neither."""
    op.add_column("events", sa.Column("reason", sa.Text, nullable=False, server_default=""))
    op.add_column("events", sa.Column("permanent", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Take the columns away."""
    for column in ("permanent", "reason"):
        op.drop_column("events", column)
