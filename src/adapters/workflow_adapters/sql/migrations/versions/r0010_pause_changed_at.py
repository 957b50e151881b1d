"""When the pause state that is wanted of a workflow last changed.

Revision 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; nothing is known of what changed before."""
    op.add_column("workflows", sa.Column("pause_changed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Remove it: the revision before does not ask."""
    op.drop_column("workflows", "pause_changed_at")
