"""``WorkflowApi`` over HTTP: one method for each route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_adapters.remote.client import ServiceClient
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
from workflow_core.domain.names import check_dataset_name, check_run_id

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_WORKFLOWS: Final = ("api", "v1", "workflows")


class RemoteWorkflowApi:
    """:class:`~workflow_core.api.WorkflowApi` of a running service (``dli serve``), for many threads.

    A dropped connection is tried again. Whatever changes something carries an idempotency key, so that it is done once however often it
    is sent; a :class:`~workflow_core.errors.ServerOutcomeUnknown` means that it may have been carried out. Redirects are not followed,
    TLS certificates are verified (``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured), proxies of the environment are not used.

    Args:
        base_url: where the service answers, without ``/api/v1``; a path in front is kept.
        token: sent as ``Authorization: Bearer``.
        connect_timeout: seconds for a connection, and for a free place among ``connections``.
        read_timeout: seconds for a whole call that only reads.
        change_timeout: seconds for a whole call that changes something; a registration waits in the service for Airflow.
        patience: seconds that a call that changes something waits, in all, to be sent again: after a connection that failed, and where
            the server says when to come back (``Retry-After``). 0: it is sent once.
        connections: how many there are at most; further calls wait for a free one.
        setting: where ``base_url`` comes from, as messages about a wrong one name it.

    Raises:
        ConfigurationError: ``base_url`` is not an http(s) URL or carries credentials, or the token could not be a header.
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
        """Section 3.8."""
        path = (*_WORKFLOWS, "register")
        return self._client.change("POST", path, RegisterAnswer, body=request, if_match=if_match)

    def run(self, dataset_name: str, request: RunRequest | None = None) -> RunAcceptedAnswer:
        """Section 3.1."""
        return self._client.change("POST", (*_of(dataset_name), "run"), RunAcceptedAnswer, body=request or RunRequest())

    def status(self, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
        """Section 3.4."""
        longer = filters.wait if filters else 0
        path = (*_WORKFLOWS, "runs", check_run_id(run_id))
        return self._client.read(path, RunStatusAnswer, filters=filters if longer else None, longer=longer)

    def workflow(self, dataset_name: str) -> WorkflowDetailAnswer:
        """One workflow."""
        return self._client.read(_of(dataset_name), WorkflowDetailAnswer)

    def workflows(self, filters: WorkflowFilters | None = None) -> Listing[WorkflowItem]:
        """Section 3.5."""
        return self._client.list(_WORKFLOWS, WorkflowItem, filters or WorkflowFilters())

    def history(self, filters: HistoryFilters | None = None) -> Listing[HistoryItem]:
        """Section 3.6."""
        return self._client.list((*_WORKFLOWS, "history"), HistoryItem, filters or HistoryFilters())

    def pause(self, dataset_name: str, request: PauseRequest | None = None) -> PauseAnswer:
        """Section 3.7."""
        return self._client.change("POST", (*_of(dataset_name), "pause"), PauseAnswer, body=request)

    def unpause(self, dataset_name: str) -> PauseAnswer:
        """Section 3.7."""
        return self._client.change("POST", (*_of(dataset_name), "unpause"), PauseAnswer)

    def revisions(self, dataset_name: str, filters: RevisionFilters | None = None) -> Listing[RevisionItem]:
        """The accepted specs."""
        return self._client.list((*_of(dataset_name), "revisions"), RevisionItem, filters or RevisionFilters())

    def diff(self, dataset_name: str, number: int, filters: DiffFilters | None = None) -> DiffAnswer:
        """Two of them."""
        path = (*_of(dataset_name), "revisions", str(number), "diff")
        return self._client.read(path, DiffAnswer, filters=filters)

    def restore(self, dataset_name: str, number: int, *, if_match: int | None = None) -> RegisterAnswer:
        """Back to one of them."""
        path = (*_of(dataset_name), "revisions", str(number), "restore")
        return self._client.change("POST", path, RegisterAnswer, if_match=if_match)

    def stop(self, run_id: str, request: StopRequest | None = None) -> StopAnswer:
        """Section 3.3."""
        return self._client.change(
            "POST", (*_WORKFLOWS, "runs", check_run_id(run_id), "stop"), StopAnswer, body=request
        )

    def retry(self, run_id: str, request: RetryRequest | None = None) -> RetryAnswer:
        """Have a run that has ended run again."""
        return self._client.change(
            "POST", (*_WORKFLOWS, "runs", check_run_id(run_id), "retry"), RetryAnswer, body=request
        )

    def unregister(self, dataset_name: str, filters: UnregisterFilters | None = None) -> UnregisterAnswer:
        """Section 3.9."""
        given = filters or UnregisterFilters()
        return self._client.change("DELETE", _of(dataset_name), UnregisterAnswer, filters=given)

    def sync(self, request: SyncRequest | None = None) -> SyncAnswer:
        """What is published as CODE."""
        return self._client.change("POST", (*_WORKFLOWS, "sync"), SyncAnswer, body=request)

    def backfill(self, dataset_name: str, request: BackfillRequest) -> BackfillAnswer:
        """Section 3.2."""
        return self._client.change("POST", (*_of(dataset_name), "backfill"), BackfillAnswer, body=request)

    def backfill_status(self, backfill_id: str) -> BackfillStatusAnswer:
        """One backfill with its dates."""
        return self._client.read(_of_backfill(backfill_id), BackfillStatusAnswer)

    def backfills(self, dataset_name: str, filters: BackfillFilters | None = None) -> Listing[BackfillItem]:
        """Those of a workflow."""
        return self._client.list((*_of(dataset_name), "backfills"), BackfillItem, filters or BackfillFilters())

    def pause_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """Send no more of it."""
        return self._client.change("POST", (*_of_backfill(backfill_id), "pause"), BackfillItem, body=request)

    def resume_backfill(self, backfill_id: str) -> BackfillItem:
        """Go on with it."""
        return self._client.change("POST", (*_of_backfill(backfill_id), "resume"), BackfillItem)

    def stop_backfill(self, backfill_id: str, request: BackfillReasonRequest | None = None) -> BackfillItem:
        """End it."""
        return self._client.change("POST", (*_of_backfill(backfill_id), "stop"), BackfillItem, body=request)

    def next_runs(self, dataset_name: str, filters: NextRunsFilters | None = None) -> NextRunsAnswer:
        """The next fire times."""
        return self._client.read((*_of(dataset_name), "next-runs"), NextRunsAnswer, filters=filters)

    def validate(self, request: RegisterRequest) -> ValidateAnswer:
        """What registering it would do."""
        return self._client.ask((*_WORKFLOWS, "validate"), ValidateAnswer, body=request)

    def explain_workflow(self, dataset_name: str) -> ExplainAnswer:
        """Why a workflow does not run."""
        return self._client.read((*_of(dataset_name), "explain"), ExplainAnswer)

    def explain_run(self, run_id: str) -> ExplainAnswer:
        """Why a run does not go on."""
        return self._client.read((*_WORKFLOWS, "runs", check_run_id(run_id), "explain"), ExplainAnswer)

    def audit(self, filters: AuditFilters | None = None) -> Listing[AuditItem]:
        """Who has changed what."""
        return self._client.list(("api", "v1", "audit"), AuditItem, filters or AuditFilters())

    def whoami(self) -> WhoamiAnswer:
        """Who asks, as the service has found out."""
        return self._client.read(("api", "v1", "whoami"), WhoamiAnswer)

    def health(self) -> HealthAnswer:
        """What the service depends on; 503 if something of it is away."""
        return self._client.read(("dependencies",), HealthAnswer, also={503})


def _of(dataset_name: str) -> tuple[str, ...]:
    """The path of a workflow. What is no name is refused here: it could lead to another route."""
    return (*_WORKFLOWS, check_dataset_name(dataset_name))


def _of_backfill(backfill_id: str) -> tuple[str, ...]:
    """The path of a backfill; likewise."""
    return (*_WORKFLOWS, "backfills", check_run_id(backfill_id, field="backfill_id"))
