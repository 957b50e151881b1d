"""The API in this process: requests to the service, and what it returns as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from attrs import evolve

from workflow_core.api import (
    AuditFilters,
    AuditItem,
    BackfillAnswer,
    BackfillFilters,
    BackfillItem,
    BackfillStatusAnswer,
    DiffAnswer,
    ExplainAnswer,
    HealthAnswer,
    HealthStatus,
    HistoryFilters,
    HistoryItem,
    Listing,
    NextRunsAnswer,
    NextRunsFilters,
    PauseAnswer,
    ReadyAnswer,
    ReasonAnswer,
    RegisterAnswer,
    RetryAnswer,
    RevisionFilters,
    RevisionItem,
    RunAcceptedAnswer,
    RunFilters,
    RunRequest,
    RunStatusAnswer,
    StopAnswer,
    SyncAnswer,
    SyncRequest,
    SystemAnswer,
    UnregisterAnswer,
    ValidateAnswer,
    WhoamiAnswer,
    WorkflowDetailAnswer,
    WorkflowFilters,
    WorkflowItem,
)
from workflow_core.domain.audit import Action, AuditFilter
from workflow_core.domain.authorization import Verb, denied, may, may_everywhere, may_somewhere, sight_of, visible_to
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.names import check_run_id
from workflow_core.domain.paging import encode_cursor
from workflow_core.domain.schedule import Schedule
from workflow_core.errors import BackfillNotFound, InvalidRequest, RunNotActive, WorkflowNotFound, WorkflowRunNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.api import (
        BackfillReasonRequest,
        BackfillRequest,
        DiffFilters,
        PauseRequest,
        RegisterRequest,
        RetryRequest,
        StopRequest,
        UnregisterFilters,
    )
    from workflow_core.api.base import Answer
    from workflow_core.domain.audit import KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.paging import Page
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.errors import NotFound
    from workflow_core.service import WorkflowService
    from workflow_core.usecases.commands.idempotency import IdempotentResult
    from workflow_core.usecases.queries.explain import Explanation
    from workflow_core.usecases.queries.health import SystemHealth
    from workflow_core.usecases.queries.runs import RunView
    from workflow_core.usecases.queries.workflows import WorkflowView

E = TypeVar("E")
A = TypeVar("A")


class LocalWorkflowApi:
    """:class:`~workflow_core.api.WorkflowApi` over a service in this process, everything asked by ``caller``."""

    def __init__(self, service: WorkflowService, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    # Who may do what: each method begins with one of these, unless it lists what may be seen, or everybody may

    @property
    def _visible(self) -> Visibility | None:
        return visible_to(self._caller)

    def _everywhere(self, verb: Verb) -> None:
        if not may_everywhere(self._caller, verb):
            raise denied(verb)

    def _named(self, verb: Verb, dataset_name: str) -> None:
        if not may_everywhere(self._caller, verb):
            workflow = self._service.registered_workflow(dataset_name)
            self._check(verb, workflow, WorkflowNotFound(dataset_name))

    def _run(self, verb: Verb, run_id: str) -> None:
        if not may_everywhere(self._caller, verb):
            run = self._service.recorded_run(check_run_id(run_id))
            workflow = None if run is None else self._service.recorded_workflow(run.workflow_id)
            self._check(verb, workflow, WorkflowRunNotFound(run_id))

    def _backfill(self, verb: Verb, backfill_id: str) -> None:
        if not may_everywhere(self._caller, verb):
            backfill = self._service.recorded_backfill(backfill_id).backfill
            workflow = self._service.recorded_workflow(backfill.workflow_id)
            self._check(verb, workflow, BackfillNotFound(backfill_id))

    def _check(self, verb: Verb, workflow: Workflow | None, unknown: NotFound) -> None:
        """What may not be seen is not there: the answer is that of something unknown."""
        if workflow is None or not may(self._caller, Verb.VIEW, workflow):
            unknown.conceals = True
            raise unknown
        if not may(self._caller, verb, workflow):
            raise denied(verb, workflow)

    def _last_run(self, view: WorkflowView) -> Run | None:
        """Of an earlier workflow of the same name, it may be one that the caller may not see."""
        run = view.last_run
        hidden = run is not None and run.workflow_id != view.workflow.id and self._visible is not None
        return None if hidden else run

    def register(self, request: RegisterRequest, *, if_match: int | None = None) -> RegisterAnswer:
        """Section 3.8."""
        given = request.schedule
        workflow = self._service.register(
            request.dataset_name,
            request.yaml_content,
            source_type=request.source_type,
            schedule=Schedule(cron=given.cron, timezone=given.timezone) if given else None,
            owner=request.owner,
            team=request.team,
            description=request.description,
            force=request.force,
            expected_revision=if_match,
            caller=self._caller,
        )
        return RegisterAnswer.of(workflow)

    def run(self, dataset_name: str, request: RunRequest | None = None) -> RunAcceptedAnswer:
        """Section 3.1."""
        self._named(Verb.RUN, dataset_name)
        given = request or RunRequest()
        accepted = self._service.run(dataset_name, given.params, dry_run=given.dry_run, caller=self._caller)
        return RunAcceptedAnswer.of(accepted, dry_run=given.dry_run)

    def status(self, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
        """Section 3.4."""
        self._run(Verb.VIEW, run_id)
        view = self._service.status(run_id)
        if filters and filters.wait and not view.run.is_settled:
            self._service.wait_for_change(run_id, view.run.version, filters.wait)
            view = self._service.status(run_id)
        return self._status(view)

    def _status(self, view: RunView) -> RunStatusAnswer:
        return RunStatusAnswer.of(
            view.run,
            now=self._service.now(),
            logs_url=view.logs_url,
            stale=view.stale,
            observed_at=view.observed_at,
            held=view.held,
        )

    def workflow(self, dataset_name: str) -> WorkflowDetailAnswer:
        """One workflow."""
        self._named(Verb.VIEW, dataset_name)
        view = self._service.workflow(dataset_name)
        return WorkflowDetailAnswer.of(
            view.workflow,
            last_run=self._last_run(view),
            next_run=view.next_run,
            now=view.now,
            conditions=view.conditions,
            stale=view.stale,
            observed_at=view.observed_at,
        )

    def workflows(self, filters: WorkflowFilters | None = None) -> Listing[WorkflowItem]:
        """Section 3.5."""
        given = filters or WorkflowFilters()
        where = WorkflowFilter(
            status=given.status, source_type=given.source_type, owner=given.owner, visible=self._visible
        )
        return _listing(
            self._service.workflows(where, given.page(parts=1)),
            lambda view: WorkflowItem.of(
                view.workflow, last_run=self._last_run(view), next_run=view.next_run, now=view.now, stale=view.stale
            ),
        )

    def history(self, filters: HistoryFilters | None = None) -> Listing[HistoryItem]:
        """Section 3.6."""
        given = filters or HistoryFilters()
        where = HistoryFilter(
            dataset_name=given.dataset_name,
            start_date=given.start_date,
            end_date=given.end_date,
            visible=self._visible,
        )
        found = self._service.history(where, given.page(parts=2))
        now, stale = self._service.now(), self._service.is_stale()
        return _listing(found, lambda run: HistoryItem.of(run, now=now, stale=stale and not run.is_settled))

    def pause(self, dataset_name: str, request: PauseRequest | None = None) -> PauseAnswer:
        """Section 3.7."""
        self._named(Verb.PAUSE, dataset_name)
        reason = request.reason if request else None
        workflow = self._service.pause(dataset_name, reason, caller=self._caller)
        return PauseAnswer.of(workflow, reason=reason, under_way=self._service.runs_under_way(workflow))

    def unpause(self, dataset_name: str) -> PauseAnswer:
        """Section 3.7."""
        self._named(Verb.PAUSE, dataset_name)
        return PauseAnswer.of(self._service.unpause(dataset_name, caller=self._caller))

    def revisions(self, dataset_name: str, filters: RevisionFilters | None = None) -> Listing[RevisionItem]:
        """The accepted specs."""
        self._named(Verb.VIEW, dataset_name)
        workflow, page = self._service.revisions(dataset_name, (filters or RevisionFilters()).page(parts=1))
        return _listing(page, lambda revision: RevisionItem.of(revision, workflow))

    def diff(self, dataset_name: str, number: int, filters: DiffFilters | None = None) -> DiffAnswer:
        """Two of them."""
        self._named(Verb.VIEW, dataset_name)
        return DiffAnswer.of(self._service.diff(dataset_name, number, filters.against if filters else None))

    def restore(self, dataset_name: str, number: int, *, if_match: int | None = None) -> RegisterAnswer:
        """Back to one of them."""
        self._named(Verb.REGISTER, dataset_name)
        return RegisterAnswer.of(
            self._service.restore(dataset_name, number, expected_revision=if_match, caller=self._caller)
        )

    def stop(self, run_id: str, request: StopRequest | None = None) -> StopAnswer:
        """Section 3.3."""
        self._run(Verb.STOP, run_id)
        return _stopped(self._service.stop(run_id, request.reason if request else None, caller=self._caller))

    def retry(self, run_id: str, request: RetryRequest | None = None) -> RetryAnswer:
        """Have a run that has ended run again."""
        self._run(Verb.RETRY, run_id)
        only_failed = request is None or request.only_failed
        return _retried(self._service.retry(run_id, only_failed=only_failed, caller=self._caller))

    def unregister(self, dataset_name: str, filters: UnregisterFilters | None = None) -> UnregisterAnswer:
        """Section 3.9."""
        self._named(Verb.UNREGISTER, dataset_name)
        force = filters is not None and filters.force
        return _unregistered(self._service.unregister(dataset_name, force=force, caller=self._caller))

    def sync(self, request: SyncRequest | None = None) -> SyncAnswer:
        """What is published as CODE."""
        self._everywhere(Verb.SYNC)
        given = request or SyncRequest()
        report = self._service.sync(dry_run=given.dry_run, allow_removals=given.allow_removals, caller=self._caller)
        return SyncAnswer.of(report)

    def backfill(self, dataset_name: str, request: BackfillRequest) -> BackfillAnswer:
        """Section 3.2."""
        self._named(Verb.BACKFILL, dataset_name)
        view = self._service.backfill(
            dataset_name,
            request.start_date,
            request.end_date,
            params=request.params,
            parallel=request.parallel,
            max_active=request.max_active,
            reprocess=request.reprocess,
            run_backwards=request.run_backwards,
            on_failure=request.on_failure,
            dry_run=request.dry_run,
            caller=self._caller,
        )
        return BackfillAnswer.of(view, dry_run=request.dry_run)

    def backfill_status(self, backfill_id: str) -> BackfillStatusAnswer:
        """One backfill with its dates."""
        self._backfill(Verb.VIEW, backfill_id)
        return BackfillStatusAnswer.of_view(self._service.backfill_status(backfill_id))

    def backfills(self, dataset_name: str, filters: BackfillFilters | None = None) -> Listing[BackfillItem]:
        """Those of a workflow."""
        given = filters or BackfillFilters()
        return _listing(
            self._service.backfills(dataset_name, given.page(parts=2), visible=self._visible), BackfillItem.of
        )

    def pause_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Send no more of it."""
        self._backfill(Verb.BACKFILL, backfill_id)
        reason = request.reason if request else None
        return BackfillItem.of(self._service.pause_backfill(backfill_id, reason, caller=self._caller))

    def resume_backfill(self, backfill_id: str) -> BackfillItem:
        """Go on with it."""
        self._backfill(Verb.BACKFILL, backfill_id)
        return BackfillItem.of(self._service.resume_backfill(backfill_id, caller=self._caller))

    def stop_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """End it."""
        self._backfill(Verb.BACKFILL, backfill_id)
        reason = request.reason if request else None
        return BackfillItem.of(self._service.stop_backfill(backfill_id, reason, caller=self._caller))

    def next_runs(self, dataset_name: str, filters: NextRunsFilters | None = None) -> NextRunsAnswer:
        """The next fire times."""
        self._named(Verb.VIEW, dataset_name)
        return NextRunsAnswer.of(self._service.next_runs(dataset_name, (filters or NextRunsFilters()).count))

    def validate(self, request: RegisterRequest) -> ValidateAnswer:
        """What registering it would do."""
        if not may_somewhere(self._caller, Verb.VALIDATE):
            raise denied(Verb.VALIDATE)
        given = request.schedule
        try:
            found = self._service.preview(
                request.dataset_name,
                request.yaml_content,
                source_type=request.source_type,
                schedule=Schedule(cron=given.cron, timezone=given.timezone) if given else None,
                owner=request.owner,
                team=request.team,
                description=request.description,
                caller=self._caller,
            )
        except InvalidRequest as error:
            return ValidateAnswer.refused(request.dataset_name, error)
        return ValidateAnswer.of(found)

    def explain_workflow(self, dataset_name: str) -> ExplainAnswer:
        """Why a workflow does not run."""
        self._named(Verb.VIEW, dataset_name)
        return _explained(self._service.explain_workflow(dataset_name))

    def explain_run(self, run_id: str) -> ExplainAnswer:
        """Why a run does not go on."""
        self._run(Verb.VIEW, run_id)
        return _explained(self._service.explain_run(run_id))

    def audit(self, filters: AuditFilters | None = None) -> Listing[AuditItem]:
        """Who has changed what."""
        given = filters or AuditFilters()
        where = AuditFilter(
            dataset_name=given.dataset_name,
            action=given.action,
            who=given.who,
            since=given.since,
            until=given.until,
            visible=None if may_everywhere(self._caller, Verb.AUDIT) else sight_of(self._caller),
        )
        return _listing(self._service.audit(where, given.page(parts=2)), AuditItem.of)

    def whoami(self) -> WhoamiAnswer:
        """The caller."""
        return WhoamiAnswer.of(self._caller)

    def health(self) -> HealthAnswer:
        """What the service depends on, each asked now."""
        health = self._service.health()
        return HealthAnswer(
            status=_status(ok=health.ok),
            database=_system(health.database),
            storage=_system(health.storage),
            airflow=_system(health.airflow),
            worker=_system(health.worker),
        )

    def ready(self) -> ReadyAnswer:
        """Whether requests can be answered here: the database is asked, and nothing else."""
        database = self._service.database_health()
        return ReadyAnswer(status=_status(ok=database.ok), database=_system(database))

    @property
    def has_key(self) -> bool:
        """Whether what is asked is asked with an idempotency key."""
        return self._caller.key is not None

    def once(self, ask: Callable[[LocalWorkflowApi], Answer]) -> IdempotentResult:
        """What ``ask`` gets of this API, as JSON; or, if it was asked with this key before, what it got then.

        Raises:
            KeyReused, KeyInUse: the key came before, with another request or with one that is under way.
        """

        def again(record: KeyRecord) -> str:
            if record.action is Action.SYNC:  # takes up what there is: once more changes nothing that is wrong
                return ask(LocalWorkflowApi(self._service, evolve(self._caller, key=None))).model_dump_json()
            return self.recorded(record).model_dump_json()

        return self._service.once(self._caller, lambda: ask(self).model_dump_json(), again)

    def recorded(self, record: KeyRecord) -> Answer:
        """The answer to an earlier request with an idempotency key that ended without one: of what it has recorded, as that is now."""
        if record.action is Action.BACKFILL:
            return BackfillAnswer.of(self._service.backfill_status(record.subject), dry_run=False)
        if record.action in {Action.PAUSE_BACKFILL, Action.RESUME_BACKFILL, Action.STOP_BACKFILL}:
            return BackfillItem.of(self._service.recorded_backfill(record.subject))
        if record.action in _OF_RUNS:
            run = self._service.recorded_run(record.subject)
            if run is None:  # runs are never deleted
                raise AssertionError(record)
            return _OF_RUNS[record.action](run)
        workflow = self._service.recorded_workflow(UUID(record.subject))
        if workflow is None:  # workflows are never deleted
            raise AssertionError(record)
        return _OF_WORKFLOWS[record.action](workflow)


