"""The tables of this version. The migrations create them; a test verifies that both agree.

The ``text`` conditions are shared by partial indexes and queries: a planner uses such an index only where the query
repeats its condition literally, which a bound parameter would hide.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from workflow_adapters.sql.columns import UtcDateTime, json_type, name_type

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Workflow.status, Workflow.is_settled and Phase.has_left in SQL: they are derived from stored columns.
LIVE: Final = "phase NOT IN ('leaving', 'gone')"
DISABLED: Final = "phase IN ('failed', 'unregistering')"
PAUSED: Final = "phase IN ('registering', 'served') AND paused_at IS NOT NULL"
ACTIVE: Final = "phase IN ('registering', 'served') AND paused_at IS NULL"
MAY_RUN: Final = "phase = 'served' AND paused_at IS NULL"
UNSETTLED_WORKFLOW: Final = (
    "phase IN ('registering', 'unregistering', 'leaving')"
    " OR (phase = 'served' AND (airflow_paused IS NULL OR airflow_paused <> (paused_at IS NOT NULL)))"
)
ACTIVE_RUN: Final = "status NOT IN ('SUCCESS', 'FAILED', 'STOPPED')"
RUN_TO_SEND: Final = (
    f"submission IN ('waiting', 'sending') AND {ACTIVE_RUN} AND stop_at IS NULL AND backfill_id IS NULL"
)
STOPPING_RUN: Final = "status = 'STOPPING'"
ACTIVE_SLOT: Final = f"backfill_id IS NOT NULL AND {ACTIVE_RUN}"
"""A run of a backfill that has not ended."""

RETRYING_RUN: Final = f"submission = 'retrying' AND {ACTIVE_RUN} AND stop_at IS NULL"


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


workflows: Final = sa.Table(
    "workflows",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("dataset_name", name_type(), nullable=False),
    sa.Column("dag_id", name_type(), nullable=False),
    sa.Column("source_type", sa.String(), nullable=False),
    sa.Column("owner", sa.String(), nullable=False),
    sa.Column("cron", sa.String(), nullable=False),
    sa.Column("timezone", sa.String(), nullable=False),
    sa.Column("spec", json_type(), nullable=False),
    sa.Column("yaml", sa.Text(), nullable=False),
    sa.Column("s3_path", sa.String(), nullable=False),
    sa.Column("registered_by", sa.String(), nullable=False),
    sa.Column("registered_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.Column("paused_by", sa.String()),
    sa.Column("paused_at", UtcDateTime()),
    sa.Column("pause_reason", sa.Text()),
    sa.Column("phase", sa.String(), nullable=False),
    sa.Column("phase_reason", sa.Text()),
    sa.Column("airflow_paused", sa.Boolean()),
    sa.Column("pause_changed_at", UtcDateTime()),
    sa.Column("removed_by", sa.String()),
    sa.Column("removed_at", UtcDateTime()),
    sa.Column("shadowed", json_type()),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("revision", sa.Integer(), nullable=False, server_default="1"),
    sa.Column("served_revision", sa.Integer()),
    _partial("uq_workflows_dataset_name", "dataset_name", where=LIVE, unique=True),
    _partial("uq_workflows_dag_id", "dag_id", where=LIVE, unique=True),
    sa.Index("ix_workflows_owner_dataset_name", "owner", "dataset_name"),
    _partial("ix_workflows_disabled", "dataset_name", where=DISABLED),
    _partial("ix_workflows_paused", "dataset_name", where=PAUSED),
    _partial("ix_workflows_unsettled", "updated_at", "dataset_name", where=UNSETTLED_WORKFLOW),
)

revisions: Final = sa.Table(
    "workflow_revisions",
    metadata,
    sa.Column("workflow_id", sa.Uuid(), sa.ForeignKey(workflows.c.id), primary_key=True),
    sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("yaml", sa.Text(), nullable=False),
    sa.Column("created_by", sa.String(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("restored_from", sa.Integer()),
)

runs: Final = sa.Table(
    "workflow_runs",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("run_id", name_type(), nullable=False),
    sa.Column("airflow_run_id", name_type(), nullable=False),
    sa.Column("workflow_id", sa.Uuid(), sa.ForeignKey(workflows.c.id), nullable=False),
    sa.Column("dataset_name", name_type(), nullable=False),
    sa.Column("dag_id", name_type(), nullable=False),
    sa.Column("run_type", sa.String(), nullable=False),
    sa.Column("status", sa.String(), nullable=False),
    sa.Column("submission", sa.String(), nullable=False),
    sa.Column("triggered_by", sa.String(), nullable=False),
    sa.Column("params", json_type(), nullable=False),
    sa.Column("run_date", sa.Date(), nullable=False),
    sa.Column("accepted_at", UtcDateTime(), nullable=False),
    sa.Column("started_at", UtcDateTime(), nullable=False),
    sa.Column("ended_at", UtcDateTime()),
    sa.Column("logical_date", UtcDateTime()),
    sa.Column("backfill_id", name_type()),
    sa.Column("progress", json_type()),
    sa.Column("sent_at", UtcDateTime()),
    sa.Column("observed_at", UtcDateTime()),
    sa.Column("stop_by", sa.String()),
    sa.Column("stop_at", UtcDateTime()),
    sa.Column("stop_reason", sa.Text()),
    sa.Column("stop_asked_at", UtcDateTime()),
    sa.Column("retry", json_type()),
    sa.Column("reason", sa.Text()),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.UniqueConstraint("run_id"),
    sa.UniqueConstraint("dag_id", "airflow_run_id"),
    sa.Index("ix_workflow_runs_started_at_run_id", "started_at", "run_id"),
    sa.Index("ix_workflow_runs_dataset_name_started_at_run_id", "dataset_name", "started_at", "run_id"),
    sa.Index(
        "ix_workflow_runs_workflow_id_run_date_started_at_run_id", "workflow_id", "run_date", "started_at", "run_id"
    ),
    _partial("ix_workflow_runs_active", "workflow_id", "run_id", where=ACTIVE_RUN),
    _partial("ix_workflow_runs_to_send", "sent_at", "run_id", where=RUN_TO_SEND),
    _partial("ix_workflow_runs_stopping", "stop_asked_at", "run_id", where=STOPPING_RUN),
    _partial("ix_workflow_runs_retrying", "sent_at", "run_id", where=RETRYING_RUN),
    _partial("ix_workflow_runs_backfill", "backfill_id", "run_date", "run_id", where="backfill_id IS NOT NULL"),
    _partial("ix_workflow_runs_active_slots", "backfill_id", "submission", "stop_at", where=ACTIVE_SLOT),
)

backfills: Final = sa.Table(
    "backfills",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("backfill_id", name_type(), nullable=False),
    sa.Column("workflow_id", sa.Uuid(), sa.ForeignKey(workflows.c.id), nullable=False),
    sa.Column("dataset_name", name_type(), nullable=False),
    sa.Column("start_date", sa.Date(), nullable=False),
    sa.Column("end_date", sa.Date(), nullable=False),
    sa.Column("params", json_type(), nullable=False),
    sa.Column("parallel", sa.Boolean(), nullable=False),
    sa.Column("max_active", sa.Integer(), nullable=False),
    sa.Column("reprocess", sa.String(), nullable=False),
    sa.Column("run_backwards", sa.Boolean(), nullable=False),
    sa.Column("on_failure", sa.String(), nullable=False),
    sa.Column("created_by", sa.String(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("wanted", sa.String(), nullable=False),
    sa.Column("wanted_by", sa.String(), nullable=False),
    sa.Column("wanted_at", UtcDateTime(), nullable=False),
    sa.Column("wanted_reason", sa.Text()),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.Column("accepted", json_type(), nullable=False),
    sa.Column("skipped", json_type(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.UniqueConstraint("backfill_id"),
    sa.Index("ix_backfills_dataset_name_created_at_backfill_id", "dataset_name", "created_at", "backfill_id"),
)

tries: Final = sa.Table(
    "workflow_tries",
    metadata,
    sa.Column("workflow_id", sa.Uuid(), sa.ForeignKey(workflows.c.id), primary_key=True),
    sa.Column("tried_at", UtcDateTime(), nullable=False),
)

code_objects: Final = sa.Table(
    "code_objects",
    metadata,
    sa.Column("dataset_name", name_type(), primary_key=True),
    sa.Column("etag", sa.String(), nullable=False),
    sa.Column("problems", json_type()),
    sa.Column("checked_by", sa.String(), nullable=False),
    sa.Column("seen_at", UtcDateTime(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
)

observation: Final = sa.Table(
    "observation",
    metadata,
    sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("until", UtcDateTime(), nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)

observations: Final = sa.Table(
    "workflow_observations",
    metadata,
    sa.Column("workflow_id", sa.Uuid(), sa.ForeignKey(workflows.c.id), primary_key=True),
    sa.Column("listed_at", UtcDateTime()),
    sa.Column("looked_at", UtcDateTime()),
    sa.Column("facts", json_type(), nullable=False),
)

airflow_state: Final = sa.Table(
    "airflow_state",
    metadata,
    sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("tried_at", UtcDateTime()),
    sa.Column("reached_at", UtcDateTime()),
    sa.Column("unreachable_since", UtcDateTime()),
    sa.Column("detail", sa.Text()),
    sa.Column("offset", sa.Integer(), nullable=False),
    sa.Column("cycle_at", UtcDateTime()),
    sa.Column("last_cycle_at", UtcDateTime()),
    sa.CheckConstraint("id = 1", name="one_row"),
)

audit_events: Final = sa.Table(
    "audit_events",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("at", UtcDateTime(), nullable=False),
    sa.Column("who", sa.String(), nullable=False),
    sa.Column("action", sa.String(), nullable=False),
    sa.Column("via", sa.String(), nullable=False),
    sa.Column("dataset_name", name_type()),
    sa.Column("run_id", name_type()),
    sa.Column("backfill_id", name_type()),
    sa.Column("address", sa.String()),
    sa.Column("request_id", sa.String()),
    sa.Column("before", json_type()),
    sa.Column("after", json_type()),
    sa.Index("ix_audit_events_at_id", "at", "id"),
    sa.Index("ix_audit_events_dataset_name_at_id", "dataset_name", "at", "id"),
)
"""Append-only: triggers of the migration refuse every update and delete."""

idempotency_keys: Final = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("scope", sa.String(), primary_key=True),
    sa.Column("key", sa.String(), primary_key=True),
    sa.Column("fingerprint", sa.String(), nullable=False),
    sa.Column("attempt", sa.Uuid(), nullable=False),
    sa.Column("action", sa.String(), nullable=False),
    sa.Column("subject", sa.String(), nullable=False),
    sa.Column("at", UtcDateTime(), nullable=False),
    sa.Column("answer", sa.Text()),
    sa.Index("ix_idempotency_keys_at", "at"),
)

leases: Final = sa.Table(
    "leases",
    metadata,
    sa.Column("subject", name_type(), primary_key=True),
    sa.Column("owner", sa.String(), nullable=False),
    sa.Column("epoch", sa.BigInteger(), nullable=False),
    sa.Column("until", UtcDateTime(), nullable=False),
    sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Index("ix_leases_until", "until"),
)

api_tokens: Final = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", name_type(), primary_key=True),
    sa.Column("name", sa.String(), nullable=False),
    sa.Column("digest", sa.String(), nullable=False),
    sa.Column("grants", json_type(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("created_by", sa.String(), nullable=False),
    sa.Column("expires_at", UtcDateTime()),
    sa.Column("revoked_at", UtcDateTime()),
    sa.Column("revoked_by", sa.String()),
)
"""Of each secret only the SHA-256 is stored."""

schema_version: Final = "workflow_schema_version"
"""Alembic's table. Not under its usual name, so that a database shared with another program (Airflow, say) is safe."""
