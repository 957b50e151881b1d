"""Request the stop of a run; the request is recorded before Airflow is asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.act import Action, on_run
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.errors import ConcurrentUpdate, RunNotActive
from workflow_core.usecases.commands.reason import check_reason
from workflow_core.usecases.context import require_run
from workflow_core.usecases.reconcile.runs import poll
from workflow_core.usecases.reconcile.stop import try_to_end

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class StopRun:
    """The wish to end a run."""

    caller: Caller
    run_id: str
    reason: str | None = None


def stop(command: StopRun, context: Context) -> Run:
    """End a run. One that was never sent is STOPPED at once and never reaches Airflow; any other is STOPPING until every task of it
    has ended. One that is stopping, or stopped, already stays as it is, with its first reason.

    Raises:
        InvalidRequest: the id, or the reason.
        WorkflowRunNotFound: there is no such run.
        RunNotActive: it has ended, and keeps its result.
        WorkflowPermissionDenied: a run of a CODE workflow, unless the policy allows it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    run = require_run(command.run_id, context)
    owner = context.db.workflows.workflow(run.dataset_name)
    if owner is not None and owner.id == run.workflow_id:
        context.check_execution(owner)
    recorded = False
    while run.stop is None:
        if not run.settled and run.submission is not Submission.WAITING:
            run = poll(run, context)
        if run.settled:
            raise RunNotActive(run.run_id, run.status)
        try:
            wanted = run.stopping(command.caller.name, command.reason, context.clock.now())
            act = on_run(command.caller, Action.STOP, context.clock.now(), wanted, before=run)
            run, recorded = context.db.workflows.save_run(wanted, act=act), True
        except ConcurrentUpdate:
            run = require_run(command.run_id, context)
    if not recorded:
        context.db.audit.append(on_run(command.caller, Action.STOP, context.clock.now(), run, before=run))
    if run.status is RunStatus.STOPPING:
        run = try_to_end(run, context)
    if run.stop is None:  # it ended between the look and the request
        raise RunNotActive(run.run_id, run.status)
    return run
