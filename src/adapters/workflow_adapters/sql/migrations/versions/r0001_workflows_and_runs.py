"""Workflows, their runs, and how far Airflow has been followed.

Revision 0001, the first. Written out rather than taken from ``tables.py``, which goes on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything."""
    _create_workflows()
    _create_runs()
    op.create_table(
        "observation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_observation"),
        sa.CheckConstraint("id = 1", name=op.f("ck_observation_one_row")),
    )


def _create_workflows() -> None:
    op.create_table(
        "workflows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dataset_name", _NAME, nullable=False),
        sa.Column("dag_id", _NAME, nullable=False),
        sa.Column("source_type", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("spec", _JSON, nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("s3_path", sa.String(), nullable=False),
        sa.Column("registered_by", sa.String(), nullable=False),
        sa.Column("registered_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("paused_by", sa.String()),
        sa.Column("paused_at", _TIME),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("phase_reason", sa.Text()),
        sa.Column("airflow_paused", sa.Boolean()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflows"),
        sa.UniqueConstraint("dataset_name", name="uq_workflows_dataset_name"),
        sa.UniqueConstraint("dag_id", name="uq_workflows_dag_id"),
    )
    op.create_index("ix_workflows_owner_dataset_name", "workflows", ["owner", "dataset_name"])
    _partial_index("ix_workflows_disabled", "workflows", ["dataset_name"], "phase = 'failed'")
    _partial_index("ix_workflows_paused", "workflows", ["dataset_name"], "phase <> 'failed' AND paused_at IS NOT NULL")
    _partial_index(
        "ix_workflows_unsettled",
        "workflows",
        ["updated_at", "dataset_name"],
        "phase = 'registering'"
        " OR (phase = 'served' AND (airflow_paused IS NULL OR airflow_paused <> (paused_at IS NOT NULL)))",
    )


def _create_runs() -> None:
    op.create_table(
        "workflow_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", _NAME, nullable=False),
        sa.Column("airflow_run_id", _NAME, nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_name", _NAME, nullable=False),
        sa.Column("dag_id", _NAME, nullable=False),
        sa.Column("run_type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("submission", sa.String(), nullable=False),
        sa.Column("triggered_by", sa.String(), nullable=False),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("accepted_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("logical_date", _TIME),
        sa.Column("progress", _JSON),
        sa.Column("observed_at", _TIME),
        sa.Column("reason", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_runs"),
        sa.UniqueConstraint("run_id", name="uq_workflow_runs_run_id"),
        sa.UniqueConstraint("dag_id", "airflow_run_id", name="uq_workflow_runs_dag_id_airflow_run_id"),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name="fk_workflow_runs_workflow_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_workflow_runs_started_at_run_id", "workflow_runs", ["started_at", "run_id"])
    op.create_index(
        "ix_workflow_runs_dataset_name_started_at_run_id", "workflow_runs", ["dataset_name", "started_at", "run_id"]
    )
    op.create_index("ix_workflow_runs_workflow_id", "workflow_runs", ["workflow_id"])
    _partial_index(
        "ix_workflow_runs_unsettled",
        "workflow_runs",
        ["observed_at", "run_id"],
        "status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')",
    )


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    """Drop everything."""
    op.drop_table("observation")
    op.drop_table("workflow_runs")
    op.drop_table("workflows")
