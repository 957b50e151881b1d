"""Request the stop of a run; the request is recorded before it is sent to Airflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.audit import Action, on_run
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.errors import ConcurrentUpdate, RunNotActive
from workflow_core.usecases.commands.reason import check_reason
from workflow_core.usecases.context import require_run
from workflow_core.usecases.reconcile.runs import poll
from workflow_core.usecases.reconcile.stop import try_to_apply_stop

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class StopRun:
    """Command: stop a run."""

    caller: Caller
    run_id: str
    reason: str | None = None


def stop(command: StopRun, context: Context) -> Run:
    """Stop a run.

    A run that was never submitted is STOPPED at once and never reaches Airflow; any other run is STOPPING until all of
    its tasks have ended. A run that is stopping or stopped keeps its first reason.

    Raises:
        InvalidRequest: the id or the reason is invalid.
        WorkflowRunNotFound: no run has this id.
        RunNotActive: the run has ended, and keeps its result.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    run = require_run(command.run_id, context)
    owner = context.db.workflows.workflow(run.dataset_name)
    if owner is not None and owner.id == run.workflow_id:
        context.check_execution(owner)
    recorded = False
    while run.stop is None:
        if not run.is_settled and run.submission is not Submission.WAITING:
            run = poll(run, context)
        if run.is_settled:
            raise RunNotActive(run.run_id, run.status)
        try:
            stopping = run.stopping(command.caller.name, command.reason, context.clock.now())
            act = on_run(command.caller, Action.STOP, context.clock.now(), stopping, before=run)
            run, recorded = context.db.workflows.save_run(stopping, act=act), True
        except ConcurrentUpdate:
            run = require_run(command.run_id, context)
    if not recorded:
        context.db.audit.append(on_run(command.caller, Action.STOP, context.clock.now(), run, before=run))
    if run.status is RunStatus.STOPPING:
        run = try_to_apply_stop(run, context)
    if run.stop is None:  # it ended between the poll and the request
        raise RunNotActive(run.run_id, run.status)
    return run
