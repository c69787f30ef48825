"""Other amounts for single callers of rate limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "limit_overrides",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("limit", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("ruling", sa.String(16), nullable=False),
        sa.Column("requests", sa.BigInteger),
        sa.Column("period", sa.Float(53)),
        sa.Column("burst", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.Column("change", sa.BigInteger, nullable=False),
    )
    op.create_index("limit_overrides_change", "limit_overrides", ["change"], unique=True)
    op.create_index("limit_overrides_limit", "limit_overrides", ["limit"])


def downgrade() -> None:
    """Remove it, and what is in it with it."""
    op.drop_table("limit_overrides")
