"""Entities to rows and back. Pure: no connection, no statement."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict

from workflow_core.domain.audit import Action, AuditEvent, KeyRecord
from workflow_core.domain.backfill import Backfill, DesiredState, OnFailure, Reprocess, SkippedDate, StateRequest
from workflow_core.domain.caller import Via
from workflow_core.domain.code import CodeObject
from workflow_core.domain.names import uuid7
from workflow_core.domain.run import Progress, Retry, Run, RunStatus, RunType, Stop, Submission
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import WorkflowSpec
from workflow_core.domain.workflow import OverriddenManual, Pause, Phase, Removal, Revision, SourceType, Workflow
from workflow_core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKFLOW_IDENTITY: Final = ("id", "dataset_name", "dag_id")
RUN_IDENTITY: Final = ("run_id", "airflow_run_id", "workflow_id", "dataset_name", "dag_id")
BACKFILL_IDENTITY: Final = ("id", "backfill_id", "workflow_id", "dataset_name")
"""The columns that never change after a row was added."""


def workflow_row(workflow: Workflow) -> dict[str, Any]:
    """The row of a workflow. ``spec`` is stored as JSON beside its YAML, because lists would have to parse every text."""
    pause = workflow.pause
    return {
        "id": workflow.id,
        "dataset_name": workflow.dataset_name,
        "dag_id": workflow.dag_id,
        "source_type": workflow.source_type.value,
        "owner": workflow.owner,
        "cron": workflow.schedule.cron,
        "timezone": workflow.schedule.timezone,
        "spec": workflow.spec.model_dump(mode="json", exclude_unset=True),
        "yaml": workflow.yaml,
        "s3_path": workflow.s3_path,
        "registered_by": workflow.registered_by,
        "registered_at": workflow.registered_at,
        "updated_at": workflow.updated_at,
        "paused_by": pause.by if pause else None,
        "paused_at": pause.at if pause else None,
        "pause_reason": pause.reason if pause else None,
        "phase": workflow.phase.value,
        "phase_reason": workflow.phase_reason,
        "airflow_paused": workflow.airflow_paused,
        "pause_changed_at": workflow.pause_changed_at,
        "removed_by": workflow.removal.by if workflow.removal else None,
        "removed_at": workflow.removal.at if workflow.removal else None,
        "shadowed": _shadowed_json(workflow.shadowed) if workflow.shadowed else None,
        "revision": workflow.revision,
        "served_revision": workflow.served_revision,
        "version": workflow.version,
    }


def spec_revision_row(workflow: Workflow, revision: Revision) -> dict[str, Any]:
    """The row of a revision."""
    return {
        "workflow_id": workflow.id,
        "number": revision.number,
        "yaml": revision.yaml,
        "created_by": revision.by,
        "created_at": revision.at,
        "restored_from": revision.restored_from,
    }


def spec_revision_of(row: Mapping[Any, Any]) -> Revision:
    """The revision of a row."""
    return Revision(
        number=row["number"],
        yaml=row["yaml"],
        by=row["created_by"],
        at=row["created_at"],
        restored_from=row["restored_from"],
    )


def workflow_of(row: Mapping[Any, Any]) -> Workflow:
    """The workflow of a row."""
    paused = row["paused_at"] is not None
    return Workflow(
        id=row["id"],
        dataset_name=row["dataset_name"],
        source_type=SourceType(row["source_type"]),
        spec=WorkflowSpec.model_validate(row["spec"]),
        yaml=row["yaml"],
        s3_path=row["s3_path"],
        schedule=Schedule.stored(row["cron"], row["timezone"]),
        owner=row["owner"],
        registered_by=row["registered_by"],
        registered_at=row["registered_at"],
        updated_at=row["updated_at"],
        pause=Pause(by=row["paused_by"], at=row["paused_at"], reason=row["pause_reason"]) if paused else None,
        phase=Phase(row["phase"]),
        phase_reason=row["phase_reason"],
        airflow_paused=row["airflow_paused"],
        pause_changed_at=row["pause_changed_at"],
        removal=None if row["removed_at"] is None else Removal(by=row["removed_by"], at=row["removed_at"]),
        shadowed=None if row["shadowed"] is None else _shadowed_of(row["shadowed"]),
        revision=row["revision"],
        served_revision=row["served_revision"],
        version=row["version"],
    )


def _shadowed_json(shadowed: OverriddenManual) -> dict[str, str]:
    return {**asdict(shadowed), "registered_at": shadowed.registered_at.astimezone(UTC).isoformat()}


def _shadowed_of(found: Mapping[str, str]) -> OverriddenManual:
    return OverriddenManual(
        yaml=found["yaml"],
        s3_path=found["s3_path"],
        registered_by=found["registered_by"],
        registered_at=datetime.fromisoformat(found["registered_at"]),
    )


def code_object_row(found: CodeObject) -> dict[str, Any]:
    """The row of a CODE object."""
    return {
        "dataset_name": found.dataset_name,
        "etag": found.etag,
        "problems": [asdict(problem) for problem in found.problems] or None,
        "checked_by": found.checked_by,
        "seen_at": found.seen_at,
        "version": found.version,
    }


def code_object_of(row: Mapping[Any, Any]) -> CodeObject:
    """The CODE object of a row."""
    return CodeObject(
        dataset_name=row["dataset_name"],
        etag=row["etag"],
        seen_at=row["seen_at"],
        checked_by=row["checked_by"],
        problems=tuple(Problem(**problem) for problem in row["problems"] or ()),
        version=row["version"],
    )


def run_row(run: Run) -> dict[str, Any]:
    """The row of a run, without its generated key (:func:`new_run_row` adds that)."""
    stop = run.stop
    return {
        "run_id": run.run_id,
        "airflow_run_id": run.airflow_run_id,
        "workflow_id": run.workflow_id,
        "dataset_name": run.dataset_name,
        "dag_id": run.dag_id,
        "run_type": run.run_type.value,
        "status": run.status.value,
        "submission": run.submission.value,
        "triggered_by": run.triggered_by,
        "params": dict(run.params),
        "run_date": run.run_date,
        "accepted_at": run.accepted_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "logical_date": run.logical_date,
        "backfill_id": run.backfill_id,
        "progress": None if run.progress is None else asdict(run.progress),
        "sent_at": run.sent_at,
        "observed_at": run.observed_at,
        "stop_by": stop.by if stop else None,
        "stop_at": stop.at if stop else None,
        "stop_reason": stop.reason if stop else None,
        "stop_asked_at": stop.asked_at if stop else None,
        "retry": _retry_json(run.retry) if run.retry else None,
        "reason": run.reason,
        "version": run.version,
    }


def new_run_row(run: Run) -> dict[str, Any]:
    """The row of a run that is not stored yet."""
    return {"id": uuid7(run.accepted_at), **run_row(run)}


def run_of(row: Mapping[Any, Any]) -> Run:
    """The run of a row."""
    progress = row["progress"]
    stop = None
    if row["stop_at"] is not None:
        stop = Stop(by=row["stop_by"], at=row["stop_at"], reason=row["stop_reason"], asked_at=row["stop_asked_at"])
    return Run(
        run_id=row["run_id"],
        airflow_run_id=row["airflow_run_id"],
        workflow_id=row["workflow_id"],
        dataset_name=row["dataset_name"],
        dag_id=row["dag_id"],
        run_type=RunType(row["run_type"]),
        status=RunStatus(row["status"]),
        submission=Submission(row["submission"]),
        triggered_by=row["triggered_by"],
        params=row["params"],
        run_date=row["run_date"],
        accepted_at=row["accepted_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        logical_date=row["logical_date"],
        backfill_id=row["backfill_id"],
        progress=None if progress is None else Progress(**progress),
        sent_at=row["sent_at"],
        observed_at=row["observed_at"],
        stop=stop,
        retry=None if row["retry"] is None else _retry_of(row["retry"]),
        reason=row["reason"],
        version=row["version"],
    )


def backfill_row(backfill: Backfill) -> dict[str, Any]:
    """The row of a backfill, without its generated key (:func:`new_backfill_row` adds that)."""
    return {
        "backfill_id": backfill.backfill_id,
        "workflow_id": backfill.workflow_id,
        "dataset_name": backfill.dataset_name,
        "start_date": backfill.start_date,
        "end_date": backfill.end_date,
        "params": dict(backfill.params),
        "parallel": backfill.parallel,
        "max_active": backfill.max_active,
        "reprocess": backfill.reprocess.value,
        "run_backwards": backfill.run_backwards,
        "on_failure": backfill.on_failure.value,
        "created_by": backfill.created_by,
        "created_at": backfill.created_at,
        "wanted": backfill.state_request.desired_state.value,
        "wanted_by": backfill.state_request.by,
        "wanted_at": backfill.state_request.at,
        "wanted_reason": backfill.state_request.reason,
        "updated_at": backfill.updated_at,
        "accepted": list(backfill.accepted),
        "skipped": [
            {"date": one.date.isoformat(), "run_id": one.run_id, "status": one.status.value} for one in backfill.skipped
        ],
        "version": backfill.version,
    }


def new_backfill_row(backfill: Backfill) -> dict[str, Any]:
    """The row of a backfill that is not stored yet."""
    return {"id": uuid7(backfill.created_at), **backfill_row(backfill)}


def backfill_of(row: Mapping[Any, Any]) -> Backfill:
    """The backfill of a row."""
    return Backfill(
        backfill_id=row["backfill_id"],
        workflow_id=row["workflow_id"],
        dataset_name=row["dataset_name"],
        start_date=row["start_date"],
        end_date=row["end_date"],
        params=row["params"],
        parallel=row["parallel"],
        max_active=row["max_active"],
        reprocess=Reprocess(row["reprocess"]),
        run_backwards=row["run_backwards"],
        on_failure=OnFailure(row["on_failure"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
        state_request=StateRequest(
            desired_state=DesiredState(row["wanted"]),
            by=row["wanted_by"],
            at=row["wanted_at"],
            reason=row["wanted_reason"],
        ),
        updated_at=row["updated_at"],
        accepted=tuple(row["accepted"]),
        skipped=tuple(
            SkippedDate(date=date.fromisoformat(one["date"]), run_id=one["run_id"], status=RunStatus(one["status"]))
            for one in row["skipped"]
        ),
        version=row["version"],
    )


def audit_row(event: AuditEvent) -> dict[str, Any]:
    """The row of an audit event."""
    return {**asdict(event, recurse=False), "action": event.action.value, "via": event.via.value}


def audit_of(row: Mapping[Any, Any]) -> AuditEvent:
    """The audit event of a row."""
    return AuditEvent(**{**row, "action": Action(row["action"]), "via": Via(row["via"])})


def key_row(record: KeyRecord) -> dict[str, Any]:
    """The row of an idempotency key."""
    return {**asdict(record), "action": record.action.value}


def key_of(row: Mapping[Any, Any]) -> KeyRecord:
    """The idempotency key of a row."""
    return KeyRecord(**{**row, "action": Action(row["action"])})


def _retry_json(retry: Retry) -> dict[str, Any]:
    return {
        **asdict(retry),
        "at": retry.at.astimezone(UTC).isoformat(),
        "tasks": list(retry.tasks),
        "ended_before": retry.ended_before and retry.ended_before.astimezone(UTC).isoformat(),
    }


def _retry_of(found: Mapping[str, Any]) -> Retry:
    ended = found["ended_before"]
    return Retry(
        by=found["by"],
        at=datetime.fromisoformat(found["at"]),
        only_failed=found["only_failed"],
        tasks=tuple(found["tasks"]),
        ended_before=None if ended is None else datetime.fromisoformat(ended),
        number=found["number"],
    )


def changes(row: Mapping[str, Any], identity: tuple[str, ...]) -> dict[str, Any]:
    """The values that a save writes: everything but the identity, with the next version."""
    kept = {name: value for name, value in row.items() if name not in identity}
    return {**kept, "version": row["version"] + 1}
