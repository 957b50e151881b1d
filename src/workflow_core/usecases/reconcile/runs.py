"""Look at runs in Airflow: one run when somebody asks, all changes when the worker follows."""

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

ACTIVE: Final = 1000
"""Active runs that a pass follows the tasks of; of more, those observed longest ago."""

TASKS: Final = 80
"""So many tasks a pass reads, those included that it has to: with new runs, of which nobody knows how many they have, they still fit into
one page of Airflow's answers.
"""

TASKS_OF_NEW: Final = 5
"""Tasks that a run is taken to have of which that is not known."""

COUNTED_AGAIN: Final = timedelta(seconds=5)
"""So long after a look at an active run nobody looks at it again without need."""

FIRST_LOOK_BACK: Final = timedelta(days=1)
"""How far a new installation looks back in Airflow for runs that it does not know."""


def poll(run: Run, context: Context) -> Run:
    """The run as Airflow has it now, recorded."""
    key = (run.dag_id, run.airflow_run_id)
    at = context.clock.now()
    seen = context.airflow.run(*key)
    if seen is not None:
        return record_poll(run, run.observed(seen, context.airflow.tasks([key]).get(key, ()), at), context)
    if run.submission in {Submission.SUBMITTED, Submission.RETRYING}:
        return record_poll(run, run.gone(at), context)
    return run  # on its way: the worker sends it


def poll_presence(run: Run, context: Context) -> Run:
    """Whether Airflow still has an active run, recorded with the time of the look, so that others have their turn; one request."""
    at = context.clock.now()
    seen = context.airflow.run(run.dag_id, run.airflow_run_id)
    return record_run(run.gone(at) if seen is None else run.observed(seen, None, at), context)


def record_poll(before: Run, after: Run, context: Context) -> Run:
    """Save what was seen if it differs in more than the time of the look."""
    if evolve(after, observed_at=before.observed_at) == before:
        return after
    return record_run(after, context)


@frozen(kw_only=True)
class Followed:
    """What one pass saw: how many runs it looked at, the active ones, observed longest ago first, and those of them that have no tasks,
    as a run that somebody deleted.
    """

    looked_at: int
    active: Sequence[Run]
    without_tasks: Sequence[Run]

    @property
    def has_asked_all(self) -> bool:
        """Whether it needed all of its requests."""
        return bool(self.active) and self.looked_at > 0


def follow_changes(context: Context) -> Followed:
    """Take over everything that changed in Airflow since the last call.

    Scheduled runs and runs started in Airflow's own UI appear in the history by this. Runs of DAGs that are not ours are passed over.
    Airflow does not say that a run changed when only its tasks did. So of the active runs those are counted anew of which a task has
    ended; the others in turn, a few in each pass: a task that was cleared, and a run that was deleted, are told by nothing else.
    """
    since = context.db.observations.observed_until() or context.clock.now() - FIRST_LOOK_BACK
    at = context.clock.now()
    changed = context.airflow.changed_runs(since)
    known = context.db.workflows.runs_by_airflow_id([(seen.dag_id, seen.run_id) for seen in changed.runs])
    new = [seen for seen in changed.runs if (seen.dag_id, seen.run_id) not in known]
    owners = {dag_id: context.db.workflows.workflow_by_dag(dag_id) for dag_id in {seen.dag_id for seen in new}}
    adopted = [(seen, owner) for seen in new if (owner := owners[seen.dag_id]) is not None]
    active = {(run.dag_id, run.airflow_run_id): run for run in context.db.workflows.runs_to_poll(ACTIVE)}
    moved = context.airflow.runs_with_ended_tasks(list(active), since) if active else ()
    keys = list(dict.fromkeys([*known, *((seen.dag_id, seen.run_id) for seen, _ in adopted), *moved]))
    keys += _in_turn(
        [run for key, run in active.items() if key not in keys], at, room=TASKS - _rows(keys, known, active)
    )
    tasks = context.airflow.tasks(keys) if keys else {}
    for seen in changed.runs:
        run = known.get((seen.dag_id, seen.run_id))
        if run is not None:
            record_poll(run, run.observed(seen, tasks.get((seen.dag_id, seen.run_id)), at), context)
    for seen, owner in adopted:
        _adopt(seen, tasks.get((seen.dag_id, seen.run_id)), owner, context)
    counted = [key for key in keys if key in active and key not in known]
    for key in counted:
        if key in tasks:
            record_run(active[key].counted(tasks[key], at), context)
    context.db.observations.save_observed_until(changed.until)
    without_tasks = [active[key] for key in counted if key not in tasks]
    return Followed(looked_at=len(keys), active=list(active.values()), without_tasks=without_tasks)


def _rows(keys: Iterable[Key], *known: Mapping[Key, Run]) -> int:
    """How many tasks these runs have, as far as is known."""
    return sum(next((_tasks_of(runs[key]) for runs in known if key in runs), TASKS_OF_NEW) for key in keys)


def _tasks_of(run: Run) -> int:
    return TASKS_OF_NEW if run.progress is None else max(1, run.progress.total_tasks)


def _in_turn(runs: Iterable[Run], at: datetime, *, room: int) -> Iterator[Key]:
    """The first of these runs, observed longest ago, that were not observed a moment ago and whose tasks have room."""
    for run in runs:
        room -= _tasks_of(run)
        if room < 0 or (run.observed_at is not None and at - run.observed_at < COUNTED_AGAIN):
            return
        yield run.dag_id, run.airflow_run_id


def _adopt(seen: AirflowRun, tasks: Sequence[TaskState] | None, owner: Workflow, context: Context) -> None:
    """Remember a run that Airflow made without us, under an id of ours that says when it fired."""
    now = context.clock.now()
    fired = seen.run_after or seen.logical_date or seen.queued_at or seen.started_at or now
    with context.run_ids.turn(owner.dataset_name, fired) as turn:
        while True:
            run = Run(
                run_id=turn.run_id,
                airflow_run_id=seen.run_id,
                workflow_id=owner.id,
                dataset_name=owner.dataset_name,
                dag_id=seen.dag_id,
                run_type=seen.run_type,
                status=seen.status,
                submission=Submission.SUBMITTED,
                triggered_by=seen.triggered_by or "airflow",
                params=_storable(seen.conf),
                run_date=run_date_of(seen.conf, seen.logical_date or fired, owner.schedule.zone),
                accepted_at=seen.queued_at or fired,
                started_at=fired,
            ).observed(seen, tasks, now)
            try:
                context.db.workflows.add_run(run)
            except RunAlreadyExists:
                if context.db.workflows.runs_by_airflow_id([(seen.dag_id, seen.run_id)]):
                    return  # another worker has adopted it: under which number is not known
                turn.taken()
            except WorkflowNotFound:
                return
            else:
                turn.taken()
                return


def _storable(value: Any) -> Any:
    """What Airflow was given, less what no database of ours can hold: this API refuses such values, Airflow takes them."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
