"""Runs that run again, and what Airflow and the object store were last seen to hold.

Revision 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)
_RETRYING = "submission = 'retrying' AND status NOT IN ('SUCCESS', 'FAILED', 'STOPPED') AND stop_at IS NULL"


def upgrade() -> None:
    """Add what is kept of a retry, and the tables of the mirror."""
    op.add_column("workflow_runs", sa.Column("retry", _JSON))
    where = sa.text(_RETRYING)
    op.create_index(
        "ix_workflow_runs_retrying", "workflow_runs", ["sent_at", "run_id"], postgresql_where=where, sqlite_where=where
    )
    op.create_table(
        "workflow_observations",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("listed_at", _TIME),
        sa.Column("looked_at", _TIME),
        sa.Column("facts", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_workflow_observations"),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_observations_workflow_id"),
    )
    op.create_table(
        "airflow_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tried_at", _TIME),
        sa.Column("reached_at", _TIME),
        sa.Column("unreachable_since", _TIME),
        sa.Column("detail", sa.Text()),
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("cycle_at", _TIME),
        sa.Column("last_cycle_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_airflow_state"),
        sa.CheckConstraint("id = 1", name=op.f("ck_airflow_state_one_row")),
    )


def downgrade() -> None:
    """Refuse: a requested retry would never be carried out."""
    raise NotImplementedError
