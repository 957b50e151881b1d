"""Leases: who works on what now.

Revision 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "leases",
        sa.Column("subject", _NAME, nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("subject", name="pk_leases"),
    )
    op.create_index("ix_leases_until", "leases", ["until"])


def downgrade() -> None:
    """Remove it: workers of the revision before know nothing of leases."""
    op.drop_index("ix_leases_until", "leases")
    op.drop_table("leases")
