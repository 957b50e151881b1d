"""The driving API in this process: HTTP, the CLI and embedding programs call it.

>>> service = WorkflowService(database=…, airflow=…, storage=…, clock=…)   # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import evolve

from workflow_core import answers, api
from workflow_core.api import calls
from workflow_core.domain.audit import Action, AuditFilter
from workflow_core.domain.authorization import Verb, may_everywhere, sight_of, visible_to
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.schedule import Schedule
from workflow_core.errors import InvalidRequest
from workflow_core.guard import call, checked, unguarded
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
from workflow_core.usecases.commands.register import RegisterWorkflow
from workflow_core.usecases.commands.sync import sync
from workflow_core.usecases.config import ServiceConfig
from workflow_core.usecases.context import Context
from workflow_core.usecases.queries import (
    audit,
    backfills,
    explain,
    health,
    long_poll,
    next_runs,
    revisions,
    runs,
    workflows,
)
from workflow_core.usecases.reconcile.code_sync import SyncCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from workflow_core.api.base import Answer
    from workflow_core.domain.audit import KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.ports.airflow import AirflowPort, BreakerState
    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.database import Database
    from workflow_core.ports.storage import StoragePort

ANONYMOUS = Caller(name="anonymous")
"""The caller of a service that was not given another one: a program that embeds it, and that may do everything."""


@checked
class WorkflowService:
    """:class:`~workflow_core.api.WorkflowApi` in this process, for one caller.

    Each call authorizes the caller (:mod:`workflow_core.guard`), runs its use case and shapes the answer. Thread-safe if the ports
    are. Errors are those of :mod:`workflow_core.errors`; the protocol lists those of each call.

    Args:
        database: The database.
        airflow: The Airflow that runs the DAGs.
        storage: The object store that holds the specs.
        clock: The time.
        policy: The configuration of the use cases.
        caller: The caller of every call; :meth:`as_` returns the API for another one.
    """

    def __init__(  # noqa: PLR0913 - the parts of one service, all by name
        self,
        *,
        database: Database,
        airflow: AirflowPort,
        storage: StoragePort,
        clock: ClockPort,
        policy: ServiceConfig | None = None,
        caller: Caller = ANONYMOUS,
    ) -> None:
        self._context = Context(
            db=database, airflow=airflow, storage=storage, clock=clock, policy=policy or ServiceConfig()
        )
        self._caller = caller

    @classmethod
    def over(cls, context: Context, caller: Caller = ANONYMOUS) -> Self:
        """The service over the ports and the configuration of a context."""
        service = cls.__new__(cls)
        service._context, service._caller = context, caller  # noqa: SLF001 - an instance of this class
        return service

    @unguarded
    def as_(self, caller: Caller) -> Self:
        """The API for another caller, over the same context."""
        return self.over(self._context, caller)

    @property
    def caller(self) -> Caller:
        """The caller of every call."""
        return self._caller

    @property
    def has_key(self) -> bool:
        """Whether the request carries an idempotency key."""
        return self._caller.key is not None

    @property
    def context(self) -> Context:
        """The ports and the configuration, which :class:`~workflow_core.sweeper.Sweeper` and the use cases share."""
        return self._context

    @property
    def _visible(self) -> Visibility | None:
        return visible_to(self._caller)

    @call(calls.REGISTER)
    def register(self, request: api.RegisterRequest, *, if_match: int | None = None) -> api.RegisterAnswer:
        """Register a workflow, or revise it. The use case authorizes the caller, for the team that the spec names."""
        command = evolve(self._registration(request), force=request.force, expected_revision=if_match)
        return api.RegisterAnswer.of(register.register(command, self._context))

    def _registration(self, request: api.RegisterRequest) -> RegisterWorkflow:
        schedule = request.schedule
        return RegisterWorkflow(
            caller=self._caller,
            dataset_name=request.dataset_name,
            yaml_content=request.yaml_content,
            source_type=request.source_type,
            schedule=Schedule(cron=schedule.cron, timezone=schedule.timezone) if schedule else None,
            owner=request.owner,
            team=request.team,
            description=request.description,
        )

    @call(calls.RUN)
    def run(self, dataset_name: str, request: api.RunRequest | None = None) -> api.RunAcceptedAnswer:
        """Start a run."""
        body = request or api.RunRequest()
        command = trigger.TriggerRun(
            caller=self._caller, dataset_name=dataset_name, params=body.params, dry_run=body.dry_run
        )
        return api.RunAcceptedAnswer.of(trigger.trigger(command, self._context), dry_run=body.dry_run)

    @call(calls.STATUS)
    def status(self, run_id: str, filters: api.RunFilters | None = None) -> api.RunStatusAnswer:
        """The current state of a run; with ``wait``, as soon as it changes."""
        view = runs.show_run(run_id, self._context)
        if filters and filters.wait and not view.run.is_settled:
            seconds = min(filters.wait, self._context.policy.longest_wait)
            long_poll.wait_for_change(run_id, view.run.version, seconds, self._context)
            view = runs.show_run(run_id, self._context)
        return answers.run_status(view, self.now())

    @call(calls.WORKFLOW)
    def workflow(self, dataset_name: str) -> api.WorkflowDetailAnswer:
        """A workflow with its spec and its conditions."""
        return answers.workflow_detail(workflows.show_workflow(dataset_name, self._context), self._visible)

    @call(calls.WORKFLOWS)
    def workflows(self, filters: api.WorkflowFilters | None = None) -> api.Listing[api.WorkflowItem]:
        """The workflows that the caller may view, by name."""
        query, visible = filters or api.WorkflowFilters(), self._visible
        where = WorkflowFilter(status=query.status, source_type=query.source_type, owner=query.owner, visible=visible)
        page = workflows.list_workflows(where, query.page(parts=1), self._context)
        return answers.listing(page, lambda view: answers.workflow_item(view, visible))

    @call(calls.HISTORY)
    def history(self, filters: api.HistoryFilters | None = None) -> api.Listing[api.HistoryItem]:
        """The runs that the caller may view, latest first."""
        query = filters or api.HistoryFilters()
        where = HistoryFilter(
            dataset_name=query.dataset_name,
            start_date=query.start_date,
            end_date=query.end_date,
            visible=self._visible,
        )
        page = workflows.history(where, query.page(parts=2), self._context)
        now, stale = self.now(), workflows.is_stale(self._context)
        return answers.listing(page, lambda run: api.HistoryItem.of(run, now=now, stale=stale and not run.is_settled))

    @call(calls.PAUSE)
    def pause(self, dataset_name: str, request: api.PauseRequest | None = None) -> api.PauseAnswer:
        """Refuse new runs of a workflow and stop its schedule."""
        reason = request.reason if request else None
        command = pause.PauseWorkflow(caller=self._caller, dataset_name=dataset_name, reason=reason)
        return answers.paused(pause.pause(command, self._context), reason, self._context)

    @call(calls.UNPAUSE)
    def unpause(self, dataset_name: str) -> api.PauseAnswer:
        """Accept runs of a workflow again and resume its schedule."""
        command = pause.UnpauseWorkflow(caller=self._caller, dataset_name=dataset_name)
        return api.PauseAnswer.of(pause.unpause(command, self._context))

    @call(calls.REVISIONS)
    def revisions(self, dataset_name: str, filters: api.RevisionFilters | None = None) -> api.Listing[api.RevisionItem]:
        """The accepted specs of a workflow, latest first."""
        query = filters or api.RevisionFilters()
        workflow, page = revisions.list_revisions(dataset_name, query.page(parts=1), self._context)
        return answers.listing(page, lambda revision: api.RevisionItem.of(revision, workflow))

    @call(calls.DIFF)
    def diff(self, dataset_name: str, number: int, filters: api.DiffFilters | None = None) -> api.DiffAnswer:
        """The changes that a revision made."""
        against = filters.against if filters else None
        return api.DiffAnswer.of(revisions.diff(dataset_name, number, against, self._context))

    @call(calls.RESTORE)
    def restore(self, dataset_name: str, number: int, *, if_match: int | None = None) -> api.RegisterAnswer:
        """Register the spec of an earlier revision as the next one."""
        command = restore.RestoreRevision(
            caller=self._caller, dataset_name=dataset_name, number=number, expected_revision=if_match
        )
        return api.RegisterAnswer.of(restore.restore(command, self._context))

    @call(calls.STOP)
    def stop(self, run_id: str, request: api.StopRequest | None = None) -> api.StopAnswer:
        """Stop a run."""
        command = stop.StopRun(caller=self._caller, run_id=run_id, reason=request.reason if request else None)
        return answers.stopped(stop.stop(command, self._context))

    @call(calls.RETRY)
    def retry(self, run_id: str, request: api.RetryRequest | None = None) -> api.RetryAnswer:
        """Run a run again that has ended."""
        only_failed = request is None or request.only_failed
        command = retry.RetryRun(caller=self._caller, run_id=run_id, only_failed=only_failed)
        return answers.retried(retry.retry(command, self._context))

    @call(calls.UNREGISTER)
    def unregister(self, dataset_name: str, filters: api.UnregisterFilters | None = None) -> api.UnregisterAnswer:
        """Unregister a workflow; its history stays."""
        force = filters is not None and filters.force
        command = unregister.UnregisterWorkflow(caller=self._caller, dataset_name=dataset_name, force=force)
        return answers.unregistered(unregister.unregister(command, self._context))

    @call(calls.SYNC)
    def sync(self, request: api.SyncRequest | None = None) -> api.SyncAnswer:
        """Sync CODE workflows from the object store; the next sweeps apply the changes in Airflow."""
        body = request or api.SyncRequest()
        command = SyncCode(caller=self._caller, dry_run=body.dry_run, allow_removals=body.allow_removals)
        return api.SyncAnswer.of(sync(command, self._context))

    @call(calls.BACKFILL)
    def backfill(self, dataset_name: str, request: api.BackfillRequest) -> api.BackfillAnswer:
        """Run a workflow once for each date of a range."""
        command = start_backfill.StartBackfill(
            caller=self._caller,
            dataset_name=dataset_name,
            start_date=request.start_date,
            end_date=request.end_date,
            params=request.params,
            parallel=request.parallel,
            max_active=request.max_active,
            reprocess=request.reprocess,
            run_backwards=request.run_backwards,
            on_failure=request.on_failure,
            dry_run=request.dry_run,
        )
        return api.BackfillAnswer.of(start_backfill.start_backfill(command, self._context), dry_run=request.dry_run)

    @call(calls.BACKFILL_STATUS)
    def backfill_status(self, backfill_id: str) -> api.BackfillStatusAnswer:
        """A backfill with each of its dates."""
        return api.BackfillStatusAnswer.of_view(backfills.show_backfill(backfill_id, self._context))

    @call(calls.BACKFILLS)
    def backfills(self, dataset_name: str, filters: api.BackfillFilters | None = None) -> api.Listing[api.BackfillItem]:
        """The backfills of a workflow that the caller may view, latest first."""
        query = filters or api.BackfillFilters()
        page = backfills.list_backfills(dataset_name, query.page(parts=2), self._context, self._visible)
        return answers.listing(page, api.BackfillItem.of)

    @call(calls.PAUSE_BACKFILL)
    def pause_backfill(self, backfill_id: str, request: api.BackfillReasonRequest | None = None) -> api.BackfillItem:
        """Submit no further runs of a backfill."""
        command = self._control(backfill_id, request)
        return api.BackfillItem.of(control_backfill.pause_backfill(command, self._context))

    @call(calls.RESUME_BACKFILL)
    def resume_backfill(self, backfill_id: str) -> api.BackfillItem:
        """Resume a backfill, accepting the failures so far."""
        return api.BackfillItem.of(control_backfill.resume_backfill(self._control(backfill_id), self._context))

    @call(calls.STOP_BACKFILL)
    def stop_backfill(self, backfill_id: str, request: api.BackfillReasonRequest | None = None) -> api.BackfillItem:
        """Stop a backfill and its active runs."""
        command = self._control(backfill_id, request)
        return api.BackfillItem.of(control_backfill.stop_backfill(command, self._context))

    def _control(
        self, backfill_id: str, request: api.BackfillReasonRequest | None = None
    ) -> control_backfill.ControlBackfill:
        reason = request.reason if request else None
        return control_backfill.ControlBackfill(caller=self._caller, backfill_id=backfill_id, reason=reason)

    @call(calls.NEXT_RUNS)
    def next_runs(self, dataset_name: str, filters: api.NextRunsFilters | None = None) -> api.NextRunsAnswer:
        """The next fire times of a workflow."""
        query = filters or api.NextRunsFilters()
        return api.NextRunsAnswer.of(next_runs.next_runs(dataset_name, query.count, self._context))

    @call(calls.VALIDATE)
    def validate(self, request: api.RegisterRequest) -> api.ValidateAnswer:
        """The effect of registering this spec, or the reasons why it would be refused."""
        try:
            return api.ValidateAnswer.of(preview(self._registration(request), self._context))
        except InvalidRequest as error:
            return api.ValidateAnswer.refused(request.dataset_name, error)

    @call(calls.EXPLAIN_WORKFLOW)
    def explain_workflow(self, dataset_name: str) -> api.ExplainAnswer:
        """Why a workflow does not run."""
        return answers.explained(explain.why_workflow(dataset_name, self._context))

    @call(calls.EXPLAIN_RUN)
    def explain_run(self, run_id: str) -> api.ExplainAnswer:
        """Why a run does not continue."""
        return answers.explained(explain.why_run(run_id, self._context))

    @call(calls.AUDIT)
    def audit(self, filters: api.AuditFilters | None = None) -> api.Listing[api.AuditItem]:
        """The accepted changes that the caller may view, latest first."""
        query = filters or api.AuditFilters()
        where = AuditFilter(
            dataset_name=query.dataset_name,
            action=query.action,
            who=query.who,
            since=query.since,
            until=query.until,
            visible=None if may_everywhere(self._caller, Verb.AUDIT) else sight_of(self._caller),
        )
        return answers.listing(audit.audit(where, query.page(parts=2), self._context), api.AuditItem.of)

    @call(calls.WHOAMI)
    def whoami(self) -> api.WhoamiAnswer:
        """The authenticated caller and its grants."""
        return api.WhoamiAnswer.of(self._caller)

    @call(calls.HEALTH)
    def health(self) -> api.HealthAnswer:
        """The state of every system that the service depends on, checked now. Never raises."""
        return answers.health(health.check_health(self._context))

    # What the process around the service uses; no caller reaches these

    @unguarded
    def ready(self) -> api.ReadyAnswer:
        """Whether requests can be answered here: only the database is checked. Never raises."""
        return answers.ready(health.check_database(self._context))

    @unguarded
    def idempotent(self, ask: Callable[[Self], Answer]) -> idempotency.IdempotentResult:
        """The answer of ``ask`` as JSON; if the caller's idempotency key came before, the answer of that time.

        Raises:
            KeyReused, KeyInUse: the key came before, with another request or with one that is still in progress.
        """

        def replay(record: KeyRecord) -> str:
            if record.action is Action.SYNC:  # a sync is idempotent: another one imports only what has changed since
                return ask(self.as_(evolve(self._caller, key=None))).model_dump_json()
            return answers.recorded(record, self._context).model_dump_json()

        return idempotency.idempotent(self._caller, self._context, lambda: ask(self).model_dump_json(), replay)

    @unguarded
    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        """Return the versions of runs; each change of a run changes its version."""
        return long_poll.versions_of(run_ids, self._context)

    @unguarded
    def breaker_state(self) -> BreakerState | None:
        """The state of the circuit breaker in front of Airflow; None without one. No request is made."""
        return health.breaker_state(self._context)

    @unguarded
    def now(self) -> datetime:
        """The time by this service's clock; durations in answers are counted until it."""
        return self._context.clock.now()
