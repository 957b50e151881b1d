"""Register a workflow: check it, record it, store its YAML, have Airflow serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from workflow_core.domain.names import check_dataset_name, dag_id_for, is_sentinel, new_id
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import complete, parse_spec
from workflow_core.domain.workflow import Phase, SourceType, Workflow
from workflow_core.errors import (
    InvalidRequest,
    LoaderNotInstalled,
    Problem,
    WorkflowAlreadyExists,
    WorkflowPermissionDenied,
)
from workflow_core.usecases.settle import settle_workflow

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.caller import Caller
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class RegisterWorkflow:
    """The wish. Every field but the YAML and the name may also stand in the YAML; what is given here wins."""

    caller: Caller
    dataset_name: str
    yaml_content: str
    source_type: SourceType = SourceType.MANUAL
    schedule: Schedule | None = None
    owner: str | None = None
    team: str | None = None
    description: str | None = None


def register(command: RegisterWorkflow, context: Context) -> Workflow:
    """Register a MANUAL workflow and wait, within ``policy.register_wait``, until Airflow serves it.

    Everything that can be refused is refused before anything is recorded. From the moment it is recorded it is accepted: what
    the request does not finish, the worker does, and :attr:`Workflow.warnings` says what is open. A registration whose DAG Airflow
    could not build may be replaced by registering again.

    Raises:
        InvalidRequest: the name, the schedule, the owner or the YAML (then an :class:`InvalidWorkflowSpec`) is wrong.
        WorkflowPermissionDenied: it is asked for as CODE, or CODE has published this name.
        WorkflowAlreadyExists: the name or its DAG id is taken.
        AirflowUnavailable, StorageUnavailable, DatabaseUnavailable, LoaderNotInstalled: nothing was recorded.
    """
    now = context.clock.now()
    draft = _draft(command, context, now)
    if command.source_type is SourceType.CODE:
        msg = "CODE workflows are published into the object store by a CI pipeline, not registered over this API."
        raise WorkflowPermissionDenied(msg)
    holder = context.workflows.workflow_by_dag(draft.dag_id)
    if holder is not None and (holder.dataset_name != draft.dataset_name or holder.phase is not Phase.FAILED):
        raise WorkflowAlreadyExists(draft.dataset_name, holder=holder.dataset_name, dag_id=draft.dag_id)
    if context.storage.stat(SourceType.CODE, draft.dataset_name) is not None:
        msg = f"Workflow {draft.dataset_name!r} is published as CODE; a CI pipeline owns it."
        raise WorkflowPermissionDenied(msg)
    sentinel = context.sentinel_of(draft)
    if context.airflow.dag(sentinel) is None:
        raise LoaderNotInstalled(sentinel)
    if holder is None:
        context.workflows.add_workflow(draft)
    else:
        draft = context.workflows.save_workflow(evolve(draft, id=holder.id, version=holder.version))
    return settle_workflow(draft, context, within=context.policy.register_wait)


def _draft(command: RegisterWorkflow, context: Context, now: datetime) -> Workflow:
    """The workflow that is asked for, checked as far as that needs nobody else."""
    name = check_dataset_name(command.dataset_name)
    if is_sentinel(dag_id_for(name)):
        raise InvalidRequest(
            "this name would be that of a loader file in Airflow; choose another", field="dataset_name"
        )
    rules = context.policy.rules
    given = parse_spec(command.yaml_content, dataset_name=name, rules=rules)
    schedule = command.schedule or (Schedule(**given.schedule.model_dump()) if given.schedule else None)
    owner = command.owner or given.owner
    missing = [
        Problem(field=field, message=f"is required: give it in the request, or as `{field}` in the YAML")
        for field, value in (("schedule", schedule), ("owner", owner))
        if value is None
    ]
    if schedule is None or owner is None:
        raise InvalidRequest.of(missing)
    values: dict[str, Any] = {"name": name, "owner": owner}
    values |= {key: value for key in ("team", "description") if (value := getattr(command, key)) is not None}
    values["schedule"] = {"cron": schedule.cron, "timezone": schedule.timezone}
    text = complete(command.yaml_content, values)
    return Workflow(
        id=new_id(now),
        dataset_name=name,
        source_type=SourceType.MANUAL,
        spec=parse_spec(text, dataset_name=name, rules=rules),
        yaml=text,
        s3_path=context.storage.url(SourceType.MANUAL, name),
        schedule=schedule,
        owner=owner,
        registered_by=command.caller.name,
        registered_at=now,
        updated_at=now,
    )
