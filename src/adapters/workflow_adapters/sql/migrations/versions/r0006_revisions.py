"""Every accepted spec of a workflow is kept.

Revision 0006. The spec that a workflow has now is its first revision.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table, and the first revision of every workflow."""
    op.add_column("workflows", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("workflows", sa.Column("served_revision", sa.Integer()))
    op.execute("UPDATE workflows SET served_revision = 1 WHERE phase = 'served'")
    op.create_table(
        "workflow_revisions",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("restored_from", sa.Integer()),
        sa.PrimaryKeyConstraint("workflow_id", "number", name="pk_workflow_revisions"),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_revisions_workflow_id"),
    )
    op.execute(
        "INSERT INTO workflow_revisions (workflow_id, number, yaml, created_by, created_at)"
        " SELECT id, 1, yaml, registered_by, registered_at FROM workflows"
    )


def downgrade() -> None:
    """Forget all but the current specs."""
    op.drop_table("workflow_revisions")
    op.drop_column("workflows", "served_revision")
    op.drop_column("workflows", "revision")
