"""Look at runs in Airflow: one run when somebody asks, all changes when the worker follows."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from workflow_core.domain.names import check_run_id
from workflow_core.domain.run import Run, Submission, run_date_of
from workflow_core.errors import (
    AirflowRefused,
    RunAlreadyExists,
    Unavailable,
    WorkflowNotFound,
    WorkflowRunNotFound,
)
from workflow_core.usecases.submit import record_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.conditions import AirflowState
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

FIRST_LOOK_BACK: Final = timedelta(days=1)
"""How far a new installation looks back in Airflow for runs that it does not know."""


@frozen(kw_only=True)
class RunView:
    """A run and what goes with it in answers. ``stale``: Airflow does not answer, so this is from ``observed_at``."""

    run: Run
    logs_url: str
    stale: bool = False
    observed_at: datetime | None = None


def show_run(run_id: str, context: Context) -> RunView:
    """The run as Airflow has it now; as it was last seen, marked stale, if Airflow does not answer. Where the worker follows Airflow,
    what it saw is what Airflow has.

    Raises:
        InvalidRequest: no run can have this id.
        WorkflowRunNotFound: there is none.
    """
    run = context.workflows.run(check_run_id(run_id))
    if run is None:
        raise WorkflowRunNotFound(run_id)
    stale = False
    state = context.workflows.airflow_state()
    if not run.settled and _is_followed(run, state, context):
        stale = state.is_stale
    elif not run.settled:
        try:
            run = look_at(run, context)
        except (Unavailable, AirflowRefused) as error:
            _log.warning("%s is told as last seen: %s", run.run_id, error.message)
            stale = True
    url = context.airflow.logs_url(run.dag_id, run.airflow_run_id)
    known = [moment for moment in (run.observed_at, state.reached_at) if moment is not None and run.observed_at]
    return RunView(run=run, logs_url=url, stale=stale, observed_at=max(known, default=None))


def _is_followed(run: Run, state: AirflowState, context: Context) -> bool:
    """Whether the worker has seen it with its tasks, and would have, had it changed since."""
    was_seen = run.submission is Submission.SUBMITTED and run.progress is not None
    return was_seen and state.is_followed(context.clock.now(), context.policy.fresh_for)


def look_at(run: Run, context: Context) -> Run:
    """The run as Airflow has it now, recorded."""
    key = (run.dag_id, run.airflow_run_id)
    at = context.clock.now()
    seen = context.airflow.run(*key)
    if seen is not None:
        return record_look(run, run.observed(seen, context.airflow.tasks([key]).get(key, ()), at), context)
    if run.submission in {Submission.SUBMITTED, Submission.RETRYING}:
        return record_look(run, run.gone(at), context)
    return run  # on its way: the worker sends it


def look_whether_there(run: Run, context: Context) -> Run:
    """Whether Airflow still has an active run, recorded with the time of the look, so that others have their turn; one request."""
    at = context.clock.now()
    seen = context.airflow.run(run.dag_id, run.airflow_run_id)
    return record_run(run.gone(at) if seen is None else run.observed(seen, None, at), context)


def record_look(before: Run, after: Run, context: Context) -> Run:
    """Save what was seen if it differs in more than the time of the look."""
    if evolve(after, observed_at=before.observed_at) == before:
        return after
    return record_run(after, context)


def follow_changes(context: Context) -> int:
    """Take over everything that changed in Airflow since the last call; returns how many runs were looked at.

    Scheduled runs and runs started in Airflow's own UI appear in the history by this. Runs of DAGs that are not ours are passed over.
    """
    since = context.workflows.observed_until() or context.clock.now() - FIRST_LOOK_BACK
    at = context.clock.now()
    changed = context.airflow.changed_runs(since)
    known = context.workflows.runs_by_airflow_id([(seen.dag_id, seen.run_id) for seen in changed.runs])
    new = [seen for seen in changed.runs if (seen.dag_id, seen.run_id) not in known]
    owners = {dag_id: context.workflows.workflow_by_dag(dag_id) for dag_id in {seen.dag_id for seen in new}}
    adopted = [(seen, owner) for seen in new if (owner := owners[seen.dag_id]) is not None]
    keys = [*known, *((seen.dag_id, seen.run_id) for seen, _ in adopted)]
    tasks = context.airflow.tasks(keys) if keys else {}
    for seen in changed.runs:
        run = known.get((seen.dag_id, seen.run_id))
        if run is not None:
            record_look(run, run.observed(seen, tasks.get((seen.dag_id, seen.run_id)), at), context)
    for seen, owner in adopted:
        _adopt(seen, tasks.get((seen.dag_id, seen.run_id)), owner, context)
    context.workflows.mark_observed(changed.until)
    return len(keys)


def _adopt(seen: AirflowRun, tasks: Sequence[TaskState] | None, owner: Workflow, context: Context) -> None:
    """Remember a run that Airflow made without us, under an id of ours that says when it fired."""
    now = context.clock.now()
    fired = seen.run_after or seen.logical_date or seen.queued_at or seen.started_at or now
    while True:
        run = Run(
            run_id=context.run_ids.next(owner.dataset_name, fired),
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
            return context.workflows.add_run(run)
        except RunAlreadyExists:
            if context.workflows.runs_by_airflow_id([(seen.dag_id, seen.run_id)]):
                return None  # another worker has adopted it
        except WorkflowNotFound:
            return None


def _storable(value: Any) -> Any:
    """What Airflow was given, less what no database of ours can hold: this API refuses such values, Airflow takes them."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
