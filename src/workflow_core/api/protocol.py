"""What can be asked of the system, wherever it runs: the driving protocol at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from workflow_core.api.audit import AuditFilters, AuditItem
    from workflow_core.api.backfill import (
        BackfillAnswer,
        BackfillFilters,
        BackfillItem,
        BackfillReasonRequest,
        BackfillRequest,
        BackfillStatusAnswer,
    )
    from workflow_core.api.explain import ExplainAnswer
    from workflow_core.api.forecast import NextRunsAnswer, NextRunsFilters, ValidateAnswer
    from workflow_core.api.health import HealthAnswer
    from workflow_core.api.listing import HistoryFilters, Listing, WorkflowFilters
    from workflow_core.api.revision import DiffAnswer, DiffFilters, RevisionFilters, RevisionItem
    from workflow_core.api.run import (
        HistoryItem,
        RetryAnswer,
        RetryRequest,
        RunAcceptedAnswer,
        RunFilters,
        RunRequest,
        RunStatusAnswer,
        StopAnswer,
        StopRequest,
    )
    from workflow_core.api.sync import SyncAnswer, SyncRequest
    from workflow_core.api.whoami import WhoamiAnswer
    from workflow_core.api.workflow import (
        PauseAnswer,
        PauseRequest,
        RegisterAnswer,
        RegisterRequest,
        UnregisterAnswer,
        UnregisterFilters,
        WorkflowDetailAnswer,
        WorkflowItem,
    )


@runtime_checkable
class WorkflowApi(Protocol):
    """Register, run, watch and pause workflows: requests in, answers out, nothing that JSON does not carry.

    In this process it is :class:`workflow_core.service.WorkflowService`, over HTTP ``workflow_adapters.remote.RemoteWorkflowApi``; which of
    them answers makes no difference (:mod:`workflow_core.testing.api`). Safe for many threads.

    A request or filter that breaks its own model cannot be made: pydantic says so then. Everything else that goes wrong is an
    error of :mod:`workflow_core.errors`: what each method lists, ``DatabaseUnavailable`` everywhere, and over HTTP
    ``ServerUnavailable`` everywhere and ``ServerOutcomeUnknown`` from what changes something.
    """

    def register(self, request: RegisterRequest, *, if_match: int | None = None) -> RegisterAnswer:
        """Register a workflow and wait some seconds until Airflow serves it (section 3.8 of the specification).

        An existing one gets its next revision by ``force``, or by ``if_match``: the revision that the caller has seen.

        Raises:
            InvalidRequest: the name, the schedule, the owner or the YAML (then an ``InvalidWorkflowSpec``) is wrong.
            WorkflowPermissionDenied: it is asked for as CODE, or CODE has published this name.
            WorkflowAlreadyExists: the name or its DAG id is taken.
            RevisionMismatch: it is at another revision than ``if_match``.
            WorkflowNotFound: it does not exist, and ``if_match`` says that it does.
            AirflowUnavailable, StorageUnavailable, LoaderNotInstalled: nothing was recorded.
        """
        ...

    def run(self, dataset_name: str, request: RunRequest | None = None) -> RunAcceptedAnswer:
        """Start a run, without params unless the request has some (section 3.1).

        Raises:
            InvalidRequest: the name or a param is wrong.
            WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: there is nothing that could run.
            WorkflowPermissionDenied: it is CODE.
            AirflowUnavailable: nothing was recorded.
        """
        ...

    def status(self, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
        """One run as it is now; as it was last seen, marked stale, if Airflow does not answer (section 3.4). With ``wait``, as soon as it
        changes, or when that time is over; one that has ended is told at once.

        Raises:
            InvalidRequest: no run can have this id.
            WorkflowRunNotFound: there is none.
        """
        ...

    def workflow(self, dataset_name: str) -> WorkflowDetailAnswer:
        """One workflow with its spec, and how far Airflow has followed.

        Raises:
            InvalidRequest, WorkflowNotFound: the name.
        """
        ...

    def workflows(self, filters: WorkflowFilters | None = None) -> Listing[WorkflowItem]:
        """Workflows by name, 50 unless the filters say otherwise (section 3.5).

        Raises:
            InvalidRequest: the cursor is not of this list.
        """
        ...

    def history(self, filters: HistoryFilters | None = None) -> Listing[HistoryItem]:
        """Runs of every kind, latest first, 20 unless the filters say otherwise (section 3.6).

        Raises:
            InvalidRequest: the name, the dates or the cursor.
        """
        ...

    def pause(self, dataset_name: str, request: PauseRequest | None = None) -> PauseAnswer:
        """Refuse new runs and stop the schedule; runs under way may end (docs/adr/0035). One that is paused already keeps its first
        reason (section 3.7).

        Raises:
            InvalidRequest, WorkflowNotFound: the name, or the reason.
            AirflowUnavailable: nothing was recorded.
        """
        ...

    def unpause(self, dataset_name: str) -> PauseAnswer:
        """Let a workflow run again; nothing changes for one that is not paused (section 3.7).

        Raises:
            InvalidRequest, WorkflowNotFound: the name.
            AirflowUnavailable: nothing was recorded.
        """
        ...

    def revisions(self, dataset_name: str, filters: RevisionFilters | None = None) -> Listing[RevisionItem]:
        """The accepted specs of a workflow, latest first, 50 unless the filters say otherwise.

        Raises:
            InvalidRequest, WorkflowNotFound: the name, or the cursor.
        """
        ...

    def diff(self, dataset_name: str, number: int, filters: DiffFilters | None = None) -> DiffAnswer:
        """What a revision changed, against the one before it unless the filters say otherwise.

        Raises:
            InvalidRequest, WorkflowNotFound: the name.
            RevisionNotFound: there is none of that number.
        """
        ...

    def restore(self, dataset_name: str, number: int, *, if_match: int | None = None) -> RegisterAnswer:
        """Register the spec of an earlier revision again, as the next one.

        Raises:
            InvalidRequest, WorkflowNotFound, RevisionNotFound: the name, or the number.
            WorkflowPermissionDenied: it is CODE.
            RevisionMismatch: it is at another revision than ``if_match``.
            AirflowUnavailable, StorageUnavailable, LoaderNotInstalled: nothing was recorded.
        """
        ...

    def stop(self, run_id: str, request: StopRequest | None = None) -> StopAnswer:
        """End a run before its time; one that is stopping or stopped already keeps its first reason (section 3.3).

        Raises:
            InvalidRequest, WorkflowRunNotFound: the id, or the reason.
            RunNotActive: it has ended, and keeps its result.
            WorkflowPermissionDenied: a run of a CODE workflow.
            AirflowUnavailable: nothing was recorded.
        """
        ...

    def retry(self, run_id: str, request: RetryRequest | None = None) -> RetryAnswer:
        """Have a run that has ended run again under its id: what failed of it, unless the request asks for all.

        Raises:
            InvalidRequest, WorkflowRunNotFound: the id.
            WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: nothing of its workflow could run.
            RunNotRetryable: it has not ended, or there is nothing of it to run again.
            WorkflowPermissionDenied: a run of a CODE workflow.
            AirflowUnavailable: nothing was recorded.
        """
        ...

    def unregister(self, dataset_name: str, filters: UnregisterFilters | None = None) -> UnregisterAnswer:
        """Have a workflow no more; its history stays, its name is free (section 3.9).

        Raises:
            InvalidRequest, WorkflowNotFound: the name.
            WorkflowPermissionDenied: it is CODE.
            WorkflowHasActiveRuns: runs have not ended, and ``force`` is not given.
            AirflowUnavailable, StorageUnavailable: nothing was recorded.
        """
        ...

    def sync(self, request: SyncRequest | None = None) -> SyncAnswer:
        """Take up what is published as CODE now, and tell what was added, changed, removed and refused.

        Raises:
            StorageUnavailable: not all could be read; what was taken up before stays.
        """
        ...

    def backfill(self, dataset_name: str, request: BackfillRequest) -> BackfillAnswer:
        """Run a workflow once for each date of a range (section 3.2).

        Raises:
            InvalidRequest: the name, a date, a param or ``max_active`` is wrong.
            WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: there is nothing that could run.
            WorkflowPermissionDenied: it is CODE.
            AirflowUnavailable: nothing was recorded.
        """
        ...

    def backfill_status(self, backfill_id: str) -> BackfillStatusAnswer:
        """One backfill with each of its dates, as Airflow's changes were last followed.

        Raises:
            InvalidRequest, BackfillNotFound: the id.
        """
        ...

    def backfills(self, dataset_name: str, filters: BackfillFilters | None = None) -> Listing[BackfillItem]:
        """Backfills of a workflow, latest first, 20 unless the filters say otherwise.

        Raises:
            InvalidRequest, WorkflowNotFound: the name, or the cursor.
        """
        ...

    def pause_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Send no more of its runs; those under way go on. One that is paused already keeps its first reason.

        Raises:
            InvalidRequest, BackfillNotFound: the id, or the reason.
            BackfillNotActive: it has ended, or is being stopped.
            WorkflowPermissionDenied: of a CODE workflow.
        """
        ...

    def resume_backfill(self, backfill_id: str) -> BackfillItem:
        """Go on, over whatever failed until now; nothing changes for one that is not paused.

        Raises:
            InvalidRequest, BackfillNotFound: the id.
            BackfillNotActive: it has ended, or is being stopped.
            WorkflowPaused, WorkflowNotRunnable: nothing of its workflow could run.
            WorkflowPermissionDenied: of a CODE workflow.
        """
        ...

    def stop_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Cancel what was not sent and stop what is under way. One that is stopping or stopped already keeps its first reason.

        Raises:
            InvalidRequest, BackfillNotFound: the id, or the reason.
            BackfillNotActive: it has ended.
            WorkflowPermissionDenied: of a CODE workflow.
        """
        ...

    def next_runs(self, dataset_name: str, filters: NextRunsFilters | None = None) -> NextRunsAnswer:
        """When a workflow fires next, in UTC and in its time zone.

        Raises:
            InvalidRequest, WorkflowNotFound: the name.
        """
        ...

    def validate(self, request: RegisterRequest) -> ValidateAnswer:
        """What registering this would do, or why it cannot be registered; nothing is stored anywhere."""
        ...

    def explain_workflow(self, dataset_name: str) -> ExplainAnswer:
        """Why a workflow does not run, in words.

        Raises:
            InvalidRequest, WorkflowNotFound: the name.
        """
        ...

    def explain_run(self, run_id: str) -> ExplainAnswer:
        """Why a run does not go on, in words.

        Raises:
            InvalidRequest, WorkflowRunNotFound: the id.
        """
        ...

    def audit(self, filters: AuditFilters | None = None) -> Listing[AuditItem]:
        """The changes that were accepted, latest first, 50 unless the filters say otherwise: who, what, when, from where.

        Raises:
            InvalidRequest: the name, the moments or the cursor.
        """
        ...

    def whoami(self) -> WhoamiAnswer:
        """Under which name changes are recorded, and what is granted."""
        ...

    def health(self) -> HealthAnswer:
        """Whether the database, the storage and Airflow can be used. That one of them cannot is an answer, not an error."""
        ...
