"""The routes of backfills: section 3.2 of the specification, and how one is watched, paused, resumed and stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from workflow_core import errors
from workflow_core.api import (
    BackfillAnswer,
    BackfillFilters,
    BackfillItem,
    BackfillReasonRequest,
    BackfillRequest,
    BackfillStatusAnswer,
)
from workflow_entrypoints.http.endpoint import Contract, endpoint
from workflow_entrypoints.http.query import listing
from workflow_entrypoints.http.shared import ROOT, AnyRequest, Api, DatasetName, NoFields

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

BACKFILLS: Final = "Backfills"
ONE: Final = f"{ROOT}/backfills/{{backfill_id:str}}"

BackfillId: TypeAlias = FromPath[str]

_STEERED: Final = (
    errors.BackfillNotFound,
    errors.BackfillNotActive,
    errors.WorkflowPermissionDenied,
    errors.DatabaseUnavailable,
)


@endpoint(
    "POST",
    f"{ROOT}/{{dataset_name:str}}/backfill",
    Contract(
        operation_id="backfillWorkflow",
        tag=BACKFILLS,
        summary="Run a workflow for each date of a range",
        description="Accept one run for each date and send the first of them; the service sends the others. Section 3.2.",
        status=202,
        payload=BackfillRequest,
        answer=BackfillAnswer,
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
def backfill(api: Api, dataset_name: DatasetName, payload: NamedDependency[BackfillRequest]) -> BackfillAnswer:
    """Section 3.2."""
    return api.backfill(dataset_name, payload)


@endpoint(
    "GET",
    f"{ROOT}/{{dataset_name:str}}/backfills",
    Contract(
        operation_id="listBackfills",
        tag=BACKFILLS,
        summary="Backfills of a workflow, latest first",
        description="Those of a workflow that has been unregistered stay.",
        many=True,
        answer=BackfillItem,
        filters=BackfillFilters,
        errors=(errors.WorkflowNotFound, errors.DatabaseUnavailable),
    ),
)
def backfills(
    api: Api, dataset_name: DatasetName, filters: NamedDependency[BackfillFilters], request: AnyRequest
) -> Response[list[BackfillItem]]:
    """Those of a workflow."""
    return listing(api.backfills(dataset_name, filters), filters=filters, scope=request.scope)


@endpoint(
    "GET",
    ONE,
    Contract(
        operation_id="getBackfill",
        tag=BACKFILLS,
        summary="One backfill with each of its dates",
        description="How each run stands, how many of each status there are, and when it will probably have ended.",
        answer=BackfillStatusAnswer,
        errors=(errors.BackfillNotFound, errors.DatabaseUnavailable),
    ),
)
def backfill_status(api: Api, backfill_id: BackfillId) -> BackfillStatusAnswer:
    """One backfill."""
    return api.backfill_status(backfill_id)


@endpoint(
    "POST",
    f"{ONE}/pause",
    Contract(
        operation_id="pauseBackfill",
        tag=BACKFILLS,
        summary="Send no more of its runs",
        description="Runs under way go on. One that is paused already keeps its first reason.",
        payload=BackfillReasonRequest,
        payload_optional=True,
        answer=BackfillItem,
        errors=_STEERED,
    ),
)
def pause_backfill(api: Api, backfill_id: BackfillId, payload: NamedDependency[BackfillReasonRequest]) -> BackfillItem:
    """Pause."""
    return api.pause_backfill(backfill_id, payload)


@endpoint(
    "POST",
    f"{ONE}/resume",
    Contract(
        operation_id="resumeBackfill",
        tag=BACKFILLS,
        summary="Go on with it",
        description="Over whatever failed until now. Nothing changes for one that is not paused.",
        payload=NoFields,
        payload_optional=True,
        answer=BackfillItem,
        errors=(*_STEERED, errors.WorkflowNotFound, errors.WorkflowPaused, errors.WorkflowNotRunnable),
    ),
)
def resume_backfill(api: Api, backfill_id: BackfillId) -> BackfillItem:
    """Resume."""
    return api.resume_backfill(backfill_id)


@endpoint(
    "POST",
    f"{ONE}/stop",
    Contract(
        operation_id="stopBackfill",
        tag=BACKFILLS,
        summary="End it before its time",
        description="What was not sent is cancelled, what is under way is stopped; STOPPED when all of it has ended.",
        payload=BackfillReasonRequest,
        payload_optional=True,
        answer=BackfillItem,
        errors=_STEERED,
    ),
)
def stop_backfill(api: Api, backfill_id: BackfillId, payload: NamedDependency[BackfillReasonRequest]) -> BackfillItem:
    """Stop."""
    return api.stop_backfill(backfill_id, payload)


BACKFILL_ROUTES: Final[tuple[HTTPRouteHandler, ...]] = (
    backfill,
    backfills,
    backfill_status,
    pause_backfill,
    resume_backfill,
    stop_backfill,
)
