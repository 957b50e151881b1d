"""Start a backfill: decide for each date whether it runs, record all runs, and submit the first."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, frozen

from workflow_core.domain.audit import Action, on_backfill
from workflow_core.domain.backfill import (
    Backfill,
    BackfillView,
    DesiredState,
    OnFailure,
    Reprocess,
    SkippedDate,
    StateRequest,
    backfill_id_for,
    slot_run_id,
)
from workflow_core.domain.run import DATE_STEP, Run, RunStatus, RunType, Submission
from workflow_core.domain.spec.document import DATE_PARAM
from workflow_core.errors import (
    BackfillAlreadyExists,
    ConcurrentUpdate,
    DatabaseUnavailable,
    InvalidRequest,
    RunAlreadyExists,
)
from workflow_core.usecases.commands.trigger import check_dag, check_params, check_runnable
from workflow_core.usecases.reconcile.backfill import try_to_advance_backfill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

MAX_ACTIVE: Final = 100
"""Maximum value of ``max_active``, which limits the requests to Airflow of one backfill."""

EARLIEST: Final = date(1970, 1, 1)
"""Start date of every DAG, in UTC. In time zones east of it, a run for this very date would have no tasks."""


@frozen(kw_only=True)
class StartBackfill:
    """Command: run a workflow once for each date of a range.

    Attributes:
        start_date: the first date, in the workflow's time zone.
        end_date: the last date, included.
        parallel: whether several runs may be active at a time; otherwise the dates run one after the other.
        max_active: the maximum number of active runs of a parallel backfill; None for the configured default.
        on_failure: None means stop without ``parallel``, and continue with it.
        dry_run: whether to make all checks of a real call and change nothing.
    """

    caller: Caller
    dataset_name: str
    start_date: date
    end_date: date
    params: Mapping[str, Any] = Factory(dict)
    parallel: bool = False
    max_active: int | None = None
    reprocess: Reprocess = Reprocess.NONE
    run_backwards: bool = False
    on_failure: OnFailure | None = None
    dry_run: bool = False


def start_backfill(command: StartBackfill, context: Context) -> BackfillView:
    """Accept a backfill with all its runs, and submit the first of them; the worker submits the rest.

    Raises:
        InvalidRequest: the name, a date, a param or ``max_active`` is invalid.
        WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: runs of the workflow cannot be started now.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    workflow = context.require(command.dataset_name)
    check_runnable(workflow, context)
    _check(command, workflow, context)
    if command.dry_run:
        check_dag(workflow, context)
        backfill, runs, _ = _plan(workflow, command, context)
        return BackfillView(backfill=backfill, runs=runs, now=context.clock.now())
    context.airflow.ping()
    backfill, runs = _accept(workflow, command, context)
    try_to_advance_backfill(backfill, context)
    with suppress(DatabaseUnavailable):  # the backfill is recorded even if it cannot be read now
        runs = context.db.backfills.backfill_runs(backfill.backfill_id)
        backfill = context.db.backfills.backfill(backfill.backfill_id) or backfill
    return BackfillView(backfill=backfill, runs=runs, now=context.clock.now())


def _check(command: StartBackfill, workflow: Workflow, context: Context) -> None:
    """Raise the first problem of the request; after an invalid date, further problems would be meaningless."""
    start, end = command.start_date, command.end_date
    today = context.clock.now().astimezone(workflow.schedule.zone).date()
    limit = context.policy.backfill_max_dates
    if start <= EARLIEST:
        raise InvalidRequest(f"{start} is not after {EARLIEST}", field="start_date")
    if end < start:
        raise InvalidRequest(f"{end} lies before the start_date {start}", field="end_date")
    if end > today:
        raise InvalidRequest(f"{end} lies after today, {today} in {workflow.schedule.timezone}", field="end_date")
    if (date_count := (end - start).days + 1) > limit:
        raise InvalidRequest(f"{start} to {end} are {date_count} dates; at most {limit} are allowed", field="end_date")
    if command.max_active is not None and not command.parallel:
        raise InvalidRequest("needs parallel: otherwise the dates run one after the other", field="max_active")
    if command.max_active is not None and not 1 <= command.max_active <= MAX_ACTIVE:
        raise InvalidRequest(f"{command.max_active} is out of range; 1 to {MAX_ACTIVE} are allowed", field="max_active")
    if DATE_PARAM in command.params:
        raise InvalidRequest("cannot be given: each run of a backfill has its own date", field=f"params.{DATE_PARAM}")
    check_params(workflow.spec, command.params, max_bytes=context.policy.max_params_bytes)


