"""Read one run, as the worker mirrored it or as Airflow reports it now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.names import check_run_id
from workflow_core.domain.run import Run, RunStatus, Submission
from workflow_core.errors import AirflowRefused, Unavailable, WorkflowRunNotFound
from workflow_core.usecases.reconcile.runs import poll

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.conditions import AirflowState
    from workflow_core.usecases.context import Context

    Key = tuple[str, str]


_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class RunView:
    """A run and what goes with it in answers. ``stale``: Airflow does not answer, so this is from ``observed_at``. ``held`` says why a run
    does not go on whose DAG is paused.
    """

    run: Run
    logs_url: str
    stale: bool = False
    observed_at: datetime | None = None
    held: str | None = None


def show_run(run_id: str, context: Context) -> RunView:
    """The run as Airflow has it now; as it was last seen, marked stale, if Airflow does not answer. Where the worker follows Airflow,
    what it saw is what Airflow has.

    Raises:
        InvalidRequest: no run can have this id.
        WorkflowRunNotFound: there is none.
    """
    run = context.db.workflows.run(check_run_id(run_id))
    if run is None:
        raise WorkflowRunNotFound(run_id)
    stale = False
    state = context.db.observations.airflow_state()
    if not run.settled and _is_followed(run, state, context):
        stale = state.is_stale
    elif not run.settled:
        try:
            run = poll(run, context)
        except (Unavailable, AirflowRefused) as error:
            _log.warning("%s is told as last seen: %s", run.run_id, error.message)
            stale = True
    url = context.airflow.logs_url(run.dag_id, run.airflow_run_id)
    known = [moment for moment in (run.observed_at, state.reached_at) if moment is not None and run.observed_at]
    return RunView(run=run, logs_url=url, stale=stale, observed_at=max(known, default=None), held=_held(run, context))


def _held(run: Run, context: Context) -> str | None:
    """Why a run in Airflow does not go on, if its DAG was last seen to be paused there."""
    if run.settled or run.submission is not Submission.SUBMITTED or run.stop is not None:
        return None
    seen = context.db.observations.observations([run.workflow_id]).get(run.workflow_id)
    if seen is None or not seen.is_paused:
        return None
    what = "its started tasks end, the rest waits" if run.status is RunStatus.RUNNING else "it stays queued"
    return f"The DAG is paused in Airflow: {what} until `dli workflow unpause {run.dataset_name}`."


def _is_followed(run: Run, state: AirflowState, context: Context) -> bool:
    """Whether the worker has seen it with its tasks, and would have, had it changed since."""
    was_seen = run.submission is Submission.SUBMITTED and run.progress is not None
    return was_seen and state.is_followed(context.clock.now(), context.policy.fresh_for)
