"""Workflows that leave and give their name free, runs that are stopped, the date a run is for, and its backfill.

Revision 0002. SQLite cannot drop a constraint, so there both tables are made anew and filled from the old ones.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_TIME = sa.DateTime(timezone=True)

_LIVE = "phase NOT IN ('leaving', 'gone')"
_INDEXES = (
    ("uq_workflows_dataset_name", "workflows", ["dataset_name"], _LIVE),
    ("uq_workflows_dag_id", "workflows", ["dag_id"], _LIVE),
    ("ix_workflows_disabled", "workflows", ["dataset_name"], "phase IN ('failed', 'unregistering')"),
    (
        "ix_workflows_paused",
        "workflows",
        ["dataset_name"],
        "phase IN ('registering', 'served') AND paused_at IS NOT NULL",
    ),
    (
        "ix_workflows_unsettled",
        "workflows",
        ["updated_at", "dataset_name"],
        (
            "phase IN ('registering', 'unregistering', 'leaving')"
            " OR (phase = 'served' AND (airflow_paused IS NULL OR airflow_paused <> (paused_at IS NOT NULL)))"
        ),
    ),
    ("ix_workflow_runs_workflow_id_run_date", "workflow_runs", ["workflow_id", "run_date"], None),
    (
        "ix_workflow_runs_active",
        "workflow_runs",
        ["workflow_id", "run_id"],
        "status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')",
    ),
    (
        "ix_workflow_runs_to_send",
        "workflow_runs",
        ["sent_at", "run_id"],
        (
            "submission IN ('waiting', 'sending') AND status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')"
            " AND stop_at IS NULL AND backfill_id IS NULL"
        ),
    ),
    ("ix_workflow_runs_stopping", "workflow_runs", ["stop_asked_at", "run_id"], "status = 'STOPPING'"),
)
_OLD_INDEXES = (
    "ix_workflows_disabled",
    "ix_workflows_paused",
    "ix_workflows_unsettled",
    "ix_workflow_runs_workflow_id",
    "ix_workflow_runs_unsettled",
)


def _workflow_columns() -> list[sa.Column[Any]]:
    return [sa.Column("removed_by", sa.String()), sa.Column("removed_at", _TIME), sa.Column("shadowed", _JSON)]


def _run_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("backfill_id", _NAME),
        sa.Column("sent_at", _TIME),
        sa.Column("stop_by", sa.String()),
        sa.Column("stop_at", _TIME),
        sa.Column("stop_reason", sa.Text()),
        sa.Column("stop_asked_at", _TIME),
    ]


def upgrade() -> None:
    """Add columns, free the names of those that leave, and keep the runs of every workflow."""
    for name in _OLD_INDEXES:
        op.drop_index(name)
    if op.get_context().dialect.name == "postgresql":
        _upgrade_postgresql()
    else:
        _upgrade_sqlite()
    for name, table, columns, condition in _INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, unique=name.startswith("uq_"), postgresql_where=where, sqlite_where=where)


def _upgrade_postgresql() -> None:
    for column in _workflow_columns():
        op.add_column("workflows", column)
    for column in _run_columns():
        op.add_column("workflow_runs", column)
    op.add_column("workflow_runs", sa.Column("run_date", sa.Date()))
    # the day of acceptance, unless the caller gave a date; what is no date was refused when the run was accepted
    op.execute(
        "UPDATE workflow_runs SET run_date = CASE"
        " WHEN params ->> 'date' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' AND run_type = 'manual' THEN (params ->> 'date')::date"
        " ELSE (coalesce(logical_date, accepted_at) AT TIME ZONE 'UTC')::date END"
    )
    op.alter_column("workflow_runs", "run_date", nullable=False)
    op.drop_constraint("uq_workflows_dataset_name", "workflows")
    op.drop_constraint("uq_workflows_dag_id", "workflows")
    op.drop_constraint("fk_workflow_runs_workflow_id", "workflow_runs")
    op.create_foreign_key("fk_workflow_runs_workflow_id", "workflow_runs", "workflows", ["workflow_id"], ["id"])


def _upgrade_sqlite() -> None:
    op.drop_index("ix_workflows_owner_dataset_name")
    op.drop_index("ix_workflow_runs_started_at_run_id")
    op.drop_index("ix_workflow_runs_dataset_name_started_at_run_id")
    op.rename_table("workflow_runs", "old_workflow_runs")
    op.rename_table("workflows", "old_workflows")
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
        *_workflow_columns(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflows"),
    )
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
        sa.Column("run_date", sa.Date(), nullable=False),
        sa.Column("accepted_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("logical_date", _TIME),
        sa.Column("backfill_id", _NAME),
        sa.Column("progress", _JSON),
        sa.Column("sent_at", _TIME),
        sa.Column("observed_at", _TIME),
        sa.Column("stop_by", sa.String()),
        sa.Column("stop_at", _TIME),
        sa.Column("stop_reason", sa.Text()),
        sa.Column("stop_asked_at", _TIME),
        sa.Column("reason", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_runs"),
        sa.UniqueConstraint("run_id", name="uq_workflow_runs_run_id"),
        sa.UniqueConstraint("dag_id", "airflow_run_id", name="uq_workflow_runs_dag_id_airflow_run_id"),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_runs_workflow_id"),
    )
    old_workflows = (
        "id, dataset_name, dag_id, source_type, owner, cron, timezone, spec, yaml, s3_path, registered_by, registered_at,"
        " updated_at, paused_by, paused_at, pause_reason, phase, phase_reason, airflow_paused, version"
    )
    old_runs = (
        "id, run_id, airflow_run_id, workflow_id, dataset_name, dag_id, run_type, status, submission, triggered_by, params,"
        " accepted_at, started_at, ended_at, logical_date, progress, observed_at, reason, version"
    )
    day = (
        "coalesce(CASE WHEN run_type = 'manual' THEN date(json_extract(params, '$.date')) END,"
        " date(coalesce(logical_date, accepted_at)))"
    )
    op.execute(f"INSERT INTO workflows ({old_workflows}) SELECT {old_workflows} FROM old_workflows")  # noqa: S608 - our own column names
    op.execute(f"INSERT INTO workflow_runs ({old_runs}, run_date) SELECT {old_runs}, {day} FROM old_workflow_runs")  # noqa: S608 - likewise
    op.drop_table("old_workflow_runs")
    op.drop_table("old_workflows")
    op.create_index("ix_workflows_owner_dataset_name", "workflows", ["owner", "dataset_name"])
    op.create_index("ix_workflow_runs_started_at_run_id", "workflow_runs", ["started_at", "run_id"])
    op.create_index(
        "ix_workflow_runs_dataset_name_started_at_run_id", "workflow_runs", ["dataset_name", "started_at", "run_id"]
    )


def downgrade() -> None:
    """There is no way back: a name may have been used again."""
    raise NotImplementedError
