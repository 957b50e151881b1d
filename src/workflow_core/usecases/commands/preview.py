"""Preview a registration: the changes that it would make, and the next fire times. Nothing is recorded."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.authorization import Verb, may
from workflow_core.domain.forecast import Change, Preview
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import InvalidRequest, Problem
from workflow_core.usecases.commands.register import draft_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.commands.register import RegisterWorkflow
    from workflow_core.usecases.context import Context


PREVIEW_COUNT: Final = 5
"""Number of fire times that a preview contains for each schedule."""


def preview(command: RegisterWorkflow, context: Context) -> Preview:
    """Return the changes that registering this spec would make; nothing is stored.

    Raises:
        InvalidRequest, InvalidWorkflowSpec, InvalidCronExpression: the spec cannot be registered.
        WorkflowPermissionDenied: as for a registration.
    """
    now = context.clock.now()
    draft = draft_of(command, context, now)
    holder = context.db.workflows.workflow_by_dag(draft.dag_id)
    if holder is not None and not may(command.caller, Verb.VIEW, holder):
        msg = "is not available; choose another one"
        raise InvalidRequest.of([Problem(field="dataset_name", message=msg)])
    if holder is not None and holder.dataset_name != draft.dataset_name:
        msg = f"would have the DAG id {draft.dag_id!r} in Airflow, which {holder.dataset_name!r} already has"
        raise InvalidRequest.of([Problem(field="dataset_name", message=msg)])
    if holder is not None and holder.source_type is SourceType.CODE:
        msg = "is published as CODE; a CI pipeline owns it"
        raise InvalidRequest.of([Problem(field="dataset_name", message=msg)])
    before = "" if holder is None else holder.yaml
    lines = unified_diff(before.splitlines(), draft.yaml.splitlines(), "registered", "new", lineterm="")
    return Preview(
        draft=draft,
        current=holder,
        changes=() if holder is None else _changes(holder, draft),
        diff="\n".join(lines),
        fires=draft.fires(now, PREVIEW_COUNT),
        fires_now=() if holder is None else holder.fires(now, PREVIEW_COUNT),
    )


def _changes(before: Workflow, after: Workflow) -> Sequence[Change]:
    old, new = _flat_fields(before), _flat_fields(after)
    names = dict.fromkeys([*old, *new])
    return [
        Change(field=name, before=old.get(name), after=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _flat_fields(workflow: Workflow) -> Mapping[str, Any]:
    """Return the fields of a spec by their dotted names, and each task under its id."""
    document = json.loads(workflow.spec.model_dump_json(exclude_none=True))
    document["schedule"] = {"cron": workflow.schedule.cron, "timezone": workflow.schedule.timezone}
    tasks = {task["task_id"]: task for task in document.pop("tasks", [])}
    fields: dict[str, Any] = {}
    for name, value in document.items():
        parts = value.items() if isinstance(value, dict) and value and name in {"schedule", "params"} else [("", value)]
        fields |= {f"{name}.{part}" if part else name: item for part, item in parts}
    return fields | {f"tasks.{task_id}": task for task_id, task in tasks.items()}
