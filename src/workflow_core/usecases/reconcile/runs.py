"""Poll one run in Airflow, and read all changes of runs since the last pass."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from workflow_core.domain.run import Run, Submission, run_date_of
from workflow_core.errors import RunAlreadyExists, WorkflowNotFound
from workflow_core.usecases.reconcile.submit import record_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

    Key = tuple[str, str]

_log = logging.getLogger(__name__)

ACTIVE_LIMIT: Final = 1000
"""Maximum number of active runs whose tasks one pass follows; if there are more, those observed longest ago."""

TASK_TARGET: Final = 80
"""Target number of tasks that one pass reads, including those of changed runs.

It is low enough that the tasks of new runs, whose number is not known yet, still fit into the same page of Airflow's
response.
"""

ASSUMED_TASKS: Final = 5
"""Assumed number of tasks of a run whose tasks were never read."""

RECOUNT_INTERVAL: Final = timedelta(seconds=5)
"""Minimum interval between two reads of the tasks of an active run that has not changed."""

INITIAL_LOOKBACK: Final = timedelta(days=1)
"""How far into the past a new installation imports runs from Airflow."""


def poll(run: Run, context: Context) -> Run:
    """Poll a run in Airflow, and record its state."""
    key = (run.dag_id, run.airflow_run_id)
    at = context.clock.now()
    airflow_run = context.airflow.run(*key)
    if airflow_run is not None:
        return record_poll(run, run.observed(airflow_run, context.airflow.tasks([key]).get(key, ()), at), context)
    if run.submission in {Submission.SUBMITTED, Submission.RETRYING}:
        return record_poll(run, run.deleted_in_airflow(at), context)
    return run  # not in Airflow yet: the worker sends it


def poll_presence(run: Run, context: Context) -> Run:
    """Check with one request whether Airflow still has an active run.

    The time of the poll is recorded, so that other runs are polled next.
    """
    at = context.clock.now()
    airflow_run = context.airflow.run(run.dag_id, run.airflow_run_id)
    return record_run(
        run.deleted_in_airflow(at) if airflow_run is None else run.observed(airflow_run, None, at), context
    )


def record_poll(before: Run, after: Run, context: Context) -> Run:
    """Save the polled run if it differs from the recorded one in more than the time of the poll."""
    if evolve(after, observed_at=before.observed_at) == before:
        return after
    return record_run(after, context)


@frozen(kw_only=True)
class FollowedChanges:
    """The result of reading the changes once.

    Attributes:
        runs_read: how many runs were read.
        active: the active runs, those observed longest ago first.
        without_tasks: active runs that have no tasks, as is the case for a run that was deleted in Airflow.
    """

    runs_read: int
    active: Sequence[Run]
    without_tasks: Sequence[Run]

    @property
    def has_asked_all(self) -> bool:
        """Whether the pass needed all of its requests."""
        return bool(self.active) and self.runs_read > 0


def follow_changes(context: Context) -> FollowedChanges:
    """Record everything that changed in Airflow since the last call.

    This imports scheduled runs and runs that were started in Airflow's UI. Runs of DAGs that this service does not
    manage are ignored.

    Airflow does not report a run as changed when only its tasks changed. The tasks of an active run are therefore read
    again when one of them has ended. The tasks of the other active runs are read in rotation, a few in each pass,
    because Airflow reports neither a cleared task nor a deleted run.
    """
    since = context.db.observations.observed_until() or context.clock.now() - INITIAL_LOOKBACK
    at = context.clock.now()
    changed = context.airflow.changed_runs(since)
    recorded = context.db.workflows.runs_by_airflow_id([(change.dag_id, change.run_id) for change in changed.runs])
    unrecorded = [change for change in changed.runs if (change.dag_id, change.run_id) not in recorded]
    owners = {
        dag_id: context.db.workflows.workflow_by_dag(dag_id) for dag_id in {change.dag_id for change in unrecorded}
    }
    imported = [(change, owner) for change in unrecorded if (owner := owners[change.dag_id]) is not None]
    active = {(run.dag_id, run.airflow_run_id): run for run in context.db.workflows.runs_to_poll(ACTIVE_LIMIT)}
    with_ended_tasks = context.airflow.runs_with_ended_tasks(list(active), since) if active else ()
    keys = list(
        dict.fromkeys([*recorded, *((change.dag_id, change.run_id) for change, _ in imported), *with_ended_tasks])
    )
    keys += _next_in_rotation(
        [run for key, run in active.items() if key not in keys],
        at,
        room=TASK_TARGET - _task_count(keys, recorded, active),
    )
    tasks = context.airflow.tasks(keys) if keys else {}
    for change in changed.runs:
        run = recorded.get((change.dag_id, change.run_id))
        if run is not None:
            record_poll(run, run.observed(change, tasks.get((change.dag_id, change.run_id)), at), context)
    for change, owner in imported:
        _import_run(change, tasks.get((change.dag_id, change.run_id)), owner, context)
    recounted = [key for key in keys if key in active and key not in recorded]
    for key in recounted:
        if key in tasks:
            record_run(active[key].counted(tasks[key], at), context)
    context.db.observations.save_observed_until(changed.until)
    without_tasks = [active[key] for key in recounted if key not in tasks]
    return FollowedChanges(runs_read=len(keys), active=list(active.values()), without_tasks=without_tasks)


def _task_count(keys: Iterable[Key], *sources: Mapping[Key, Run]) -> int:
    """Return how many tasks these runs have, estimated for runs whose tasks were never read."""
    return sum(next((_expected_tasks(runs[key]) for runs in sources if key in runs), ASSUMED_TASKS) for key in keys)


def _expected_tasks(run: Run) -> int:
    return ASSUMED_TASKS if run.progress is None else max(1, run.progress.total_tasks)


def _next_in_rotation(runs: Iterable[Run], at: datetime, *, room: int) -> Iterator[Key]:
    """Yield the runs observed longest ago whose tasks fit into ``room``, except those observed a moment ago."""
    for run in runs:
        room -= _expected_tasks(run)
        if room < 0 or (run.observed_at is not None and at - run.observed_at < RECOUNT_INTERVAL):
            return
        yield run.dag_id, run.airflow_run_id


def _import_run(airflow_run: AirflowRun, tasks: Sequence[TaskState] | None, owner: Workflow, context: Context) -> None:
    """Import a run that Airflow created, under a run id with the time at which it fired."""
    now = context.clock.now()
    fired = airflow_run.run_after or airflow_run.logical_date or airflow_run.queued_at or airflow_run.started_at or now
    with context.run_ids.reserve(owner.dataset_name, fired) as reservation:
        while True:
            run = Run(
                run_id=reservation.run_id,
                airflow_run_id=airflow_run.run_id,
                workflow_id=owner.id,
                dataset_name=owner.dataset_name,
                dag_id=airflow_run.dag_id,
                run_type=airflow_run.run_type,
                status=airflow_run.status,
                submission=Submission.SUBMITTED,
                triggered_by=airflow_run.triggered_by or "airflow",
                params=_storable(airflow_run.conf),
                run_date=run_date_of(airflow_run.conf, airflow_run.logical_date or fired, owner.schedule.zone),
                accepted_at=airflow_run.queued_at or fired,
                started_at=fired,
            ).observed(airflow_run, tasks, now)
            try:
                context.db.workflows.add_run(run)
            except RunAlreadyExists:
                if context.db.workflows.runs_by_airflow_id([(airflow_run.dag_id, airflow_run.run_id)]):
                    return  # another worker has imported it, under a number unknown here
                reservation.mark_taken()
            except WorkflowNotFound:
                return
            else:
                reservation.mark_taken()
                return


def _storable(value: Any) -> Any:
    """Replace values that the database cannot store.

    This API rejects such values in params; Airflow accepts them.
    """
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
