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
    """A run with the additional facts of an answer.

    Attributes:
        stale: whether Airflow does not respond, so that the state is that of ``observed_at``.
        held: why the run does not progress, if its DAG is paused in Airflow.
    """

    run: Run
    logs_url: str
    stale: bool = False
    observed_at: datetime | None = None
    held: str | None = None


def show_run(run_id: str, context: Context) -> RunView:
    """Return a run: the mirrored state if a worker mirrors Airflow, otherwise the state from a poll.

    If Airflow does not respond, the last observed state is returned and marked as stale.

    Raises:
        InvalidRequest: the text is not a run id.
        WorkflowRunNotFound: no run has this id.
    """
    run = context.db.workflows.run(check_run_id(run_id))
    if run is None:
        raise WorkflowRunNotFound(run_id)
    stale = False
    state = context.db.observations.airflow_state()
    if not run.is_settled and _is_followed(run, state, context):
        stale = state.is_stale
    elif not run.is_settled:
        try:
            run = poll(run, context)
        except (Unavailable, AirflowRefused) as error:
            _log.warning("Serving the last known state of %s: %s", run.run_id, error.message)
            stale = True
    url = context.airflow.logs_url(run.dag_id, run.airflow_run_id)
    times = [time for time in (run.observed_at, state.reached_at) if time is not None and run.observed_at]
    return RunView(run=run, logs_url=url, stale=stale, observed_at=max(times, default=None), held=_held(run, context))


def _held(run: Run, context: Context) -> str | None:
    """Return why a submitted run does not progress, if its DAG was last observed as paused in Airflow."""
    if run.is_settled or run.submission is not Submission.SUBMITTED or run.stop is not None:
        return None
    observation = context.db.observations.observations([run.workflow_id]).get(run.workflow_id)
    if observation is None or not observation.is_paused:
        return None
    effect = "its started tasks end, the rest waits" if run.status is RunStatus.RUNNING else "it stays queued"
    return f"The DAG is paused in Airflow: {effect} until `dli workflow unpause {run.dataset_name}`."


def _is_followed(run: Run, state: AirflowState, context: Context) -> bool:
    """Return whether the worker mirrors this run together with its tasks."""
    is_mirrored = run.submission is Submission.SUBMITTED and run.progress is not None
    return is_mirrored and state.is_followed(context.clock.now(), context.policy.fresh_for)
