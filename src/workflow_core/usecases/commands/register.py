"""Register a workflow: validate it, record it, store its YAML, and wait until Airflow serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from workflow_core.domain.audit import Action, on_workflow
from workflow_core.domain.authorization import Verb, denied, may
from workflow_core.domain.names import check_dataset_name, dag_id_for, is_sentinel, uuid7
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import complete, parse_spec
from workflow_core.domain.workflow import Phase, Revision, SourceType, Workflow
from workflow_core.errors import (
    InvalidRequest,
    LoaderNotInstalled,
    Problem,
    RevisionMismatch,
    WorkflowAlreadyExists,
    WorkflowNotFound,
    WorkflowPermissionDenied,
)
from workflow_core.usecases.reconcile.workflow import reconcile_workflow

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.caller import Caller
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class RegisterWorkflow:
    """Command: register a workflow, or a new revision of one.

    Every field but the YAML and the name may also be in the YAML; the field of the command takes precedence.

    Attributes:
        force: whether to replace the spec of an existing workflow.
        expected_revision: the revision to replace; the command is rejected if the workflow is at another one.
    """

    caller: Caller
    dataset_name: str
    yaml_content: str
    source_type: SourceType = SourceType.MANUAL
    schedule: Schedule | None = None
    owner: str | None = None
    team: str | None = None
    description: str | None = None
    force: bool = False
    expected_revision: int | None = None


def register(command: RegisterWorkflow, context: Context) -> Workflow:
    """Register a MANUAL workflow and wait, at most ``register_wait`` seconds, until Airflow serves it.

    Every check precedes the first write. Once the workflow is recorded, the request is accepted: the worker finishes
    what the request does not, and :attr:`Workflow.warnings` lists what is still open.

    An existing workflow gets a new revision if ``force`` is set, if ``expected_revision`` is its current revision, or
    if Airflow could not build a DAG from its current spec. The same text again does not create a revision.

    Raises:
        InvalidRequest: the name, the schedule, the owner or the YAML (then an :class:`InvalidWorkflowSpec`) is invalid.
        WorkflowPermissionDenied: the request is for a CODE workflow, or the name is published as CODE.
        PermissionDenied: the caller may not register this workflow, or replace the existing one.
        WorkflowAlreadyExists: the name or its DAG id is taken.
        RevisionMismatch: the workflow is at another revision than expected.
        AirflowUnavailable, StorageUnavailable, DatabaseUnavailable, LoaderNotInstalled: nothing was recorded.
    """
    now = context.clock.now()
    context.airflow.ping()  # first: parsing a YAML would delay the error
    draft = draft_of(command, context, now)
    check_author(command.caller, draft)
    if command.source_type is SourceType.CODE:
        msg = "CODE workflows are published into the object store by a CI pipeline, not registered over this API."
        raise WorkflowPermissionDenied(msg)
    holder = context.db.workflows.workflow_by_dag(draft.dag_id)
    if holder is not None:
        _check_may_replace(command.caller, draft, holder)
    if context.storage.stat(SourceType.CODE, draft.dataset_name) is not None:
        msg = f"Workflow {draft.dataset_name!r} is published as CODE; a CI pipeline owns it."
        raise WorkflowPermissionDenied(msg)
    _check_holder(holder, draft, command)
    sentinel = context.sentinel_of(draft)
    if context.airflow.dag(sentinel) is None:
        raise LoaderNotInstalled(sentinel)
    if holder is None:
        context.db.workflows.add_workflow(draft, act=on_workflow(command.caller, Action.REGISTER, now, draft))
        return reconcile_workflow(draft, context, within=context.policy.register_wait)
    return revise(holder, draft, command.caller, context)


def check_author(caller: Caller, workflow: Workflow) -> None:
    """Return if the caller may register this workflow, or register over it.

    For a draft, the team in its spec counts. The existing workflow is checked as well, so that a caller can neither
    take a workflow from another team nor give one to it.

    Raises:
        PermissionDenied: the caller may not register it.
    """
    if not may(caller, Verb.REGISTER, workflow):
        raise denied(Verb.REGISTER, workflow)


def _check_may_replace(caller: Caller, draft: Workflow, holder: Workflow) -> None:
    """Check the holder of the name or DAG id; disclose nothing about it that the caller may not view."""
    if not may(caller, Verb.VIEW, holder):
        error = WorkflowAlreadyExists.with_message(
            f"The name {draft.dataset_name!r} is not available; choose another one."
        )
        error.conceals = True
        raise error
    check_author(caller, holder)


def _check_holder(holder: Workflow | None, draft: Workflow, command: RegisterWorkflow) -> None:
    """Return if the draft may be registered as a new workflow, or as a revision of the holder of its DAG id."""
    expected = command.expected_revision
    if holder is None:
        if expected is not None:
            raise WorkflowNotFound(draft.dataset_name)
        return
    is_same_name = holder.dataset_name == draft.dataset_name
    if is_same_name and expected is not None and holder.revision != expected:
        raise RevisionMismatch(draft.dataset_name, expected, holder.revision)
    may_replace = command.force or expected is not None or holder.phase is Phase.FAILED
    if not is_same_name or not may_replace or holder.removal is not None:
        raise WorkflowAlreadyExists(draft.dataset_name, holder=holder.dataset_name, dag_id=draft.dag_id)


def revise(
    holder: Workflow, draft: Workflow, caller: Caller, context: Context, *, restored_from: int | None = None
) -> Workflow:
    """Record the spec of ``draft`` as the next revision of a workflow, and wait as a registration does.

    Args:
        holder: the existing workflow.
        draft: the workflow with the new spec.
        caller: the author of the revision.
        context: the ports and the configuration.
        restored_from: the number of the revision whose spec this is, for a restore.

    Raises:
        ConcurrentUpdate: another process has just changed the workflow.
    """
    action = Action.REGISTER if restored_from is None else Action.RESTORE
    now = context.clock.now()
    if (draft.yaml, draft.source_type) != (holder.yaml, holder.source_type) or holder.phase is Phase.FAILED:
        revised = holder.revised(draft, now)
        revision = Revision(
            number=revised.revision, yaml=revised.yaml, by=caller.name, at=now, restored_from=restored_from
        )
        act = on_workflow(caller, action, now, revised, before=holder)
        holder = context.db.workflows.revise_workflow(revised, revision, act=act)
    else:
        context.db.audit.append(on_workflow(caller, action, now, holder, before=holder))
    return reconcile_workflow(holder, context, within=context.policy.register_wait)


def draft_of(command: RegisterWorkflow, context: Context, now: datetime) -> Workflow:
    """Build the requested workflow, validated as far as possible without another system."""
    name = check_dataset_name(command.dataset_name)
    if is_sentinel(dag_id_for(name)):
        raise InvalidRequest("is the name of a loader file in Airflow; choose another one", field="dataset_name")
    rules = context.policy.rules
    timezone = command.schedule.timezone if command.schedule else None
    given_spec = parse_spec(command.yaml_content, dataset_name=name, timezone=timezone, rules=rules)
    schedule = command.schedule or (Schedule(**given_spec.schedule.model_dump()) if given_spec.schedule else None)
    owner = command.owner or given_spec.owner
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
        id=uuid7(now),
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
