"""Explanations of why a workflow or run does not run, derived from recorded facts alone."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from workflow_core.domain.conditions import ConditionType
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.conditions import Condition
    from workflow_core.domain.run import Run, TaskState
    from workflow_core.domain.workflow import Workflow


class ReasonCode(StrEnum):
    """The code of a reason. The types of a workflow's conditions are also codes."""

    UNREGISTERING = "unregistering"
    PAUSED = "paused"
    AIRFLOW_UNHEALTHY = "airflow_unhealthy"
    WAITING_FOR_SCHEDULE = "waiting_for_schedule"
    NO_NEXT_RUN = "no_next_run"
    UNREGISTERED = "unregistered"
    ENDED = "ended"
    STOPPING = "stopping"
    RETRYING = "retrying"
    IN_BACKFILL = "in_backfill"
    ON_ITS_WAY = "on_its_way"
    QUEUED = "queued"
    NOT_DUE = "not_due"
    TASK = "task"
    BETWEEN_TASKS = "between_tasks"
    HELD = "held"


@frozen(kw_only=True)
class Reason:
    """One reason: its code, a message, and the time since when it holds, if known."""

    code: str
    message: str
    since: datetime | None = None


@frozen(kw_only=True)
class WorkflowFacts:
    """The facts about a workflow.

    ``unhealthy`` are the components of Airflow that report that they are unhealthy; ``is_paused``: its DAG is paused in Airflow.
    """

    workflow: Workflow
    conditions: Sequence[Condition] = ()
    unhealthy: Sequence[str] = ()
    next_run: datetime | None = None
    is_paused: bool = False


@frozen(kw_only=True)
class RunFacts:
    """The facts about a run.

    ``owner`` None: its workflow is no longer registered. ``running`` is the number of other running runs of the workflow.
    """

    run: Run
    owner: WorkflowFacts | None
    tasks: Sequence[TaskState] = field(default=())
    running: int = 0
    now: datetime


_NEEDED: Final = {"scheduler": "starts no runs", "dag_processor": "loads no changes of DAGs"}
_AT_WORK: Final = frozenset({"running", "restarting"})
_TASK: Final = {
    "running": "runs",
    "restarting": "is being restarted",
    "up_for_retry": "has failed and waits for its next try",
    "up_for_reschedule": "waits for its next check",
    "deferred": "waits for an event outside Airflow",
    "queued": "waits for a free worker",
    "scheduled": "waits for a free slot in its pool",
}


def explain_workflow(facts: WorkflowFacts) -> tuple[Reason, ...]:
    """Return the obstacles of a workflow, the most important first; without any, its next fire time."""
    if obstacles := _obstacles(facts):
        return obstacles
    if facts.next_run is None:
        return (
            _reason(ReasonCode.NO_NEXT_RUN, "Nothing prevents it from running, but its schedule never fires again."),
        )
    text = f"Nothing prevents it from running. It fires next at {_moment(facts.next_run)}."
    return (_reason(ReasonCode.WAITING_FOR_SCHEDULE, text),)


def _obstacles(facts: WorkflowFacts) -> tuple[Reason, ...]:
    workflow, reasons = facts.workflow, []
    if workflow.phase is Phase.UNREGISTERING and workflow.removal is not None:
        removal = workflow.removal
        reasons.append(_reason(ReasonCode.UNREGISTERING, f"{removal.by} is unregistering it.", removal.at))
    if workflow.pause is not None:
        why = f": {workflow.pause.reason}" if workflow.pause.reason else ", without a reason"
        reasons.append(_reason(ReasonCode.PAUSED, f"{workflow.pause.by} paused it{why}.", workflow.pause.at))
    reasons += [
        Reason(code=condition.type.value, message=condition.message, since=condition.since)
        for condition in facts.conditions
    ]
    reasons += [
        _reason(ReasonCode.AIRFLOW_UNHEALTHY, f"Airflow's {part.replace('_', ' ')} is not healthy: it {_NEEDED[part]}.")
        for part in facts.unhealthy
        if part in _NEEDED
    ]
    return tuple(reasons)


