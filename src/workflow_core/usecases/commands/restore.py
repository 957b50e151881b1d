"""Restore the spec of an earlier revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import parse_spec
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import LoaderNotInstalled, RevisionMismatch, WorkflowPermissionDenied
from workflow_core.usecases.commands.register import check_author, revise
from workflow_core.usecases.context import require_revision

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class RestoreRevision:
    """Command: restore the spec of an earlier revision; ``expected_revision`` as for a registration."""

    caller: Caller
    dataset_name: str
    number: int
    expected_revision: int | None = None


def restore(command: RestoreRevision, context: Context) -> Workflow:
    """Register the spec of an earlier revision again, as the next revision; the history is kept.

    Raises:
        InvalidRequest, WorkflowNotFound, RevisionNotFound: the name is invalid, or the workflow or the revision does
            not exist.
        InvalidWorkflowSpec: the spec is no longer valid under the current rules.
        WorkflowPermissionDenied: the workflow is CODE.
        PermissionDenied: the caller may not register the restored spec.
        RevisionMismatch: the workflow is at another revision than expected.
        AirflowUnavailable, StorageUnavailable, DatabaseUnavailable, LoaderNotInstalled: nothing was recorded.
    """
    workflow = context.require(command.dataset_name)
    if workflow.source_type is SourceType.CODE:
        msg = f"Workflow {workflow.dataset_name!r} is CODE: its spec is the file in the object store."
        raise WorkflowPermissionDenied(msg)
    if command.expected_revision not in {None, workflow.revision}:
        raise RevisionMismatch(workflow.dataset_name, command.expected_revision or 0, workflow.revision)
    revision = require_revision(workflow, command.number, context)
    spec = parse_spec(revision.yaml, dataset_name=workflow.dataset_name, rules=context.policy.rules)
    schedule = Schedule(**spec.schedule.model_dump()) if spec.schedule else workflow.schedule
    sentinel = context.sentinel_of(workflow)
    if context.airflow.dag(sentinel) is None:
        raise LoaderNotInstalled(sentinel)
    context.storage.stat(workflow.source_type, workflow.dataset_name)
    draft = evolve(workflow, spec=spec, yaml=revision.yaml, schedule=schedule, owner=spec.owner or workflow.owner)
    check_author(command.caller, draft)
    return revise(workflow, draft, command.caller, context, restored_from=revision.number)
