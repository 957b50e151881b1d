"""Trigger a run now."""

from __future__ import annotations

import json
import logging
import math
from datetime import date
from itertools import count
from typing import TYPE_CHECKING, Any

from attrs import Factory, frozen

from workflow_core.domain.audit import Action, on_run
from workflow_core.domain.names import quoted, run_id_for, unstorable
from workflow_core.domain.run import Run, RunStatus, RunType, Submission, run_date_of
from workflow_core.domain.spec.document import DATE_PARAM
from workflow_core.domain.workflow import Phase, Workflow
from workflow_core.errors import (
    ConcurrentUpdate,
    DatabaseUnavailable,
    InvalidRequest,
    Problem,
    RunAlreadyExists,
    Unavailable,
    WorkflowError,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
)
from workflow_core.usecases.reconcile.submit import send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.spec import WorkflowSpec
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class TriggerRun:
    """Command: run a workflow now. A ``dry_run`` makes all checks of a real call and changes nothing."""

    caller: Caller
    dataset_name: str
    params: Mapping[str, Any] = Factory(dict)
    dry_run: bool = False


def trigger(command: TriggerRun, context: Context) -> Run:
    """Accept a run and submit it to Airflow, under a run id that is assigned before Airflow is called.

    Raises:
        InvalidRequest: the name or a param is invalid.
        WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: runs of the workflow cannot be started now.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    if command.dry_run:
        return _dry_run(command, context)
    run = _accept_current(command, context)
    if run.submission is not Submission.SENDING:
        return run
    try:
        return send(run, context)
    except DatabaseUnavailable as error:  # it is recorded as being sent: the worker polls the result
        _log.warning("The result of sending %s was not recorded: %s", run.run_id, error.message)
        return run


def _dry_run(command: TriggerRun, context: Context) -> Run:
    workflow = context.require(command.dataset_name)
    _check(workflow, command, context)
    check_dag(workflow, context)
    now = context.clock.now()
    return _draft(workflow, command, now, run_id=_free_id(workflow.dataset_name, now, context))


def _free_id(dataset_name: str, now: datetime, context: Context) -> str:
    """Return the id that a real call would give a run now; it is never the id of an existing run."""
    numbered = (run_id_for(dataset_name, now, nth=nth) for nth in count(1))
    return next(run_id for run_id in numbered if context.db.workflows.run(run_id) is None)


def _accept_current(command: TriggerRun, context: Context) -> Run:
    """Accept the run on the basis of the cached workflow; if that is out of date, read the workflow again."""
    cached = context.cache.get(command.dataset_name)
    if cached is not None:
        try:
            return _accept(cached, command, context)
        except Unavailable:
            raise
        except WorkflowError:
            _log.debug("Reading %s again: it may have changed", command.dataset_name)
    while True:
        workflow = context.require(command.dataset_name)
        try:
            run = _accept(workflow, command, context)
        except ConcurrentUpdate:  # it has changed since it was read, for example was paused
            continue
        context.cache.keep(workflow)
        return run


def _check(workflow: Workflow, command: TriggerRun, context: Context) -> None:
    check_runnable(workflow, context)
    check_params(workflow.spec, command.params, max_bytes=context.policy.max_params_bytes)


def check_runnable(workflow: Workflow, context: Context) -> None:
    """Return if runs of this workflow may be started now.

    Raises:
        WorkflowNotFound: the workflow is being unregistered.
        WorkflowPaused: the workflow is paused.
        WorkflowNotRunnable: Airflow could not build its DAG.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
    """
    context.check_execution(workflow)
    if workflow.removal is not None:
        raise WorkflowNotFound(workflow.dataset_name)
    if workflow.phase is Phase.FAILED:
        raise WorkflowNotRunnable(workflow.dataset_name, workflow.phase_reason or "unknown reason")
    if workflow.pause is not None:
        raise WorkflowPaused(workflow.dataset_name)


def check_dag(workflow: Workflow, context: Context) -> None:
    """Check for a dry run that Airflow can run the DAG.

    A DAG that is not served yet is no obstacle: the run would wait for it.
    """
    dag = context.airflow.dag(workflow.dag_id)
    if dag is not None and dag.error:
        raise WorkflowNotRunnable(workflow.dataset_name, dag.error)
    if dag is not None and dag.is_paused:
        raise WorkflowPaused(workflow.dataset_name)


def _accept(workflow: Workflow, command: TriggerRun, context: Context) -> Run:
    """Record the run under the first free id of this second.

    It is recorded as being sent, unless Airflow does not serve the current revision of the spec yet.

    Raises:
        ConcurrentUpdate: the workflow has changed since it was read.
    """
    _check(workflow, command, context)
    context.airflow.ping()
    now = context.clock.now()
    with context.run_ids.reserve(workflow.dataset_name, now) as reservation:
        while True:
            run = _draft(workflow, command, now, run_id=reservation.run_id)
            if workflow.phase is Phase.SERVED:
                run = run.sending(now)
            try:
                act = on_run(command.caller, Action.RUN, now, run)
                context.db.workflows.add_run(run, of_version=workflow.version, act=act)
            except RunAlreadyExists:
                reservation.mark_taken()
                continue
            reservation.mark_taken()
            return run


def _draft(workflow: Workflow, command: TriggerRun, now: datetime, *, run_id: str) -> Run:
    return Run(
        run_id=run_id,
        airflow_run_id=run_id,
        workflow_id=workflow.id,
        dataset_name=workflow.dataset_name,
        dag_id=workflow.dag_id,
        run_type=RunType.MANUAL,
        status=RunStatus.PENDING,
        submission=Submission.WAITING,
        triggered_by=command.caller.name,
        params=dict(command.params),
        run_date=run_date_of(command.params, now, workflow.schedule.zone),
        accepted_at=now,
        started_at=now,
    )


def check_params(spec: WorkflowSpec, params: Mapping[str, Any], *, max_bytes: int) -> None:
    """Return if the params are declared by the spec and have the declared types; a spec without ``params`` accepts any.

    ``date`` is always allowed: it is the date of the run, ``YYYY-MM-DD``.

    Raises:
        InvalidRequest: contains one problem for each invalid param.
    """
    text = json.dumps(params, ensure_ascii=False, allow_nan=True)
    size = len(text.encode("utf-8", errors="surrogatepass"))
    if size > max_bytes:
        msg = f"are {size} bytes long as JSON; at most {max_bytes} are allowed"
        raise InvalidRequest(msg, field="params")
    problems = list(_param_problems(spec, params))
    if problems:
        raise InvalidRequest.of(problems)


def _param_problems(spec: WorkflowSpec, params: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in params.items():
        field = f"params.{name if name.isascii() and name.isprintable() else quoted(name)}"
        declared = spec.declared.get(name)
        if name == DATE_PARAM:
            if not _is_date(value):
                yield Problem(field=field, message=f"{quoted(str(value))} is not a calendar date like '2026-01-31'")
        elif declared is None and spec.params is not None:
            allowed = ", ".join([DATE_PARAM, *spec.params])
            yield Problem(field=field, message=f"is not declared in the workflow's YAML; declared are: {allowed}")
        elif declared is not None and (problem := declared.accepts(value)):
            yield Problem(field=field, message=problem)
        if problem := unstorable(name) or _unstorable(value):
            yield Problem(field=field, message=problem)


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _unstorable(value: object) -> str | None:
    """Return why the database or JSON cannot contain this value; None if both can."""
    if isinstance(value, str):
        return unstorable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a number that JSON can represent"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return "is an integer of more than 64 bits"
    parts: Iterable[object] = ()
    if isinstance(value, dict):
        parts = (part for pair in value.items() for part in pair)
    elif isinstance(value, list):
        parts = value
    return next((problem for part in parts if (problem := _unstorable(part))), None)
