"""``WorkflowApi`` over HTTP: each method makes the call of its row in :mod:`workflow_core.api.calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_adapters.remote.client import ServiceClient
from workflow_core.api import calls

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from workflow_core.api import (
        AuditFilters,
        AuditItem,
        BackfillAnswer,
        BackfillFilters,
        BackfillItem,
        BackfillReasonRequest,
        BackfillRequest,
        BackfillStatusAnswer,
        DiffAnswer,
        DiffFilters,
        ExplainAnswer,
        HealthAnswer,
        HistoryFilters,
        HistoryItem,
        Listing,
        NextRunsAnswer,
        NextRunsFilters,
        PauseAnswer,
        PauseRequest,
        RegisterAnswer,
        RegisterRequest,
        RetryAnswer,
        RetryRequest,
        RevisionFilters,
        RevisionItem,
        RunAcceptedAnswer,
        RunFilters,
        RunRequest,
        RunStatusAnswer,
        StopAnswer,
        StopRequest,
        SyncAnswer,
        SyncRequest,
        UnregisterAnswer,
        UnregisterFilters,
        ValidateAnswer,
        WhoamiAnswer,
        WorkflowDetailAnswer,
        WorkflowFilters,
        WorkflowItem,
    )


class RemoteWorkflowApi:
    """:class:`~workflow_core.api.WorkflowApi` of a running service (``dli serve``). Safe for many threads.

    A dropped connection is retried. Every change carries an idempotency key, so that it takes effect once however often
    it is sent; after a :class:`~workflow_core.errors.ServerOutcomeUnknown` it may have taken effect. Redirects are not
    followed, TLS certificates are verified (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured), and proxies of the
    environment are not used.

    Args:
        base_url: The address of the service, without ``/api/v1``. A path in front of it is kept.
        token: Sent as ``Authorization: Bearer``.
        connect_timeout: Seconds for a connection, and for a free place among ``connections``.
        read_timeout: Seconds for a whole call that only reads.
        change_timeout: Seconds for a whole call that changes something. A registration waits in the service for
            Airflow.
        patience: Seconds that a change may spend in all waiting for retries: after a failed connection, and where the
            server names the time of the next attempt (``Retry-After``). With 0, it is sent once.
        connections: Maximum number of connections; further calls wait for a free one.
        setting: The setting that ``base_url`` comes from, for the messages about a wrong one.

    Raises:
        ConfigurationError: ``base_url`` is not an http(s) URL or carries credentials, or the token cannot be a header.
    """

    def __init__(  # noqa: PLR0913 - settings of one thing, all by name
        self,
        base_url: str,
        *,
        token: str | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        change_timeout: float = 150.0,
        patience: float = 10.0,
        connections: int = 16,
        setting: str = "DLI_SERVER_URL",
    ) -> None:
        self._client = ServiceClient(
            base_url,
            token=token,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            change_timeout=change_timeout,
            patience=patience,
            connections=connections,
            setting=setting,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def register(self, request: RegisterRequest, *, if_match: int | None = None) -> RegisterAnswer:
        """Register a workflow, or its next revision."""
        return self._client.call(calls.REGISTER, request, if_match=if_match)

    def run(self, dataset_name: str, request: RunRequest | None = None) -> RunAcceptedAnswer:
        """Start a run."""
        return self._client.call(calls.RUN, request, dataset_name=dataset_name)

    def status(self, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
        """Return the current state of a run."""
        return self._client.call(calls.STATUS, filters=filters if filters and filters.wait else None, run_id=run_id)

    def workflow(self, dataset_name: str) -> WorkflowDetailAnswer:
        """Return a workflow with its spec."""
        return self._client.call(calls.WORKFLOW, dataset_name=dataset_name)

    def workflows(self, filters: WorkflowFilters | None = None) -> Listing[WorkflowItem]:
        """List workflows by name."""
        return self._client.call(calls.WORKFLOWS, filters=filters)

    def history(self, filters: HistoryFilters | None = None) -> Listing[HistoryItem]:
        """List runs, latest first."""
        return self._client.call(calls.HISTORY, filters=filters)

    def pause(self, dataset_name: str, request: PauseRequest | None = None) -> PauseAnswer:
        """Pause a workflow."""
        return self._client.call(calls.PAUSE, request, dataset_name=dataset_name)

    def unpause(self, dataset_name: str) -> PauseAnswer:
        """Unpause a workflow."""
        return self._client.call(calls.UNPAUSE, dataset_name=dataset_name)

    def revisions(self, dataset_name: str, filters: RevisionFilters | None = None) -> Listing[RevisionItem]:
        """List the accepted specs of a workflow, latest first."""
        return self._client.call(calls.REVISIONS, filters=filters, dataset_name=dataset_name)

    def diff(self, dataset_name: str, number: int, filters: DiffFilters | None = None) -> DiffAnswer:
        """Return the changes of a revision."""
        return self._client.call(calls.DIFF, filters=filters, dataset_name=dataset_name, number=number)

    def restore(self, dataset_name: str, number: int, *, if_match: int | None = None) -> RegisterAnswer:
        """Register the spec of an earlier revision again."""
        return self._client.call(calls.RESTORE, if_match=if_match, dataset_name=dataset_name, number=number)

    def stop(self, run_id: str, request: StopRequest | None = None) -> StopAnswer:
        """Stop a run."""
        return self._client.call(calls.STOP, request, run_id=run_id)

    def retry(self, run_id: str, request: RetryRequest | None = None) -> RetryAnswer:
        """Retry a run that has ended."""
        return self._client.call(calls.RETRY, request, run_id=run_id)

    def unregister(self, dataset_name: str, filters: UnregisterFilters | None = None) -> UnregisterAnswer:
        """Unregister a workflow."""
        return self._client.call(calls.UNREGISTER, filters=filters, dataset_name=dataset_name)

    def sync(self, request: SyncRequest | None = None) -> SyncAnswer:
        """Sync CODE workflows from the object store."""
        return self._client.call(calls.SYNC, request)

    def backfill(self, dataset_name: str, request: BackfillRequest) -> BackfillAnswer:
        """Run a workflow for each date of a range."""
        return self._client.call(calls.BACKFILL, request, dataset_name=dataset_name)

    def backfill_status(self, backfill_id: str) -> BackfillStatusAnswer:
        """Return a backfill with each of its dates."""
        return self._client.call(calls.BACKFILL_STATUS, backfill_id=backfill_id)

    def backfills(self, dataset_name: str, filters: BackfillFilters | None = None) -> Listing[BackfillItem]:
        """List the backfills of a workflow, latest first."""
        return self._client.call(calls.BACKFILLS, filters=filters, dataset_name=dataset_name)

    def pause_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Pause a backfill."""
        return self._client.call(calls.PAUSE_BACKFILL, request, backfill_id=backfill_id)

    def resume_backfill(self, backfill_id: str) -> BackfillItem:
        """Resume a backfill, accepting the failures so far."""
        return self._client.call(calls.RESUME_BACKFILL, backfill_id=backfill_id)

    def stop_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Stop a backfill."""
        return self._client.call(calls.STOP_BACKFILL, request, backfill_id=backfill_id)

    def next_runs(self, dataset_name: str, filters: NextRunsFilters | None = None) -> NextRunsAnswer:
        """List the next fire times of a workflow."""
        return self._client.call(calls.NEXT_RUNS, filters=filters, dataset_name=dataset_name)

    def validate(self, request: RegisterRequest) -> ValidateAnswer:
        """Validate a spec without registering it."""
        return self._client.call(calls.VALIDATE, request)

    def explain_workflow(self, dataset_name: str) -> ExplainAnswer:
        """Explain why a workflow does not run."""
        return self._client.call(calls.EXPLAIN_WORKFLOW, dataset_name=dataset_name)

    def explain_run(self, run_id: str) -> ExplainAnswer:
        """Explain why a run makes no progress."""
        return self._client.call(calls.EXPLAIN_RUN, run_id=run_id)

    def audit(self, filters: AuditFilters | None = None) -> Listing[AuditItem]:
        """List accepted changes, latest first."""
        return self._client.call(calls.AUDIT, filters=filters)

    def whoami(self) -> WhoamiAnswer:
        """Return the caller as the service has authenticated it."""
        return self._client.call(calls.WHOAMI)

    def health(self) -> HealthAnswer:
        """Check the systems that the service depends on; a 503 with their states is an answer."""
        return self._client.call(calls.HEALTH)
