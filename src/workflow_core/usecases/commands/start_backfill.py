"""Start a backfill: decide what becomes of each date, record all of it, and begin to send."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, frozen

from workflow_core.domain.act import Action, on_backfill
from workflow_core.domain.backfill import (
    Backfill,
    BackfillView,
    OnFailure,
    Reprocess,
    SkippedDate,
    Wanted,
    Wish,
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
from workflow_core.usecases.reconcile.backfill import try_to_advance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

MAX_ACTIVE: Final = 100
"""The largest ``max_active``: what one request sends at once, and what one backfill may ask of Airflow."""

EARLIEST: Final = date(1970, 1, 1)
"""The DAGs start on this day, in UTC: in zones east of it, a run for this very date would have no tasks."""


@frozen(kw_only=True)
class StartBackfill:
    """The wish to run a workflow once for each date from ``start_date`` to ``end_date``, both included, in the workflow's time zone.

    One after the other, unless ``parallel``: then up to ``max_active`` at a time (the policy's, unless given). ``on_failure`` None
    means stop for one after the other, and continue for parallel. ``dry_run`` checks all that a real call would, and changes nothing.
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
    """Accept a backfill with all its runs, and send the first of them to Airflow. What the request does not do, the worker does.

    Raises:
        InvalidRequest: the name, a date, a param or ``max_active`` is wrong.
        WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: there is nothing that could run.
        WorkflowPermissionDenied: a CODE workflow, unless the policy allows it.
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
    try_to_advance(backfill, context)
    with suppress(DatabaseUnavailable):  # it is recorded, whatever the database says now
        runs = context.db.backfills.backfill_runs(backfill.backfill_id)
        backfill = context.db.backfills.backfill(backfill.backfill_id) or backfill
    return BackfillView(backfill=backfill, runs=runs, now=context.clock.now())


def _check(command: StartBackfill, workflow: Workflow, context: Context) -> None:
    """What is wrong with the request, one thing at a time: a wrong date makes everything after it meaningless."""
    start, end = command.start_date, command.end_date
    today = context.clock.now().astimezone(workflow.schedule.zone).date()
    most = context.policy.backfill_max_dates
    if start <= EARLIEST:
        raise InvalidRequest(f"{start} is not after {EARLIEST}", field="start_date")
    if end < start:
        raise InvalidRequest(f"{end} lies before the start_date {start}", field="end_date")
    if end > today:
        raise InvalidRequest(f"{end} lies after today, {today} in {workflow.schedule.timezone}", field="end_date")
    if (number := (end - start).days + 1) > most:
        raise InvalidRequest(f"{start} to {end} are {number} dates; at most {most} are allowed", field="end_date")
    if command.max_active is not None and not command.parallel:
        raise InvalidRequest("needs parallel: otherwise the dates run one after the other", field="max_active")
    if command.max_active is not None and not 1 <= command.max_active <= MAX_ACTIVE:
        raise InvalidRequest(f"{command.max_active} is out of range; 1 to {MAX_ACTIVE} are allowed", field="max_active")
    if DATE_PARAM in command.params:
        raise InvalidRequest("cannot be given: each run of a backfill has its own date", field=f"params.{DATE_PARAM}")
    check_params(workflow.spec, command.params, max_bytes=context.policy.max_params_bytes)


def _accept(workflow: Workflow, command: StartBackfill, context: Context) -> tuple[Backfill, Sequence[Run]]:
    """Record the plan; where somebody else was faster, plan anew."""
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
    """The backfill under the first free id, its runs, and how many runs its dates had when that was decided."""
    now = context.clock.now()
    seen = context.db.workflows.dated_runs(workflow, command.start_date, command.end_date)
    latest = {run.run_date: run for run in seen if run.submission not in _NEVER_RAN}
    skipped = {
        day: SkippedDate(date=day, run_id=there.run_id, status=there.status)
        for day, there in latest.items()
        if not _runs_again(there, command.reprocess)
    }
    lanes = command.max_active or context.policy.backfill_max_active
    backfill = Backfill(
        backfill_id=_free_id(command, context, nth),
        workflow_id=workflow.id,
        dataset_name=workflow.dataset_name,
        start_date=command.start_date,
        end_date=command.end_date,
        params=dict(command.params),
        parallel=command.parallel,
        max_active=lanes if command.parallel else 1,
        reprocess=command.reprocess,
        run_backwards=command.run_backwards,
        on_failure=command.on_failure or (OnFailure.CONTINUE if command.parallel else OnFailure.STOP),
        created_by=command.caller.name,
        created_at=now,
        wish=Wish(wanted=Wanted.RUN, by=command.caller.name, at=now),
        updated_at=now,
        skipped=tuple(skipped[day] for day in sorted(skipped)),
    )
    taken = {run.logical_date for run in seen}
    days = [day for day in _days(command.start_date, command.end_date) if day not in skipped]
    return backfill, [_slot(workflow, backfill, day, taken, now) for day in days], len(seen)


_NEVER_RAN: Final = frozenset({Submission.CANCELLED, Submission.REFUSED})
"""Runs that never were in Airflow: their dates have no run yet."""


def _runs_again(there: Run, reprocess: Reprocess) -> bool:
    if reprocess is Reprocess.FAILED:
        return there.status in {RunStatus.FAILED, RunStatus.STOPPED}
    return reprocess is Reprocess.ALL


def _free_id(command: StartBackfill, context: Context, nth: int) -> str:
    while True:
        found = backfill_id_for(command.dataset_name, command.start_date, command.end_date, nth=nth)
        if context.db.backfills.backfill(found) is None:
            return found
        nth += 1


def _days(start: date, end: date) -> Iterator[date]:
    for number in range((end - start).days + 1):
        yield start + timedelta(days=number)


def _slot(workflow: Workflow, backfill: Backfill, day: date, taken: set[datetime | None], now: datetime) -> Run:
    """The run of one date. Its logical date is when the schedule first fired on that date, if it did; otherwise the day's beginning."""
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
