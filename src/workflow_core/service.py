"""The driving API: what HTTP, the CLI and embedding programs share.

>>> service = WorkflowService(database=…, airflow=…, storage=…, clock=…)   # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflow_core.domain.audit import AuditFilter
from workflow_core.domain.backfill import OnFailure, Reprocess
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.names import check_dataset_name
from workflow_core.domain.paging import Page, PageRequest
from workflow_core.domain.workflow import Revision, RevisionDiff, SourceType, Workflow
from workflow_core.errors import DatabaseUnavailable
from workflow_core.usecases.commands import (
    control_backfill,
    idempotency,
    pause,
    register,
    restore,
    retry,
    start_backfill,
    stop,
    trigger,
    unregister,
)
from workflow_core.usecases.commands.preview import preview
from workflow_core.usecases.commands.sync import sync, sync_in_turn
from workflow_core.usecases.config import ServiceConfig
from workflow_core.usecases.context import Context, require_backfill, summarize
from workflow_core.usecases.queries import audit, backfills, explain, health, long_poll, next_runs
from workflow_core.usecases.queries import workflows as look
from workflow_core.usecases.queries.revisions import diff, list_revisions
from workflow_core.usecases.queries.runs import show_run
from workflow_core.usecases.reconcile import code_sync, drain, leases, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date, datetime
    from uuid import UUID

    from workflow_core.domain.audit import AuditEvent, KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import BackfillSummary, BackfillView
    from workflow_core.domain.code import SyncReport
    from workflow_core.domain.forecast import Forecast, Preview
    from workflow_core.domain.run import Run
    from workflow_core.domain.schedule import Schedule
    from workflow_core.ports.airflow import AirflowPort, BreakerState
    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.database import Database
    from workflow_core.ports.storage import StoragePort
    from workflow_core.usecases.queries.explain import Explanation
    from workflow_core.usecases.queries.health import Health, SystemHealth
    from workflow_core.usecases.queries.runs import RunView
    from workflow_core.usecases.queries.workflows import WorkflowView
    from workflow_core.usecases.reconcile.sweep import SweepReport

ANYBODY = Caller(name="anonymous")


class WorkflowService:
    """Register, run, watch and pause workflows over three ports.

    Thread-safe if the ports are. Errors are those of :mod:`workflow_core.errors`; each method's use case lists its own.
    """

    def __init__(
        self,
        *,
        database: Database,
        airflow: AirflowPort,
        storage: StoragePort,
        clock: ClockPort,
        policy: ServiceConfig | None = None,
    ) -> None:
        self._context = Context(
            db=database, airflow=airflow, storage=storage, clock=clock, policy=policy or ServiceConfig()
        )

    def register(  # noqa: PLR0913 - the fields of one request, all by name
        self,
        dataset_name: str,
        yaml_content: str,
        *,
        source_type: SourceType = SourceType.MANUAL,
        schedule: Schedule | None = None,
        owner: str | None = None,
        team: str | None = None,
        description: str | None = None,
        force: bool = False,
        expected_revision: int | None = None,
        caller: Caller = ANYBODY,
    ) -> Workflow:
        """Register a workflow from its YAML, or revise it."""
        command = register.RegisterWorkflow(
            caller=caller,
            dataset_name=dataset_name,
            yaml_content=yaml_content,
            source_type=source_type,
            schedule=schedule,
            owner=owner,
            team=team,
            description=description,
            force=force,
            expected_revision=expected_revision,
        )
        return register.register(command, self._context)

    def revisions(self, dataset_name: str, page: PageRequest | None = None) -> tuple[Workflow, Page[Revision]]:
        """A workflow and its accepted specs, latest first."""
        return list_revisions(dataset_name, page or PageRequest(), self._context)

    def diff(self, dataset_name: str, number: int, against: int | None = None) -> RevisionDiff:
        """What a revision changed."""
        return diff(dataset_name, number, against, self._context)

    def restore(
        self, dataset_name: str, number: int, *, expected_revision: int | None = None, caller: Caller = ANYBODY
    ) -> Workflow:
        """Go back to the spec of an earlier revision."""
        command = restore.RestoreRevision(
            caller=caller, dataset_name=dataset_name, number=number, expected_revision=expected_revision
        )
        return restore.restore(command, self._context)

    def run(
        self,
        dataset_name: str,
        params: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
        caller: Caller = ANYBODY,
    ) -> Run:
        """Start a run now."""
        command = trigger.TriggerRun(caller=caller, dataset_name=dataset_name, params=params or {}, dry_run=dry_run)
        return trigger.trigger(command, self._context)

    def status(self, run_id: str) -> RunView:
        """One run as it is now."""
        return show_run(run_id, self._context)

    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        """The versions of runs: what changes when a run does."""
        return long_poll.versions_of(run_ids, self._context)

    def wait_for_change(self, run_id: str, known: int | None, seconds: float) -> int | None:
        """Wait in this thread until the version of a run is another one."""
        return long_poll.wait_for_change(run_id, known, seconds, self._context)

    def workflow(self, dataset_name: str) -> WorkflowView:
        """One workflow with its last and next run."""
        return look.show_workflow(dataset_name, self._context)

    def workflows(self, where: WorkflowFilter | None = None, page: PageRequest | None = None) -> Page[WorkflowView]:
        """Workflows by name, 50 unless the page says otherwise."""
        return look.list_workflows(where or WorkflowFilter(), page or PageRequest(), self._context)

    def history(self, where: HistoryFilter | None = None, page: PageRequest | None = None) -> Page[Run]:
        """Runs, latest first, 20 unless the page says otherwise."""
        return look.history(where or HistoryFilter(), page or PageRequest(limit=20), self._context)

    def is_stale(self) -> bool:
        """Whether Airflow does not answer whoever follows it: what is recorded of runs that have not ended may be old."""
        return look.is_stale(self._context)

    def pause(self, dataset_name: str, reason: str | None = None, *, caller: Caller = ANYBODY) -> Workflow:
        """Refuse new runs of a workflow and stop its schedule."""
        return pause.pause(pause.PauseWorkflow(caller=caller, dataset_name=dataset_name, reason=reason), self._context)

    def runs_under_way(self, workflow: Workflow) -> int:
        """How many runs of it have not ended; 0 while the database does not tell:
        this goes with the answer to what was accepted.
        """
        try:
            return drain.runs_under_way(workflow, self._context)
        except DatabaseUnavailable:
            return 0

    def unpause(self, dataset_name: str, *, caller: Caller = ANYBODY) -> Workflow:
        """Let a workflow run again."""
        return pause.unpause(pause.UnpauseWorkflow(caller=caller, dataset_name=dataset_name), self._context)

    def stop(self, run_id: str, reason: str | None = None, *, caller: Caller = ANYBODY) -> Run:
        """End a run before its time."""
        return stop.stop(stop.StopRun(caller=caller, run_id=run_id, reason=reason), self._context)

    def retry(self, run_id: str, *, only_failed: bool = True, caller: Caller = ANYBODY) -> Run:
        """Have a run that has ended run again."""
        return retry.retry(retry.RetryRun(caller=caller, run_id=run_id, only_failed=only_failed), self._context)

    def unregister(self, dataset_name: str, *, force: bool = False, caller: Caller = ANYBODY) -> Workflow:
        """Have a workflow no more."""
        command = unregister.UnregisterWorkflow(caller=caller, dataset_name=dataset_name, force=force)
        return unregister.unregister(command, self._context)

    def backfill(  # noqa: PLR0913 - the fields of one request, all by name
        self,
        dataset_name: str,
        start_date: date,
        end_date: date,
        *,
        params: Mapping[str, Any] | None = None,
        parallel: bool = False,
        max_active: int | None = None,
        reprocess: Reprocess = Reprocess.NONE,
        run_backwards: bool = False,
        on_failure: OnFailure | None = None,
        dry_run: bool = False,
        caller: Caller = ANYBODY,
    ) -> BackfillView:
        """Run a workflow once for each date."""
        command = start_backfill.StartBackfill(
            caller=caller,
            dataset_name=dataset_name,
            start_date=start_date,
            end_date=end_date,
            params=params or {},
            parallel=parallel,
            max_active=max_active,
            reprocess=reprocess,
            run_backwards=run_backwards,
            on_failure=on_failure,
            dry_run=dry_run,
        )
        return start_backfill.start_backfill(command, self._context)

    def backfill_status(self, backfill_id: str) -> BackfillView:
        """One backfill with its dates."""
        return backfills.show_backfill(backfill_id, self._context)

    def backfills(
        self, dataset_name: str, page: PageRequest | None = None, *, visible: Visibility | None = None
    ) -> Page[BackfillSummary]:
        """Backfills of a workflow, latest first, 20 unless the page says otherwise."""
        return backfills.list_backfills(dataset_name, page or PageRequest(limit=20), self._context, visible)

    def pause_backfill(
        self, backfill_id: str, reason: str | None = None, *, caller: Caller = ANYBODY
    ) -> BackfillSummary:
        """Send no more runs of a backfill."""
        command = control_backfill.ControlBackfill(caller=caller, backfill_id=backfill_id, reason=reason)
        return control_backfill.pause_backfill(command, self._context)

    def resume_backfill(self, backfill_id: str, *, caller: Caller = ANYBODY) -> BackfillSummary:
        """Go on with a backfill."""
        command = control_backfill.ControlBackfill(caller=caller, backfill_id=backfill_id)
        return control_backfill.resume_backfill(command, self._context)

    def stop_backfill(
        self, backfill_id: str, reason: str | None = None, *, caller: Caller = ANYBODY
    ) -> BackfillSummary:
        """End a backfill and its runs."""
        command = control_backfill.ControlBackfill(caller=caller, backfill_id=backfill_id, reason=reason)
        return control_backfill.stop_backfill(command, self._context)

    def next_runs(self, dataset_name: str, count: int = 20) -> Forecast:
        """When a workflow fires next."""
        return next_runs.next_runs(dataset_name, count, self._context)

    def preview(  # noqa: PLR0913 - the fields of one request, all by name
        self,
        dataset_name: str,
        yaml_content: str,
        *,
        source_type: SourceType = SourceType.MANUAL,
        schedule: Schedule | None = None,
        owner: str | None = None,
        team: str | None = None,
        description: str | None = None,
        caller: Caller = ANYBODY,
    ) -> Preview:
        """What registering this would do."""
        command = register.RegisterWorkflow(
            caller=caller,
            dataset_name=dataset_name,
            yaml_content=yaml_content,
            source_type=source_type,
            schedule=schedule,
            owner=owner,
            team=team,
            description=description,
        )
        return preview(command, self._context)

    def audit(self, where: AuditFilter | None = None, page: PageRequest | None = None) -> Page[AuditEvent]:
        """Who has changed what, latest first, 50 unless the page says otherwise."""
        return audit.audit(where or AuditFilter(), page or PageRequest(), self._context)

    def once(
        self, caller: Caller, do: Callable[[], str], again: Callable[[KeyRecord], str]
    ) -> idempotency.IdempotentResult:
        """Carry a request with an idempotency key out, or answer as it was answered."""
        return idempotency.idempotent(caller, self._context, do, again)

    def recorded_run(self, run_id: str) -> Run | None:
        """A run as it is recorded; nobody else is asked."""
        return self._context.db.workflows.run(run_id)

    def registered_workflow(self, dataset_name: str) -> Workflow | None:
        """The workflow that has this name as it is recorded. Raises :class:`InvalidRequest` for a name that none can have."""
        return self._context.db.workflows.workflow(check_dataset_name(dataset_name))

    def recorded_workflow(self, workflow_id: UUID) -> Workflow | None:
        """A workflow as it is recorded, also one that has left."""
        return self._context.db.workflows.workflow_by_id(workflow_id)

    def recorded_backfill(self, backfill_id: str) -> BackfillSummary:
        """A backfill as it is recorded, with the counts of its runs."""
        found = require_backfill(backfill_id, self._context)
        return summarize(found, self._context)

    def explain_workflow(self, dataset_name: str) -> Explanation:
        """Why a workflow does not run."""
        return explain.why_workflow(dataset_name, self._context)

    def explain_run(self, run_id: str) -> Explanation:
        """Why a run does not go on."""
        return explain.why_run(run_id, self._context)

    def breaker_state(self) -> BreakerState | None:
        """The state of the circuit breaker in front of Airflow; None if there is none. No request is made."""
        return health.breaker_state(self._context)

    def health(self) -> Health:
        """Whether database, storage and Airflow can be used, and a worker is at work; never raises."""
        return health.check_health(self._context)

    def database_health(self) -> SystemHealth:
        """Whether the database can be used; never raises."""
        return health.check_database(self._context)

    def now(self) -> datetime:
        """The moment by this service's clock: what durations in answers are counted until."""
        return self._context.clock.now()

    def sync(self, *, dry_run: bool = False, allow_removals: bool = False, caller: Caller = ANYBODY) -> SyncReport:
        """Take up what is published as CODE; the next sweeps have Airflow follow."""
        command = code_sync.SyncCode(caller=caller, dry_run=dry_run, allow_removals=allow_removals)
        return sync(command, self._context)

    def sync_in_turn(self, *, caller: Caller = ANYBODY) -> SyncReport | None:
        """As :meth:`sync`, for workers that do so on a timer: one of them does."""
        return sync_in_turn(code_sync.SyncCode(caller=caller), self._context)

    def sweep(self, *, is_periodic: bool = True) -> SweepReport:
        """One pass of the worker; embedding programs call it on a timer, every few seconds,
        or say that they do not.
        """
        return sweep.sweep(self._context, is_periodic=is_periodic)

    def resign(self) -> None:
        """Leave to other workers at once what this one does all the time; call it when no further :meth:`sweep` comes."""
        leases.release_leadership(self._context)
