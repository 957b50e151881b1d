"""The probes, and the states that they answer. Litestar resolves the annotations at run time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar, cast

from litestar import Response
from pydantic import Field

from workflow_core.api import HealthAnswer, HealthStatus, ReadyAnswer, SystemAnswer
from workflow_core.api.base import Answer
from workflow_core.api.call import Call, NoFields
from workflow_core.api.calls import HEALTH, HEALTH_TAG
from workflow_entrypoints.http.api import AnyRequest, Api  # noqa: TC001 - Litestar resolves the annotations
from workflow_entrypoints.http.endpoint import endpoint
from workflow_entrypoints.http.errors import RETRY_AFTER

if TYPE_CHECKING:
    from workflow_entrypoints.http.access_log import WorkflowApp

_log = logging.getLogger(__name__)

READY_PATH: Final = "/readyz"

HealthOrReady = TypeVar("HealthOrReady", HealthAnswer, ReadyAnswer)


class AliveAnswer(Answer):
    """The process answers."""

    status: str = Field(default="ok", description="Always `ok`.")


ALIVE: Final = Call(
    name="alive",
    operation_id="getAlive",
    tag=HEALTH_TAG,
    method="GET",
    path="/healthz",
    body=NoFields,
    filters=None,
    answer=AliveAnswer,
    public=True,
    summary="Check that the process answers",
    description="Depends on no other system: restart the process if this does not answer.",
)
READY: Final = Call(
    name="ready",
    operation_id="getReady",
    tag=HEALTH_TAG,
    method="GET",
    path=READY_PATH,
    body=NoFields,
    filters=None,
    answer=ReadyAnswer,
    other_answers={503: ReadyAnswer},
    public=True,
    summary="Check that this process can answer requests",
    description="200 if the database is available and this process is not stopping, else 503 with the same body: send"
    " requests to another replica. Airflow and the object store do not count here: while they are unavailable, reads"
    " are still answered. Answers without credentials; where callers are authenticated, the details go to the log.",
)


@endpoint(ALIVE, threaded=False)
async def healthz() -> AliveAnswer:
    """Answer without a thread, so that the probe succeeds even while all threads are busy."""
    return AliveAnswer()


@endpoint(READY)
def readyz(api: Api, request: AnyRequest) -> Response[ReadyAnswer]:
    """Check the database."""
    return readiness(api.ready(), request)


@endpoint(HEALTH)
def dependencies(api: Api, request: AnyRequest) -> Response[HealthAnswer]:
    """Check every system that the service depends on."""
    health = api.health()
    if _is_guarded(request):
        names = ("database", "storage", "airflow", "worker")
        health = health.model_copy(update={name: _without_details(name, getattr(health, name)) for name in names})
    return _answered(health)


def readiness(ready: ReadyAnswer, request: AnyRequest) -> Response[ReadyAnswer]:
    """The response of a readiness probe, without details for unauthenticated callers."""
    if _is_guarded(request):
        ready = ready.model_copy(update={"database": _without_details("database", ready.database)})
    return _answered(ready)


def stopping() -> Response[ReadyAnswer]:
    """The response of :func:`readyz` while the process stops: at once, without asking the database."""
    system = SystemAnswer(status=HealthStatus.UNAVAILABLE, detail="not asked: this process is stopping")
    return _answered(ReadyAnswer(status=HealthStatus.UNAVAILABLE, database=system))


def _is_guarded(request: AnyRequest) -> bool:
    """Whether callers are authenticated, so that unauthenticated callers get no details."""
    return cast("WorkflowApp", request.app).is_guarded


def _answered(answer: HealthOrReady) -> Response[HealthOrReady]:
    """200, or 503 with the same body."""
    if answer.status is HealthStatus.OK:
        return Response(answer)
    return Response(answer, status_code=503, headers={"Retry-After": str(RETRY_AFTER)})


def _without_details(name: str, system: SystemAnswer) -> SystemAnswer:
    """The state without its details, which contain host names; these go to the log instead."""
    if system.status is not HealthStatus.OK:
        _log.warning("%s is unavailable: %s", name, system.detail)
    return SystemAnswer(status=system.status, detail=system.status.value)
