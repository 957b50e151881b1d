"""Have a workflow that is being unregistered leave the object store and Airflow: repeatable steps, one pass after the other."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import DagNotFound
from workflow_core.usecases.reconcile.runs import follow_changes, poll
from workflow_core.usecases.reconcile.stop import end, have_ended, tell_how_it_ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

REASON: Final = "The workflow was unregistered."

_AT_WORK: Final = frozenset({"running", "restarting"})
"""States of a task that has a process."""


def teardown(workflow: Workflow, context: Context) -> Workflow:
    """Pause the DAG, tell its runs to stop, remove the YAML: then the name is free. Safe to repeat.

    The tasks of a CODE workflow that are at work end by themselves, over as many passes as that takes.
    """
    with suppress(DagNotFound):  # then nothing of it can start either
        context.airflow.set_paused(workflow.dag_id, paused=True)
    workflow = context.db.workflows.save_workflow(workflow.pause_confirmed(paused=True))
    follow_changes(context)  # from now on the schedule makes no more runs; those that it has made are known now
    runs = list(context.db.workflows.active_runs(workflow))
    if workflow.source_type is SourceType.CODE:
        runs, waits = _wound_up(runs, context)
        if waits:
            return workflow
    for run in runs:
        by = workflow.removal.by if workflow.removal else "anonymous"
        stopping = run.stopping(by, REASON, context.clock.now())
        if stopping is not run:
            run = context.db.workflows.save_run(stopping)  # noqa: PLW2901 - the same run, as it is now
        if run.status is RunStatus.STOPPING:
            end(run, context, leaves=True)
    workflow = context.db.workflows.save_workflow(
        workflow
    )  # nobody else goes on with it, and its name is still its own
    if workflow.source_type is SourceType.MANUAL:
        context.storage.delete(workflow.source_type, workflow.dataset_name)
    context.request_parse(workflow)
    return context.db.workflows.save_workflow(workflow.left(context.clock.now()))


def _wound_up(runs: Sequence[Run], context: Context) -> tuple[list[Run], bool]:
    """The runs that are left to stop, and whether a task of one is at work: that one is waited for.

    Nobody asked to stop the runs of a CODE workflow, its file went. Without the file no further task can start, and Airflow does not even
    notice that all tasks of a run have ended: it is told how the run ended.
    """
    left: list[Run] = []
    waits = False
    for known in runs:
        key = (known.dag_id, known.airflow_run_id)
        run = poll(known, context) if known.stop is None else known
        if run.settled:
            continue
        left.append(run)
        states = () if run.stop else context.airflow.tasks([key]).get(key, ())
        waits |= any(task.state in _AT_WORK for task in states)
        if have_ended(states):
            left[-1:] = [] if tell_how_it_ended(run, states, context).settled else [run]
    return left, waits


def await_dag_removal(workflow: Workflow, context: Context) -> Workflow:
    """Wait, over many passes, until Airflow has dropped the DAG; a successor of the same DAG id takes it over.

    A write of the YAML that somebody gave up waiting for may have arrived after the YAML was removed: then that is done again.
    """
    if context.db.workflows.workflow_by_dag(workflow.dag_id) is None:
        place = (workflow.source_type, workflow.dataset_name)
        if workflow.source_type is SourceType.MANUAL and context.storage.stat(*place) is not None:
            context.storage.delete(*place)
        context.request_parse(workflow)
        if context.airflow.dag(workflow.dag_id) is not None:
            return workflow
    return context.db.workflows.save_workflow(workflow.gone(context.clock.now()))
