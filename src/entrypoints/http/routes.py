"""The routes: each reads like its section of the specification. Litestar resolves the annotations at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from entrypoints.http.contract import Contract, endpoint
from entrypoints.http.errors import RETRY_AFTER
from entrypoints.http.filters import HistoryFilters, WorkflowFilters, listing
from workflow_core import errors
from workflow_core.api import (
    HealthAnswer,
    HistoryItem,
    PauseAnswer,
    PauseRequest,
    RegisterAnswer,
    RegisterRequest,
    RunAcceptedAnswer,
    RunRequest,
    RunStatusAnswer,
    SystemAnswer,
    WorkflowDetailAnswer,
    WorkflowItem,
)
from workflow_core.api.base import Answer
from workflow_core.api.base import Request as Body
from workflow_core.domain.caller import Caller
from workflow_core.domain.run import HistoryFilter
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.workflow import WorkflowFilter
from workflow_core.service import WorkflowService

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from workflow_core.usecases.health import SystemHealth

ROOT: Final = "/api/v1/workflows"
WORKFLOWS: Final = "Workflows"
RUNS: Final = "Runs"
HEALTH: Final = "Health"

AnyRequest: TypeAlias = Request[Any, Any, Any]
Service: TypeAlias = NamedDependency[WorkflowService]
Asking: TypeAlias = NamedDependency[Caller]
DatasetName: TypeAlias = FromPath[str]
RunId: TypeAlias = FromPath[str]


class NoFields(Body):
    """An empty object. The body may be left out."""


class AliveAnswer(Answer):
    """The process answers."""

    status: str = "ok"


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
        errors=(
            errors.InvalidCronExpression,
            errors.InvalidWorkflowSpec,
            errors.WorkflowPermissionDenied,
            errors.WorkflowAlreadyExists,
            errors.ConcurrentUpdate,
            errors.AirflowUnavailable,
            errors.LoaderNotInstalled,
            errors.StorageUnavailable,
            errors.DatabaseUnavailable,
        ),
    ),
)
def register(service: Service, payload: NamedDependency[RegisterRequest], caller: Asking) -> RegisterAnswer:
    """Section 3.8."""
    given = payload.schedule
    workflow = service.register(
        payload.dataset_name,
        payload.yaml_content,
        source_type=payload.source_type,
        schedule=Schedule(cron=given.cron, timezone=given.timezone) if given else None,
        owner=payload.owner,
        team=payload.team,
        description=payload.description,
        caller=caller,
    )
    return RegisterAnswer.of(workflow)


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
def run(
    service: Service, dataset_name: DatasetName, payload: NamedDependency[RunRequest], caller: Asking
) -> RunAcceptedAnswer:
    """Section 3.1."""
    accepted = service.run(dataset_name, payload.params, dry_run=payload.dry_run, caller=caller)
    return RunAcceptedAnswer.of(accepted, dry_run=payload.dry_run)


@endpoint(
    "GET",
    f"{ROOT}/runs/{{run_id:str}}",
    Contract(
        operation_id="getRun",
        tag=RUNS,
        summary="One run as it is now",
        description="Asks Airflow while the run has not ended; `stale` if it does not answer. Section 3.4.",
        answer=RunStatusAnswer,
        errors=(errors.WorkflowRunNotFound, errors.DatabaseUnavailable),
    ),
)
def run_status(service: Service, run_id: RunId) -> RunStatusAnswer:
    """Section 3.4."""
    view = service.status(run_id)
    return RunStatusAnswer.of(view.run, now=service.now(), logs_url=view.logs_url, stale=view.stale)


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
def workflows(
    service: Service, filters: NamedDependency[WorkflowFilters], request: AnyRequest
) -> Response[list[WorkflowItem]]:
    """Section 3.5."""
    where = WorkflowFilter(status=filters.status, source_type=filters.source_type, owner=filters.owner)
    page = service.workflows(where, filters.page(parts=1))
    return listing(
        page,
        lambda view: WorkflowItem.of(view.workflow, last_run=view.last_run, next_run=view.next_run, now=view.now),
        filters=filters,
        scope=request.scope,
    )


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
def history(
    service: Service, filters: NamedDependency[HistoryFilters], request: AnyRequest
) -> Response[list[HistoryItem]]:
    """Section 3.6."""
    where = HistoryFilter(dataset_name=filters.dataset_name, start_date=filters.start_date, end_date=filters.end_date)
    page = service.history(where, filters.page(parts=2))
    now = service.now()
    return listing(page, lambda run: HistoryItem.of(run, now=now), filters=filters, scope=request.scope)


_PAUSE_ERRORS: Final = (errors.WorkflowNotFound, errors.AirflowUnavailable, errors.DatabaseUnavailable)


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/pause",
    Contract(
        operation_id="pauseWorkflow",
        tag=WORKFLOWS,
        summary="Start no more runs",
        description="Runs under way go on. One that is paused already keeps its first reason. Section 3.7.",
        payload=PauseRequest,
        payload_optional=True,
        answer=PauseAnswer,
        errors=_PAUSE_ERRORS,
    ),
)
def pause(
    service: Service, dataset_name: DatasetName, payload: NamedDependency[PauseRequest], caller: Asking
) -> PauseAnswer:
    """Section 3.7."""
    return PauseAnswer.of(service.pause(dataset_name, payload.reason, caller=caller))


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/unpause",
    Contract(
        operation_id="unpauseWorkflow",
        tag=WORKFLOWS,
        summary="Let a workflow run again",
        description="Nothing changes for one that is not paused. Section 3.7.",
        payload=NoFields,
        payload_optional=True,
        answer=PauseAnswer,
        errors=_PAUSE_ERRORS,
    ),
)
def unpause(service: Service, dataset_name: DatasetName, caller: Asking) -> PauseAnswer:
    """Section 3.7."""
    return PauseAnswer.of(service.unpause(dataset_name, caller=caller))


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}",
    Contract(
        operation_id="getWorkflow",
        tag=WORKFLOWS,
        summary="One workflow with its spec",
        description="What the list says of it, the YAML, and how far Airflow has followed.",
        answer=WorkflowDetailAnswer,
        errors=(errors.WorkflowNotFound, errors.DatabaseUnavailable),
    ),
)
def workflow(service: Service, dataset_name: DatasetName) -> WorkflowDetailAnswer:
    """One workflow."""
    view = service.workflow(dataset_name)
    return WorkflowDetailAnswer.of(view.workflow, last_run=view.last_run, next_run=view.next_run, now=view.now)


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
    ),
    threaded=False,
)
async def healthz() -> AliveAnswer:
    """Alive; holds no thread, so that it answers even while all of them are busy."""
    return AliveAnswer()


@endpoint(
    "GET",
    "/readyz",
    Contract(
        operation_id="getReady",
        tag=HEALTH,
        summary="Whether the database, the storage and Airflow can be used",
        description="200 if all three can, 503 with the same body if one cannot.",
        answer=HealthAnswer,
        filters=None,
        other_answers={503: HealthAnswer},
    ),
)
def readyz(service: Service) -> Response[HealthAnswer]:
    """Ready to work."""
    health = service.health()
    answer = HealthAnswer(
        status="ok" if health.ok else "unavailable",
        database=_system(health.database),
        storage=_system(health.storage),
        airflow=_system(health.airflow),
    )
    if health.ok:
        return Response(answer)
    return Response(answer, status_code=503, headers={"Retry-After": str(RETRY_AFTER)})


def _system(health: SystemHealth) -> SystemAnswer:
    parts = {name: str(state) for name, state in health.parts.items()}
    return SystemAnswer(status="ok" if health.ok else "unavailable", detail=health.detail, parts=parts or None)


ROUTES: Final[tuple[HTTPRouteHandler, ...]] = (
    register,
    run,
    run_status,
    workflows,
    history,
    pause,
    unpause,
    workflow,
    healthz,
    readyz,
)
