"""Backfills, and how their runs are found.

Revision 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)

_ACTIVE_SLOT = "backfill_id IS NOT NULL AND status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')"
_INDEXES = (
    (
        "ix_workflow_runs_workflow_id_run_date_started_at_run_id",
        "workflow_runs",
        ["workflow_id", "run_date", "started_at", "run_id"],
        None,
    ),
    (
        "ix_workflow_runs_backfill",
        "workflow_runs",
        ["backfill_id", "run_date", "run_id"],
        "backfill_id IS NOT NULL",
    ),
    ("ix_workflow_runs_active_slots", "workflow_runs", ["backfill_id", "submission", "stop_at"], _ACTIVE_SLOT),
    (
        "ix_backfills_dataset_name_created_at_backfill_id",
        "backfills",
        ["dataset_name", "created_at", "backfill_id"],
        None,
    ),
)


def upgrade() -> None:
    """Add the table and the indexes."""
    op.create_table(
        "backfills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("backfill_id", _NAME, nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_name", _NAME, nullable=False),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("parallel", sa.Boolean(), nullable=False),
        sa.Column("max_active", sa.Integer(), nullable=False),
        sa.Column("reprocess", sa.String(), nullable=False),
        sa.Column("run_backwards", sa.Boolean(), nullable=False),
        sa.Column("on_failure", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("wanted", sa.String(), nullable=False),
        sa.Column("wanted_by", sa.String(), nullable=False),
        sa.Column("wanted_at", _TIME, nullable=False),
        sa.Column("wanted_reason", sa.Text()),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("accepted", _JSON, nullable=False),
        sa.Column("skipped", _JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backfills"),
        sa.UniqueConstraint("backfill_id", name="uq_backfills_backfill_id"),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_backfills_workflow_id"),
    )
    op.drop_index("ix_workflow_runs_workflow_id_run_date")
    for name, table, columns, condition in _INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    """There is no way back: the backfills would be lost."""
    raise NotImplementedError