def _accept(workflow: Workflow, command: StartBackfill, context: Context) -> tuple[Backfill, Sequence[Run]]:
    """Record the plan; if another process has changed the workflow or its runs, plan again."""
    nth = 1
    while True:
        backfill, runs, dated = _plan(workflow, command, context, nth=nth)
        try:
            act = on_backfill(command.caller, Action.BACKFILL, backfill.created_at, backfill)
            context.db.backfills.add_backfill(backfill, runs, dated=dated, act=act)
        except (BackfillAlreadyExists, RunAlreadyExists):
            nth += 1
        except ConcurrentUpdate:
            continue
        else:
            return backfill, runs


def _plan(
    workflow: Workflow, command: StartBackfill, context: Context, *, nth: int = 1
) -> tuple[Backfill, Sequence[Run], int]:
    """Return the backfill under the first free id, its runs, and the number of existing runs considered."""
    now = context.clock.now()
    existing = context.db.workflows.dated_runs(workflow, command.start_date, command.end_date)
    latest = {run.run_date: run for run in existing if run.submission not in _NEVER_RAN}
    skipped = {
        day: SkippedDate(date=day, run_id=run.run_id, status=run.status)
        for day, run in latest.items()
        if not _is_reprocessed(run, command.reprocess)
    }
    max_active = command.max_active or context.policy.backfill_max_active
    backfill = Backfill(
        backfill_id=_free_id(command, context, nth),
        workflow_id=workflow.id,
        dataset_name=workflow.dataset_name,
        start_date=command.start_date,
        end_date=command.end_date,
        params=dict(command.params),
        parallel=command.parallel,
        max_active=max_active if command.parallel else 1,
        reprocess=command.reprocess,
        run_backwards=command.run_backwards,
        on_failure=command.on_failure or (OnFailure.CONTINUE if command.parallel else OnFailure.STOP),
        created_by=command.caller.name,
        created_at=now,
        state_request=StateRequest(desired_state=DesiredState.RUN, by=command.caller.name, at=now),
        updated_at=now,
        skipped=tuple(skipped[day] for day in sorted(skipped)),
    )
    taken = {run.logical_date for run in existing}
    days = [day for day in _days(command.start_date, command.end_date) if day not in skipped]
    return backfill, [_slot(workflow, backfill, day, taken, now) for day in days], len(existing)


_NEVER_RAN: Final = frozenset({Submission.CANCELLED, Submission.REFUSED})
"""States of runs that never were in Airflow: their dates have no run yet."""


def _is_reprocessed(run: Run, reprocess: Reprocess) -> bool:
    if reprocess is Reprocess.FAILED:
        return run.status in {RunStatus.FAILED, RunStatus.STOPPED}
    return reprocess is Reprocess.ALL


def _free_id(command: StartBackfill, context: Context, nth: int) -> str:
    while True:
        backfill_id = backfill_id_for(command.dataset_name, command.start_date, command.end_date, nth=nth)
        if context.db.backfills.backfill(backfill_id) is None:
            return backfill_id
        nth += 1


def _days(start: date, end: date) -> Iterator[date]:
    for offset in range((end - start).days + 1):
        yield start + timedelta(days=offset)


def _slot(workflow: Workflow, backfill: Backfill, day: date, taken: set[datetime | None], now: datetime) -> Run:
    """Return the run of one date.

    Its logical date is the first fire time of the schedule on that date, if that has passed; otherwise the beginning of
    the day.
    """
    fired = workflow.schedule.first_on(day)
    logical = fired if fired is not None and fired <= now else workflow.schedule.start_of(day)
    while logical in taken:
        logical += DATE_STEP
    run_id = slot_run_id(backfill.backfill_id, day)
    return Run(
        run_id=run_id,
        airflow_run_id=run_id,
        workflow_id=workflow.id,
        dataset_name=workflow.dataset_name,
        dag_id=workflow.dag_id,
        run_type=RunType.BACKFILL,
        status=RunStatus.PENDING,
        submission=Submission.WAITING,
        triggered_by=backfill.created_by,
        params={**backfill.params, DATE_PARAM: day.isoformat()},
        run_date=day,
        accepted_at=now,
        started_at=now,
        logical_date=logical,
        backfill_id=backfill.backfill_id,
    )
