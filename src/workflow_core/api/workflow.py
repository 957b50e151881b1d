"""Requests and answers of workflows (specification, sections 3.5 and 3.7 to 3.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue

from workflow_core.api.base import Answer, Request, UtcTime, extra
from workflow_core.api.listing import Filters
from workflow_core.api.run import DATASET, USER, example
from workflow_core.domain.conditions import Condition, ConditionType, Severity, pause_note
from workflow_core.domain.names import DATASET_NAME_PATTERN, MAX_DATASET_NAME
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase, SourceType, Workflow, WorkflowStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Removal

NEW = "iceberg.analytics.new_workflow"


def _flag(value: object) -> object:
    """Accept only `true` and `false`; pydantic alone would also accept ``yes``, ``on`` and ``1``."""
    if isinstance(value, str) and value not in {"true", "false"}:
        msg = "must be true or false"
        raise ValueError(msg)
    return value


class ScheduleModel(Request):
    """The schedule of a workflow."""

    cron: str = Field(description="Five cron fields: minute hour day-of-month month day-of-week.")
    timezone: str = Field(default="UTC", description="A name of the IANA time zone database.")


class ScheduleAnswer(Answer):
    """The schedule of a workflow."""

    cron: str = Field(description="Five cron fields: minute hour day-of-month month day-of-week.")
    timezone: str = Field(description="A name of the IANA time zone database.")


class RegisterRequest(Request):
    """A workflow to register (specification, section 3.8). Its fields override those of the YAML."""

    model_config = example(
        {
            "dataset_name": NEW,
            "source_type": "MANUAL",
            "schedule": {"cron": "0 8 * * *", "timezone": "America/New_York"},
            "owner": "data@example.com",
            "team": "@data-eng",
            "description": "New analytics workflow",
            "yaml_content": "version: v1\nname: new_workflow\n...",
        }
    )

    dataset_name: str = Field(
        description="Two or more segments joined by dots.",
        json_schema_extra={"pattern": DATASET_NAME_PATTERN, "maxLength": MAX_DATASET_NAME},
    )
    source_type: SourceType = Field(default=SourceType.MANUAL, strict=False, description="CODE is refused (403).")
    schedule: ScheduleModel | None = None
    owner: str | None = Field(default=None, min_length=1, max_length=200)
    team: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=4000)
    yaml_content: str = Field(description="The workflow's YAML, format version v1.")
    force: bool = Field(
        default=False, description="If the workflow exists, make this its next revision instead of refusing (409)."
    )


class RegisterAnswer(Answer):
    """The registered workflow (specification, section 3.8)."""

    model_config = example(
        {
            "dataset_name": NEW,
            "status": "active",
            "source_type": "MANUAL",
            "s3_path": f"s3://data-workflows/workflows/manual/{NEW}.yaml",
            "airflow_dag_id": "iceberg_analytics_new_workflow",
            "registered_by": USER,
            "registered_at": "2026-01-01T10:00:00Z",
        }
    )
    dataset_name: str
    status: WorkflowStatus
    source_type: SourceType
    s3_path: str = Field(description="The URL of the stored YAML.")
    airflow_dag_id: str
    registered_by: str
    registered_at: UtcTime
    revision: int | None = extra(description="The number of the revision, from the second one on.")
    warnings: tuple[str, ...] = extra(default=(), description="Human-readable warnings.")

    @classmethod
    def of(cls, workflow: Workflow) -> RegisterAnswer:
        """Make the answer from a workflow."""
        return cls(
            dataset_name=workflow.dataset_name,
            status=workflow.status,
            source_type=workflow.source_type,
            s3_path=workflow.s3_path,
            airflow_dag_id=workflow.dag_id,
            registered_by=workflow.registered_by,
            registered_at=workflow.registered_at,
            revision=workflow.revision if workflow.revision > 1 else None,
            warnings=workflow.warnings,
        )


class LastRunAnswer(Answer):
    """The latest run of a workflow."""

    run_id: str
    status: RunStatus
    started_at: UtcTime
    duration_seconds: int

    @classmethod
    def of(cls, run: Run, *, now: datetime) -> LastRunAnswer:
        """Make the answer from a run."""
        return cls(
            run_id=run.run_id,
            status=run.status,
            started_at=run.started_at,
            duration_seconds=run.duration_seconds(now),
        )


_ITEM: dict[str, Any] = {
    "dataset_name": DATASET,
    "status": "active",
    "source_type": "MANUAL",
    "owner": "data@example.com",
    "team": "@data-eng",
    "schedule": {"cron": "0 6 * * *", "timezone": "UTC"},
    "last_run": {
        "run_id": f"{DATASET}_20260101_060000",
        "status": "SUCCESS",
        "started_at": "2026-01-01T06:00:00Z",
        "duration_seconds": 45,
    },
    "next_run": "2026-01-02T06:00:00Z",
}


class WorkflowItem(Answer):
    """One workflow in the list (specification, section 3.5)."""

    model_config = example(_ITEM)

    dataset_name: str
    status: WorkflowStatus
    source_type: SourceType
    owner: str
    team: str | None
    schedule: ScheduleAnswer
    last_run: LastRunAnswer | None = Field(description="Null before the first run.")
    next_run: UtcTime | None = Field(description="The next scheduled fire time; null while paused or disabled.")
    stale: bool = extra(default=False, description="Airflow does not answer: the state of its runs may be out of date.")

    @classmethod
    def of(
        cls,
        workflow: Workflow,
        *,
        last_run: Run | None,
        next_run: datetime | None,
        now: datetime,
        stale: bool = False,
    ) -> WorkflowItem:
        """Make the answer from a workflow."""
        return cls(**_item(workflow, last_run, next_run, now), stale=stale)


def _item(workflow: Workflow, last_run: Run | None, next_run: datetime | None, now: datetime) -> dict[str, Any]:
    schedule = workflow.schedule
    return {
        "dataset_name": workflow.dataset_name,
        "status": workflow.status,
        "source_type": workflow.source_type,
        "owner": workflow.owner,
        "team": workflow.team,
        "schedule": ScheduleAnswer(cron=schedule.cron, timezone=schedule.timezone),
        "last_run": LastRunAnswer.of(last_run, now=now) if last_run else None,
        "next_run": next_run,
    }


class ConditionAnswer(Answer):
    """A condition: one difference between desired and observed state."""

    type: ConditionType
    severity: Severity = Field(description="`error`: something does not work; `warning`: it may be unintended.")
    since: UtcTime = Field(description="The time since when it is known.")
    message: str

    @classmethod
    def of(cls, condition: Condition) -> ConditionAnswer:
        """Make the answer from a condition."""
        return cls(type=condition.type, severity=condition.severity, since=condition.since, message=condition.message)


class WorkflowDetailAnswer(WorkflowItem):
    """A workflow with its spec, and how far Airflow has followed."""

    model_config = example(
        {
            **_ITEM,
            "description": "Clicks per day",
            "phase": "served",
            "revision": 1,
            "served_revision": 1,
            "s3_path": f"s3://data-workflows/workflows/manual/{DATASET}.yaml",
            "airflow_dag_id": "iceberg_analytics_daily_clicks",
            "registered_by": USER,
            "registered_at": "2026-01-01T05:00:00Z",
            "updated_at": "2026-01-01T05:00:01Z",
            "spec": {"version": "v1", "name": DATASET, "tasks": [{"task_id": "extract", "operator": "empty"}]},
            "yaml_content": f"version: v1\nname: {DATASET}\ntasks:\n  - task_id: extract\n    operator: empty\n",
        }
    )

    description: str | None
    phase: Phase = Field(description="`registering`, `served` by Airflow, or `failed`: Airflow cannot build its DAG.")
    revision: int = Field(description="The number of the current spec; also the ETag of this answer.")
    served_revision: int | None = Field(
        description="The latest revision that Airflow was observed to serve; null before the first."
    )
    s3_path: str
    airflow_dag_id: str
    registered_by: str
    registered_at: UtcTime
    updated_at: UtcTime
    spec: dict[str, JsonValue] = Field(description="The workflow's YAML as data.")
    yaml_content: str = Field(description="The complete stored YAML.")
    paused_by: str | None = extra()
    paused_at: UtcTime | None = extra()
    pause_reason: str | None = extra()
    overridden: bool = extra(
        default=False,
        description="CODE overrides a MANUAL workflow of this name, which becomes active again when CODE is removed.",
    )
    warnings: tuple[str, ...] = extra(default=())
    conditions: tuple[ConditionAnswer, ...] = extra(
        default=(), description="Differences between desired and observed state, in Airflow or in the object store."
    )
    observed_at: UtcTime | None = extra(
        description="When the workflow was last observed in Airflow, or observed missing; with `stale`."
    )

    @classmethod
    def of(  # noqa: PLR0913 - the facts of one answer, all by name
        cls,
        workflow: Workflow,
        *,
        last_run: Run | None,
        next_run: datetime | None,
        now: datetime,
        conditions: Sequence[Condition] = (),
        stale: bool = False,
        observed_at: datetime | None = None,
    ) -> WorkflowDetailAnswer:
        """Make the answer from a workflow."""
        pause = workflow.pause
        return cls(
            **_item(workflow, last_run, next_run, now),
            description=workflow.spec.description,
            phase=workflow.phase,
            revision=workflow.revision,
            served_revision=workflow.served_revision,
            s3_path=workflow.s3_path,
            airflow_dag_id=workflow.dag_id,
            registered_by=workflow.registered_by,
            registered_at=workflow.registered_at,
            updated_at=workflow.updated_at,
            spec=workflow.spec.model_dump(mode="json", exclude_none=True),
            yaml_content=workflow.yaml,
            paused_by=pause.by if pause else None,
            paused_at=pause.at if pause else None,
            pause_reason=pause.reason if pause else None,
            overridden=workflow.overridden,
            warnings=workflow.warnings,
            conditions=tuple(map(ConditionAnswer.of, conditions)),
            stale=stale,
            observed_at=observed_at if stale else None,
        )


class UnregisterFilters(Filters):
    """The query parameters of an unregistration (specification, section 3.9)."""

    force: Annotated[bool, BeforeValidator(_flag)] = Field(
        default=False, description="Stop active runs first, instead of refusing (409)."
    )


class UnregisterAnswer(Answer):
    """The unregistered workflow (specification, section 3.9): no run can start, its name is free, its history stays."""

    model_config = example(
        {
            "dataset_name": DATASET,
            "status": "unregistered",
            "s3_path_deleted": f"s3://data-workflows/workflows/manual/{DATASET}.yaml",
            "airflow_dag_disabled": True,
            "unregistered_by": USER,
        }
    )
    dataset_name: str
    status: Literal["unregistered", "unregistering"] = Field(
        description="`unregistering`: accepted, but not yet complete in the object store or in Airflow; the worker"
        " continues."
    )
    s3_path_deleted: str | None = Field(description="The URL of the deleted YAML; null until it is deleted.")
    airflow_dag_disabled: bool = Field(description="Whether Airflow has stopped starting runs of it.")
    unregistered_by: str

    @classmethod
    def of(cls, workflow: Workflow, removal: Removal) -> UnregisterAnswer:
        """Make the answer from a workflow and its removal."""
        has_left = workflow.phase.has_left
        return cls(
            dataset_name=workflow.dataset_name,
            status="unregistered" if has_left else "unregistering",
            s3_path_deleted=workflow.s3_path if has_left else None,
            airflow_dag_disabled=workflow.airflow_paused is True,
            unregistered_by=removal.by,
        )


class PauseRequest(Request):
    """The reason for a pause (specification, section 3.7). The body may be left out."""

    model_config = example({"reason": "Maintenance window"})

    reason: str | None = Field(default=None, max_length=1000)


class PauseAnswer(Answer):
    """Whether the workflow is paused, and by whom (specification, section 3.7).

    After an unpause, the last three are null.
    """

    model_config = example(
        {
            "dataset_name": DATASET,
            "status": "paused",
            "paused_by": USER,
            "paused_at": "2026-01-01T10:00:00Z",
            "reason": "Maintenance window",
        }
    )
    dataset_name: str
    status: WorkflowStatus
    paused_by: str | None
    paused_at: UtcTime | None
    reason: str | None
    warnings: tuple[str, ...] = extra(default=())

    @classmethod
    def of(cls, workflow: Workflow, *, reason: str | None = None, under_way: int = 0) -> PauseAnswer:
        """Make the answer from a workflow, with warnings about its active runs and the requested ``reason``."""
        pause = workflow.pause
        warnings = list(workflow.warnings)
        if pause and under_way:
            warnings.append(pause_note(workflow, under_way, is_paused=workflow.airflow_paused is True))
        if pause and reason and pause.reason != reason:
            warnings.append(
                f"{pause.by} paused it before, and that reason stays. To change the reason, unpause and pause again."
            )
        return cls(
            dataset_name=workflow.dataset_name,
            status=workflow.status,
            paused_by=pause.by if pause else None,
            paused_at=pause.at if pause else None,
            reason=pause.reason if pause else None,
            warnings=tuple(warnings),
        )