def explain_run(facts: RunFacts) -> tuple[Reason, ...]:
    """Return the state of a run and what it waits for."""
    run = facts.run
    if run.status.is_final:
        why = f": {run.reason}" if run.reason else ""
        return (_reason(ReasonCode.ENDED, f"It has ended, {run.status}{why}.", run.ended_at),)
    obstacles = _unregistered() if facts.owner is None else _obstacles(facts.owner)
    if run.status is RunStatus.STOPPING and run.stop is not None:
        text = f"{run.stop.by} requested its stop; it is stopped when the last of its tasks has ended."
        return (_reason(ReasonCode.STOPPING, text, run.stop.at), *obstacles)
    if run.submission is Submission.RETRYING and run.retry is not None:
        text = f"{run.retry.by} requested its retry; Airflow has not been observed to begin it yet."
        return (_reason(ReasonCode.RETRYING, text, run.retry.at), *obstacles)
    if run.submission is not Submission.SUBMITTED:
        return (*obstacles, _on_its_way(run))
    return _in_airflow(facts, obstacles)


def _in_airflow(facts: RunFacts, obstacles: tuple[Reason, ...]) -> tuple[Reason, ...]:
    if facts.owner is not None and facts.owner.is_paused:
        working = [task for task in facts.tasks if task.state in _AT_WORK]
        others = [reason for reason in obstacles if reason.code != ConditionType.RUNS_HELD]  # this run is one of those
        return (*_at_work(working), *others, _held(facts.run))
    if facts.run.status is RunStatus.RUNNING:
        return _at_work(facts.tasks) or (
            *obstacles,
            _reason(ReasonCode.BETWEEN_TASKS, "It is running; Airflow is about to choose its next task."),
        )
    return (*obstacles, _queued(facts))


def _unregistered() -> tuple[Reason, ...]:
    return (_reason(ReasonCode.UNREGISTERED, "Its workflow is no longer registered."),)


def _on_its_way(run: Run) -> Reason:
    if run.backfill_id is not None:
        return _reason(
            ReasonCode.IN_BACKFILL, f"It waits for its turn in the backfill {run.backfill_id}.", run.accepted_at
        )
    sent = f"was last sent at {_moment(run.sent_at)}" if run.sent_at else "has not been sent yet"
    return _reason(ReasonCode.ON_ITS_WAY, f"It is on its way to Airflow: it {sent}.", run.accepted_at)


def _held(run: Run) -> Reason:
    waits = "The rest of it waits" if run.status is RunStatus.RUNNING else "It is queued in Airflow and waits"
    text = (
        f"{waits}: Airflow starts no tasks of a paused DAG. `dli workflow unpause {run.dataset_name}` lets it continue."
    )
    return _reason(ReasonCode.HELD, text, run.accepted_at)


def _queued(facts: RunFacts) -> Reason:
    run = facts.run
    if run.logical_date is not None and run.logical_date > facts.now:
        text = f"It is queued in Airflow, and its date is in the future: {_moment(run.logical_date)}."
        return _reason(ReasonCode.NOT_DUE, text, run.accepted_at)
    if facts.running:
        runs = "1 other run is running" if facts.running == 1 else f"{facts.running} other runs are running"
        text = f"It is queued in Airflow: {runs}, and Airflow limits concurrent runs (max_active_runs)."
        return _reason(ReasonCode.QUEUED, text, run.accepted_at)
    return _reason(ReasonCode.QUEUED, "It is queued in Airflow, whose scheduler is about to start it.", run.accepted_at)


def _at_work(tasks: Sequence[TaskState]) -> tuple[Reason, ...]:
    reasons = []
    for task in tasks:
        if task.state in _TASK:
            tries = f" (try {task.try_number})" if task.try_number > 1 or task.state == "up_for_retry" else ""
            text = f"Task {task.task_id!r} {_TASK[task.state]}{tries}."
            reasons.append(_reason(ReasonCode.TASK, text, task.started_at))
    return tuple(reasons)


def _reason(code: ReasonCode, message: str, since: datetime | None = None) -> Reason:
    return Reason(code=code.value, message=message, since=since)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
