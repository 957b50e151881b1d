"""The routes: each reads like its section of the specification. Litestar resolves the annotations at run time."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

from litestar import Response
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from pydantic import Field

from workflow_core import errors
from workflow_core.api import (
    AuditFilters,
    AuditItem,
    DiffAnswer,
    DiffFilters,
    ExplainAnswer,
    HealthAnswer,
    HealthStatus,
    HistoryFilters,
    HistoryItem,
    NextRunsAnswer,
    NextRunsFilters,
    PauseAnswer,
    PauseRequest,
    ReadyAnswer,
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
    SystemAnswer,
    UnregisterAnswer,
    UnregisterFilters,
    ValidateAnswer,
    WhoamiAnswer,
    WorkflowDetailAnswer,
    WorkflowFilters,
    WorkflowItem,
)
from workflow_core.api.base import Answer
from workflow_core.api.run import LONGEST_WAIT
from workflow_core.domain.names import quoted
from workflow_entrypoints.http.backfill_routes import BACKFILL_ROUTES
from workflow_entrypoints.http.conditional import matches, tagged
from workflow_entrypoints.http.endpoint import Contract, endpoint
from workflow_entrypoints.http.errors import RETRY_AFTER
from workflow_entrypoints.http.long_poll import Waiting, events_of, preferred_wait, version_of
from workflow_entrypoints.http.query import listing
from workflow_entrypoints.http.shared import ROOT, AnyRequest, Api, DatasetName, NoFields

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from workflow_entrypoints.http.access_log import WorkflowApp


_log = logging.getLogger(__name__)

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}\Z")

WORKFLOWS: Final = "Workflows"
RUNS: Final = "Runs"
AUDIT: Final = "Audit"
CALLER: Final = "Caller"
HEALTH: Final = "Health"
READY_PATH: Final = "/readyz"

RunId: TypeAlias = FromPath[str]
HealthOrReady = TypeVar("HealthOrReady", HealthAnswer, ReadyAnswer)


class AliveAnswer(Answer):
    """The process answers."""

    status: str = Field(default="ok", description="Always `ok`.")


@endpoint(
    "POST",
    f"{ROOT}/register",
    Contract(
        operation_id="registerWorkflow",
        tag=WORKFLOWS,
        summary="Register a workflow",
        description="Store the YAML and have Airflow serve its DAG; waits a few seconds for that. Section 3.8.",
        status=201,
        payload=RegisterRequest,
        answer=RegisterAnswer,
        conditional=True,
        errors=(
            errors.WorkflowNotFound,
            errors.RevisionMismatch,
            errors.InvalidCronExpression,
            errors.InvalidWorkflowSpec,
            errors.WorkflowPermissionDenied,
            errors.WorkflowAlreadyExists,
            errors.ConcurrentUpdate,
            errors.AirflowUnavailable,
            errors.LoaderNotInstalled,
            errors.StorageUnavailable,
            errors.StorageRefused,
            errors.DatabaseUnavailable,
        ),
    ),
)
def register(
    api: Api, payload: NamedDependency[RegisterRequest], if_match: NamedDependency[int | None]
) -> RegisterAnswer:
    """Section 3.8."""
    return api.register(payload, if_match=if_match)


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/run",
    Contract(
        operation_id="runWorkflow",
        tag=RUNS,
        summary="Start a run",
        description="Accept a run and send it to Airflow; follow it under its `run_id`. Section 3.1.",
        status=202,
        payload=RunRequest,
        payload_optional=True,
        answer=RunAcceptedAnswer,
        errors=(
            errors.WorkflowNotFound,
            errors.WorkflowPaused,
            errors.WorkflowNotRunnable,
            errors.WorkflowPermissionDenied,
            errors.AirflowUnavailable,
            errors.DatabaseUnavailable,
        ),
    ),
)
def run(api: Api, dataset_name: DatasetName, payload: NamedDependency[RunRequest]) -> RunAcceptedAnswer:
    """Section 3.1."""
    return api.run(dataset_name, payload)


@endpoint(
    "GET",
    f"{ROOT}/runs/{{run_id:str}}",
    Contract(
        operation_id="getRun",
        tag=RUNS,
        summary="One run as it is now",
        description="As the worker has seen it, or else as Airflow has it now; `stale` if that does not answer. With `wait`, as soon as"
        " the run changes, or is another one than in the answer whose ETag is sent as `If-None-Match`. The ETag is weak: that"
        " `duration_seconds` grows is no change. Section 3.4.",
        answer=RunStatusAnswer,
        filters=RunFilters,
        waits=True,
        errors=(errors.WorkflowRunNotFound, errors.TooManyWaiting, errors.DatabaseUnavailable),
    ),
    threaded=False,
)
async def run_status(
    request: AnyRequest,
    api: Api,
    run_id: RunId,
    filters: NamedDependency[RunFilters],
    waiting: NamedDependency[Waiting],
) -> Response[bytes]:
    """Section 3.4."""
    preferred = preferred_wait(request.headers.get("prefer"), LONGEST_WAIT)
    seconds = filters.wait or preferred
    headers = {} if filters.wait or not seconds else {"Preference-Applied": f"wait={preferred}"}
    version = (
        await waiting.version(run_id) if seconds else None
    )  # before the answer, so that no change falls between the two
    answer = await sync_to_thread(api.status, run_id)
    response = _tagged(answer, headers)
    seen = request.headers.get("if-none-match")
    if seconds and not answer.status.is_final and (seen is None or matches(seen, response.headers["ETag"])):
        await waiting.changed(run_id, version, seconds)
        response = _tagged(await sync_to_thread(api.status, run_id), headers)
    return response


def _tagged(answer: RunStatusAnswer, headers: dict[str, str]) -> Response[bytes]:
    return tagged(answer, headers=headers, passing_over=["duration_seconds"])


@endpoint(
    "GET",
    f"{ROOT}/runs/{{run_id:str}}/events",
    Contract(
        operation_id="followRun",
        tag=RUNS,
        summary="The changes of a run, as they come",
        description="Server-sent events: each change is an event `run` with the run as its data and an id, until the run has"
        " ended. After a break the client sends the id of the last one it has seen as `Last-Event-ID`, and misses nothing; 204 if there"
        " is nothing more.",
        answer=RunStatusAnswer,
        streams=True,
        errors=(errors.WorkflowRunNotFound, errors.TooManyWaiting, errors.DatabaseUnavailable),
    ),
    threaded=False,
)
async def run_events(
    request: AnyRequest, api: Api, run_id: RunId, waiting: NamedDependency[Waiting]
) -> Response[None] | Stream:
    """One after the other."""
    version = await waiting.version(run_id)
    answer = await sync_to_thread(api.status, run_id)
    last = version_of(request.headers.get("last-event-id"))
    if answer.status.is_final and last == version:
        return Response(None, status_code=204)
    waiting.admit()
    headers = {"X-Accel-Buffering": "no"}
    return Stream(events_of(api, waiting, run_id, last), media_type="text/event-stream", headers=headers)


@endpoint(
    "POST",
    f"{ROOT}/runs/{{run_id:str}}/stop",
    Contract(
        operation_id="stopRun",
        tag=RUNS,
        summary="End a run before its time",
        description="STOPPING at once, STOPPED when every task of it has ended; one that ends first keeps its result. Section 3.3.",
        payload=StopRequest,
        payload_optional=True,
        answer=StopAnswer,
        errors=(
            errors.WorkflowRunNotFound,
            errors.RunNotActive,
            errors.WorkflowPermissionDenied,
            errors.AirflowUnavailable,
            errors.DatabaseUnavailable,
        ),
    ),
)
def stop_run(api: Api, run_id: RunId, payload: NamedDependency[StopRequest]) -> StopAnswer:
    """Section 3.3."""
    return api.stop(run_id, payload)


@endpoint(
    "POST",
    f"{ROOT}/runs/{{run_id:str}}/retry",
    Contract(
        operation_id="retryRun",
        tag=RUNS,
        summary="Have a run that has ended run again",
        description="Under the same id: what failed of it, or all of it. It is PENDING again, and has no end.",
        status=202,
        payload=RetryRequest,
        payload_optional=True,
        answer=RetryAnswer,
        errors=(
            errors.WorkflowRunNotFound,
            errors.WorkflowNotFound,
            errors.RunNotRetryable,
            errors.WorkflowPaused,
            errors.WorkflowNotRunnable,
            errors.WorkflowPermissionDenied,
            errors.AirflowUnavailable,
            errors.DatabaseUnavailable,
        ),
    ),
)
def retry_run(api: Api, run_id: RunId, payload: NamedDependency[RetryRequest]) -> RetryAnswer:
    """Run it again."""
    return api.retry(run_id, payload)


@endpoint(
    "GET",
    ROOT,
    Contract(
        operation_id="listWorkflows",
        tag=WORKFLOWS,
        summary="Registered workflows by name",
        description="Each with its last and next run. Section 3.5.",
        many=True,
        answer=WorkflowItem,
        filters=WorkflowFilters,
        errors=(errors.DatabaseUnavailable,),
    ),
)
def workflows(api: Api, filters: NamedDependency[WorkflowFilters], request: AnyRequest) -> Response[list[WorkflowItem]]:
    """Section 3.5."""
    return listing(api.workflows(filters), filters=filters, scope=request.scope)


@endpoint(
    "GET",
    f"{ROOT}/history",
    Contract(
        operation_id="listRuns",
        tag=RUNS,
        summary="Runs, latest first",
        description="Runs of every kind: started here, by the schedule, or in Airflow's own UI. Section 3.6.",
        many=True,
        answer=HistoryItem,
        filters=HistoryFilters,
        errors=(errors.DatabaseUnavailable,),
    ),
)
def history(api: Api, filters: NamedDependency[HistoryFilters], request: AnyRequest) -> Response[list[HistoryItem]]:
    """Section 3.6."""
    return listing(api.history(filters), filters=filters, scope=request.scope)


_PAUSE_ERRORS: Final = (errors.WorkflowNotFound, errors.AirflowUnavailable, errors.DatabaseUnavailable)


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/pause",
    Contract(
        operation_id="pauseWorkflow",
        tag=WORKFLOWS,
        summary="Refuse new runs and stop the schedule",
        description="Runs under way may end: the DAG in Airflow is paused after them, at the latest shortly before the schedule fires next."
        " What has not started by then waits until the workflow is unpaused; `warnings` and the condition `pause_pending` or `runs_held`"
        " say so. A workflow that is paused already keeps its first reason. Section 3.7.",
        payload=PauseRequest,
        payload_optional=True,
        answer=PauseAnswer,
        errors=_PAUSE_ERRORS,
    ),
)
def pause(api: Api, dataset_name: DatasetName, payload: NamedDependency[PauseRequest]) -> PauseAnswer:
    """Section 3.7."""
    return api.pause(dataset_name, payload)


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/unpause",
    Contract(
        operation_id="unpauseWorkflow",
        tag=WORKFLOWS,
        summary="Let a workflow run again",
        description="Its schedule fires, and runs that were held go on. Nothing changes for one that is not paused. Section 3.7.",
        payload=NoFields,
        payload_optional=True,
        answer=PauseAnswer,
        errors=_PAUSE_ERRORS,
    ),
)
def unpause(api: Api, dataset_name: DatasetName) -> PauseAnswer:
    """Section 3.7."""
    return api.unpause(dataset_name)


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}",
    Contract(
        operation_id="getWorkflow",
        tag=WORKFLOWS,
        summary="One workflow with its spec",
        description="What the list says of it, the YAML, and how far Airflow has followed.",
        answer=WorkflowDetailAnswer,
        revisioned=True,
        errors=(errors.WorkflowNotFound, errors.DatabaseUnavailable),
    ),
)
def workflow(api: Api, dataset_name: DatasetName) -> WorkflowDetailAnswer:
    """One workflow."""
    return api.workflow(dataset_name)


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}/revisions",
    Contract(
        operation_id="listRevisions",
        tag=WORKFLOWS,
        summary="Every accepted spec of a workflow",
        description="Latest first: by whom, when, and which one Airflow serves.",
        many=True,
        answer=RevisionItem,
        filters=RevisionFilters,
        errors=(errors.WorkflowNotFound, errors.DatabaseUnavailable),
    ),
)
def revisions(
    api: Api, dataset_name: DatasetName, filters: NamedDependency[RevisionFilters], request: AnyRequest
) -> Response[list[RevisionItem]]:
    """The accepted specs."""
    return listing(api.revisions(dataset_name, filters), filters=filters, scope=request.scope)


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}/revisions/{{number:str}}/diff",
    Contract(
        operation_id="diffRevision",
        tag=WORKFLOWS,
        summary="What a revision changed",
        description="A unified diff against the revision before it, or against another.",
        answer=DiffAnswer,
        filters=DiffFilters,
        errors=(errors.WorkflowNotFound, errors.RevisionNotFound, errors.DatabaseUnavailable),
    ),
)
def diff(
    api: Api, dataset_name: DatasetName, number: FromPath[str], filters: NamedDependency[DiffFilters]
) -> DiffAnswer:
    """Two of them."""
    return api.diff(dataset_name, _number(number), filters)


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/revisions/{{number:str}}/restore",
    Contract(
        operation_id="restoreRevision",
        tag=WORKFLOWS,
        summary="Go back to an earlier spec",
        description="Registers it again, as the next revision: nothing of the history is lost.",
        payload=NoFields,
        payload_optional=True,
        answer=RegisterAnswer,
        conditional=True,
        errors=(
            errors.InvalidWorkflowSpec,
            errors.WorkflowNotFound,
            errors.RevisionNotFound,
            errors.RevisionMismatch,
            errors.WorkflowPermissionDenied,
            errors.ConcurrentUpdate,
            errors.AirflowUnavailable,
            errors.LoaderNotInstalled,
            errors.StorageUnavailable,
            errors.StorageRefused,
            errors.DatabaseUnavailable,
        ),
    ),
)
def restore(
    api: Api, dataset_name: DatasetName, number: FromPath[str], if_match: NamedDependency[int | None]
) -> RegisterAnswer:
    """Back to one of them."""
    return api.restore(dataset_name, _number(number), if_match=if_match)


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        msg = f"{quoted(text)} is not the number of a revision; they count from 1"
        raise errors.InvalidRequest(msg, field="number")
    return int(text)


@endpoint(
    "DELETE",
    f"{ROOT}/{{dataset_name:str}}",
    Contract(
        operation_id="unregisterWorkflow",
        tag=WORKFLOWS,
        summary="Have a workflow no more",
        description="Its YAML is deleted, its DAG leaves Airflow, its name is free, its history stays. Section 3.9.",
        answer=UnregisterAnswer,
        filters=UnregisterFilters,
        errors=(
            errors.WorkflowNotFound,
            errors.WorkflowPermissionDenied,
            errors.WorkflowHasActiveRuns,
            errors.AirflowUnavailable,
            errors.StorageUnavailable,
            errors.StorageRefused,
            errors.DatabaseUnavailable,
        ),
    ),
)
def unregister(api: Api, dataset_name: DatasetName, filters: NamedDependency[UnregisterFilters]) -> UnregisterAnswer:
    """Section 3.9."""
    return api.unregister(dataset_name, filters)


@endpoint(
    "POST",
    f"{ROOT}/sync",
    Contract(
        operation_id="syncWorkflows",
        tag=WORKFLOWS,
        summary="Take up what is published as CODE now",
        description="What the worker does every WORKFLOWS_SYNC_INTERVAL seconds, at once, and with a report.",
        payload=SyncRequest,
        payload_optional=True,
        answer=SyncAnswer,
        errors=(errors.StorageUnavailable, errors.StorageRefused, errors.DatabaseUnavailable),
    ),
)
def sync(api: Api, payload: NamedDependency[SyncRequest]) -> SyncAnswer:
    """What is published as CODE."""
    return api.sync(payload)


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}/next-runs",
    Contract(
        operation_id="listNextRuns",
        tag=WORKFLOWS,
        summary="When a workflow fires next",
        description="In UTC and in its time zone; what a change of the clocks moves or repeats is marked.",
        answer=NextRunsAnswer,
        filters=NextRunsFilters,
        errors=(errors.WorkflowNotFound, errors.DatabaseUnavailable),
    ),
)
def next_runs(api: Api, dataset_name: DatasetName, filters: NamedDependency[NextRunsFilters]) -> NextRunsAnswer:
    """By its schedule."""
    return api.next_runs(dataset_name, filters)


@endpoint(
    "POST",
    f"{ROOT}/validate",
    Contract(
        operation_id="validateWorkflow",
        tag=WORKFLOWS,
        summary="What registering a spec would do",
        description="Every finding about the YAML, what would be different from what is registered, and the next fire times by"
        " both schedules. Nothing is stored, and Airflow is not asked.",
        payload=RegisterRequest,
        asks=True,
        answer=ValidateAnswer,
        errors=(errors.WorkflowPermissionDenied, errors.DatabaseUnavailable),
    ),
)
def validate(api: Api, payload: NamedDependency[RegisterRequest]) -> ValidateAnswer:
    """Without registering it."""
    return api.validate(payload)


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}/explain",
    Contract(
        operation_id="explainWorkflow",
        tag=WORKFLOWS,
        summary="Why a workflow does not run",
        description="In words, the most important reason first; Airflow is asked now.",
        answer=ExplainAnswer,
        errors=(errors.WorkflowNotFound, errors.DatabaseUnavailable),
    ),
)
def explain_workflow(api: Api, dataset_name: DatasetName) -> ExplainAnswer:
    """Why it does not run."""
    return api.explain_workflow(dataset_name)


@endpoint(
    "GET",
    f"{ROOT}/runs/{{run_id:str}}/explain",
    Contract(
        operation_id="explainRun",
        tag=RUNS,
        summary="Why a run does not go on",
        description="In words, the most important reason first; Airflow is asked now.",
        answer=ExplainAnswer,
        errors=(errors.WorkflowRunNotFound, errors.DatabaseUnavailable),
    ),
)
def explain_run(api: Api, run_id: RunId) -> ExplainAnswer:
    """Why it does not go on."""
    return api.explain_run(run_id)


@endpoint(
    "GET",
    "/api/v1/audit",
    Contract(
        operation_id="listAudit",
        tag=AUDIT,
        summary="Who has changed what, latest first",
        description="Every change that was accepted: by whom, when, from where, and what it changed. Written once, never changed.",
        many=True,
        answer=AuditItem,
        filters=AuditFilters,
        errors=(errors.DatabaseUnavailable,),
    ),
)
def audit(api: Api, filters: NamedDependency[AuditFilters], request: AnyRequest) -> Response[list[AuditItem]]:
    """The changes."""
    return listing(api.audit(filters), filters=filters, scope=request.scope)


@endpoint(
    "GET",
    "/api/v1/whoami",
    Contract(
        operation_id="getCaller",
        tag=CALLER,
        summary="Who asks",
        description="Under which name this service records what you do, and what is granted to you.",
        answer=WhoamiAnswer,
    ),
)
def whoami(api: Api) -> WhoamiAnswer:
    """The caller."""
    return api.whoami()


@endpoint(
    "GET",
    "/healthz",
    Contract(
        operation_id="getAlive",
        tag=HEALTH,
        summary="Whether the process answers",
        description="Asks nobody else: restart the process if this does not answer.",
        answer=AliveAnswer,
        filters=None,
        public=True,
    ),
    threaded=False,
)
async def healthz() -> AliveAnswer:
    """Alive; holds no thread, so that it answers even while all of them are busy."""
    return AliveAnswer()


@endpoint(
    "GET",
    READY_PATH,
    Contract(
        operation_id="getReady",
        tag=HEALTH,
        summary="Whether this process can answer requests",
        description="200 if the database can be used and this process is not stopping, else 503 with the same body: send requests to"
        " another replica. Airflow and the object store do not count here: while they are away, reads are answered all the same."
        " Answers without credentials; where callers are authenticated, the details go to the log.",
        answer=ReadyAnswer,
        filters=None,
        public=True,
        other_answers={503: ReadyAnswer},
    ),
)
def readyz(api: Api, request: AnyRequest) -> Response[ReadyAnswer]:
    """Ready to answer."""
    ready = api.ready()
    if is_guarded(request):
        ready = ready.model_copy(update={"database": without_details("database", ready.database)})
    return answered(ready)


@endpoint(
    "GET",
    "/dependencies",
    Contract(
        operation_id="getDependencies",
        tag=HEALTH,
        summary="Whether the systems that this service depends on can be used",
        description="Asks the database, the object store and Airflow now, and looks when a worker was last at work. 200 if all is well,"
        " else 503 with the same body. For alerts, never for a probe that restarts or drains: an outage of Airflow concerns every"
        " replica. Answers without credentials; where callers are authenticated, the details go to the log.",
        answer=HealthAnswer,
        filters=None,
        public=True,
        other_answers={503: HealthAnswer},
    ),
)
def dependencies(api: Api, request: AnyRequest) -> Response[HealthAnswer]:
    """The other systems."""
    health = api.health()
    if is_guarded(request):
        names = ("database", "storage", "airflow", "worker")
        health = health.model_copy(update={name: without_details(name, getattr(health, name)) for name in names})
    return answered(health)


def is_guarded(request: AnyRequest) -> bool:
    """Whether callers are authenticated, so that those who are not get no details."""
    return cast("WorkflowApp", request.app).is_guarded


def answered(found: HealthOrReady) -> Response[HealthOrReady]:
    """200, or 503 with the same body."""
    if found.status is HealthStatus.OK:
        return Response(found)
    return Response(found, status_code=503, headers={"Retry-After": str(RETRY_AFTER)})


def without_details(name: str, system: SystemAnswer) -> SystemAnswer:
    """For callers who are not known: details name hosts, which go into the log instead."""
    if system.status is not HealthStatus.OK:
        _log.warning("%s is unavailable: %s", name, system.detail)
    return SystemAnswer(status=system.status, detail=system.status.value)


def stopping() -> Response[ReadyAnswer]:
    """The answer of :func:`readyz` while the process stops: at once, without asking the database."""
    system = SystemAnswer(status=HealthStatus.UNAVAILABLE, detail="not asked: this process is stopping")
    return answered(ReadyAnswer(status=HealthStatus.UNAVAILABLE, database=system))


ROUTES: Final[tuple[HTTPRouteHandler, ...]] = (
    register,
    run,
    run_status,
    run_events,
    workflows,
    history,
    pause,
    unpause,
    workflow,
    revisions,
    diff,
    restore,
    stop_run,
    retry_run,
    next_runs,
    validate,
    explain_workflow,
    explain_run,
    unregister,
    sync,
    *BACKFILL_ROUTES,
    audit,
    whoami,
    healthz,
    readyz,
    dependencies,
)
