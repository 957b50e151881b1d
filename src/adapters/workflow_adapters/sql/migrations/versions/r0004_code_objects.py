"""What was seen of CODE objects, and when a workflow was last tried to be settled.

Revision 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Two tables more."""
    op.create_table(
        "workflow_tries",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("tried_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_workflow_tries"),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_tries_workflow_id"),
    )
    op.create_table(
        "code_objects",
        sa.Column("dataset_name", _NAME, nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("problems", _JSON),
        sa.Column("checked_by", sa.String(), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_name", name="pk_code_objects"),
    )


def downgrade() -> None:
    """There is no way back, as in 0002."""
    raise NotImplementedError
