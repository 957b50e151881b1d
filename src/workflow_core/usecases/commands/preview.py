"""Preview a registration: what it would change, and when the workflow would fire. Nothing is recorded."""

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


PREVIEWED: Final = 5
"""Fire times shown of each schedule."""


def preview(command: RegisterWorkflow, context: Context) -> Preview:
    """What registering this spec would change; nothing is stored anywhere.

    Raises:
        InvalidRequest, InvalidWorkflowSpec, InvalidCronExpression: it could not be registered at all.
        WorkflowPermissionDenied: as for a registration.
    """
    now = context.clock.now()
    draft = draft_of(command, context, now)
    holder = context.db.workflows.workflow_by_dag(draft.dag_id)
    if holder is not None and not may(command.caller, Verb.VIEW, holder):
        msg = "cannot be had: choose another one"
        raise InvalidRequest.of([Problem(field="dataset_name", message=msg)])
    if holder is not None and holder.dataset_name != draft.dataset_name:
        msg = f"would have the DAG id {draft.dag_id!r} in Airflow, as {holder.dataset_name!r} has"
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
        fires=draft.fires(now, PREVIEWED),
        fires_now=() if holder is None else holder.fires(now, PREVIEWED),
    )


def _changes(before: Workflow, after: Workflow) -> Sequence[Change]:
    old, new = _facts(before), _facts(after)
    names = dict.fromkeys([*old, *new])
    return [
        Change(field=name, before=old.get(name), after=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _facts(workflow: Workflow) -> Mapping[str, Any]:
    """The fields of a spec by their dotted names, a task under its id."""
    document = json.loads(workflow.spec.model_dump_json(exclude_none=True))
    document["schedule"] = {"cron": workflow.schedule.cron, "timezone": workflow.schedule.timezone}
    tasks = {task["task_id"]: task for task in document.pop("tasks", [])}
    found: dict[str, Any] = {}
    for name, value in document.items():
        parts = value.items() if isinstance(value, dict) and value and name in {"schedule", "params"} else [("", value)]
        found |= {f"{name}.{part}" if part else name: item for part, item in parts}
    return found | {f"tasks.{task_id}": task for task_id, task in tasks.items()}