def _stopped(run: Run) -> StopAnswer:
    if run.stop is None:  # it ended between the look and the request
        raise RunNotActive(run.run_id, run.status)
    return StopAnswer.of(run, run.stop)


def _retried(run: Run) -> RetryAnswer:
    if run.retry is None:  # retry() has set it
        raise AssertionError(run.run_id)
    return RetryAnswer.of(run, run.retry)


def _unregistered(workflow: Workflow) -> UnregisterAnswer:
    if workflow.removal is None:  # unregister() has set it
        raise AssertionError(workflow.dataset_name)
    return UnregisterAnswer.of(workflow, workflow.removal)


_OF_RUNS: Final[Mapping[Action, Callable[[Run], Answer]]] = {
    Action.RUN: RunAcceptedAnswer.of,
    Action.STOP: _stopped,
    Action.RETRY: _retried,
}
_OF_WORKFLOWS: Final[Mapping[Action, Callable[[Workflow], Answer]]] = {
    Action.REGISTER: RegisterAnswer.of,
    Action.RESTORE: RegisterAnswer.of,
    Action.PAUSE: PauseAnswer.of,
    Action.UNPAUSE: PauseAnswer.of,
    Action.UNREGISTER: _unregistered,
}


def _explained(found: Explanation) -> ExplainAnswer:
    reasons = tuple(map(ReasonAnswer.of, found.reasons))
    return ExplainAnswer(subject=found.subject, status=found.status, reasons=reasons)


def _listing(page: Page[E], of: Callable[[E], A]) -> Listing[A]:
    cursor = None if page.next_after is None else encode_cursor(page.next_after)
    return Listing(items=tuple(map(of, page.items)), total=page.total, next_cursor=cursor)


def _system(health: SystemHealth) -> SystemAnswer:
    parts = {name: str(state) for name, state in health.parts.items()}
    return SystemAnswer(status=_status(ok=health.ok), detail=health.detail, parts=parts or None, breaker=health.breaker)


def _status(*, ok: bool) -> HealthStatus:
    return HealthStatus.OK if ok else HealthStatus.UNAVAILABLE
