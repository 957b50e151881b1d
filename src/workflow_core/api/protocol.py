"""The driving protocol at the edge: every call of the system, in this process and over HTTP."""

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
    """Register, run, observe and pause workflows. Safe for many threads.

    Requests and answers contain nothing that JSON cannot carry.
    :class:`workflow_core.service.WorkflowService` implements it in this process,
    ``workflow_adapters.remote.RemoteWorkflowApi`` over HTTP. Both behave in the same way
    (:mod:`workflow_core.testing.api`).

    A request or filter that breaks its model cannot be made: pydantic raises ``ValidationError``. Every other failure
    is an error of :mod:`workflow_core.errors`. The row of a call in :mod:`workflow_core.api.calls` lists its own
    errors. Every call can also raise ``InvalidRequest`` for a malformed name, id, cursor or reason,
    ``PermissionDenied`` and ``DatabaseUnavailable``. Over HTTP every call can raise ``ServerUnavailable``, and a change
    ``ServerOutcomeUnknown``. After ``AirflowUnavailable``, ``StorageUnavailable`` or ``LoaderNotInstalled`` nothing was
    recorded.
    """

    def register(self, request: RegisterRequest, *, if_match: int | None = None) -> RegisterAnswer:
        """Register a workflow and wait some seconds until Airflow serves it (specification, section 3.8).

        An existing workflow gets its next revision with ``force``, or with ``if_match``: the revision that the caller
        expects.
        """
        ...

    def run(self, dataset_name: str, request: RunRequest | None = None) -> RunAcceptedAnswer:
        """Start a run, without params unless the request has some (specification, section 3.1)."""
        ...

    def status(self, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
        """Return the current state of a run; the last known state, marked ``stale``, if Airflow does not answer.

        With ``wait``, return as soon as the run changes, or after that time. A run that has ended is returned at once
        (specification, section 3.4).
        """
        ...

    def workflow(self, dataset_name: str) -> WorkflowDetailAnswer:
        """Return a workflow with its spec, and how far Airflow has followed."""
        ...

    def workflows(self, filters: WorkflowFilters | None = None) -> Listing[WorkflowItem]:
        """List workflows by name, 50 unless the filters set a limit (specification, section 3.5)."""
        ...

    def history(self, filters: HistoryFilters | None = None) -> Listing[HistoryItem]:
        """List runs of every kind, latest first, 20 unless the filters set a limit (specification, section 3.6)."""
        ...

    def pause(self, dataset_name: str, request: PauseRequest | None = None) -> PauseAnswer:
        """Refuse new runs and stop the schedule; active runs may end (specification, section 3.7; docs/adr/0035).

        A workflow that is already paused keeps its first reason.
        """
        ...

    def unpause(self, dataset_name: str) -> PauseAnswer:
        """Let a workflow run again; nothing changes if it is not paused (specification, section 3.7)."""
        ...

    def revisions(self, dataset_name: str, filters: RevisionFilters | None = None) -> Listing[RevisionItem]:
        """List the accepted specs of a workflow, latest first, 50 unless the filters set a limit."""
        ...

    def diff(self, dataset_name: str, number: int, filters: DiffFilters | None = None) -> DiffAnswer:
        """Return the changes of a revision, against the previous one unless the filters name another."""
        ...

    def restore(self, dataset_name: str, number: int, *, if_match: int | None = None) -> RegisterAnswer:
        """Register the spec of an earlier revision again, as the next one; ``if_match`` as in :meth:`register`."""
        ...

    def stop(self, run_id: str, request: StopRequest | None = None) -> StopAnswer:
        """Stop a run (specification, section 3.3). A run that is already stopping or stopped keeps its first reason."""
        ...

    def retry(self, run_id: str, request: RetryRequest | None = None) -> RetryAnswer:
        """Run the failed tasks of a run that has ended again, under its id; all tasks if the request asks for them."""
        ...

    def unregister(self, dataset_name: str, filters: UnregisterFilters | None = None) -> UnregisterAnswer:
        """Unregister a workflow; its history stays, and its name is free (specification, section 3.9).

        With ``force``, active runs are stopped first.
        """
        ...

    def sync(self, request: SyncRequest | None = None) -> SyncAnswer:
        """Sync CODE workflows from the object store now, and report what was added, changed, removed and refused.

        If the store fails in the middle, workflows that were synced before stay synced.
        """
        ...

    def backfill(self, dataset_name: str, request: BackfillRequest) -> BackfillAnswer:
        """Run a workflow once for each date of a range (specification, section 3.2)."""
        ...

    def backfill_status(self, backfill_id: str) -> BackfillStatusAnswer:
        """Return a backfill with each of its dates, as last mirrored from Airflow."""
        ...

    def backfills(self, dataset_name: str, filters: BackfillFilters | None = None) -> Listing[BackfillItem]:
        """List the backfills of a workflow, latest first, 20 unless the filters set a limit."""
        ...

    def pause_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Submit no further runs; active runs continue. A backfill that is already paused keeps its first reason."""
        ...

    def resume_backfill(self, backfill_id: str) -> BackfillItem:
        """Resume, accepting the failures so far; nothing changes if the backfill is not paused."""
        ...

    def stop_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Cancel runs that were not submitted and stop active ones.

        A stopping or stopped backfill keeps its first reason.
        """
        ...

    def next_runs(self, dataset_name: str, filters: NextRunsFilters | None = None) -> NextRunsAnswer:
        """List the next fire times of a workflow, in UTC and in its time zone."""
        ...

    def validate(self, request: RegisterRequest) -> ValidateAnswer:
        """Return what registering this spec would do, or why it cannot be registered. Nothing is stored."""
        ...

    def explain_workflow(self, dataset_name: str) -> ExplainAnswer:
        """Explain in words why a workflow does not run."""
        ...

    def explain_run(self, run_id: str) -> ExplainAnswer:
        """Explain in words why a run makes no progress."""
        ...

    def audit(self, filters: AuditFilters | None = None) -> Listing[AuditItem]:
        """List accepted changes, latest first, 50 unless the filters set a limit: who, what, when, from where."""
        ...

    def whoami(self) -> WhoamiAnswer:
        """Return the name under which changes are recorded, and the caller's grants."""
        ...

    def health(self) -> HealthAnswer:
        """Check the database, the storage and Airflow. An unavailable system is an answer, not an error."""
        ...
