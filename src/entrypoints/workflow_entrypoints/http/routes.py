"""The routes: one for each row of the table of calls, and those by hand that need more.

Litestar resolves annotations at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import evolve
from litestar import Response
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from workflow_core.api.calls import CALLS, HEALTH, STATUS
from workflow_core.api.listing import Filters
from workflow_core.api.run import LONGEST_WAIT
from workflow_entrypoints.http.api import AnyRequest, Api  # noqa: TC001 - Litestar resolves the annotations
from workflow_entrypoints.http.conditional import matches, tagged
from workflow_entrypoints.http.endpoint import endpoint, regular
from workflow_entrypoints.http.health import dependencies, healthz, readyz
from workflow_entrypoints.http.long_poll import Waiting, events_of, preferred_wait, version_of

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from workflow_core.api import RunFilters, RunStatusAnswer

RunId: TypeAlias = FromPath[str]

FOLLOW_RUN: Final = evolve(
    STATUS,
    operation_id="followRun",
    path=f"{STATUS.path}/events",
    filters=Filters,
    waits=False,
    streams=True,
    summary="Follow the changes of a run as events",
    description="Server-sent events: each change is an event `run` with the run as its data and an id, until the run"
    " has ended. After a lost connection the client sends the id of the last event that it received as"
    " `Last-Event-ID`, and misses nothing; 204 if no events follow.",
)
"""A row that only HTTP has: the protocol has no streams."""


@endpoint(STATUS, threaded=False)
async def run_status(
    request: AnyRequest, api: Api, run_id: RunId, waiting: NamedDependency[Waiting]
) -> Response[bytes]:
    """The state of a run, after a wait for its next change if the request asks for one."""
    filters: RunFilters = request.state.filters
    preferred = preferred_wait(request.headers.get("prefer"), LONGEST_WAIT)
    seconds = filters.wait or preferred
    headers = {} if filters.wait or not seconds else {"Preference-Applied": f"wait={preferred}"}
    version = await waiting.version(run_id) if seconds else None  # first, so that no change falls between the two reads
    answer = await sync_to_thread(api.status, run_id)
    response = _tagged(answer, headers)
    etags = request.headers.get("if-none-match")
    if seconds and not answer.status.is_final and (etags is None or matches(etags, response.headers["ETag"])):
        await waiting.changed(run_id, version, seconds)
        response = _tagged(await sync_to_thread(api.status, run_id), headers)
    return response


def _tagged(answer: RunStatusAnswer, headers: dict[str, str]) -> Response[bytes]:
    return tagged(answer, headers=headers, passing_over=["duration_seconds"])


@endpoint(FOLLOW_RUN, threaded=False)
async def run_events(
    request: AnyRequest, api: Api, run_id: RunId, waiting: NamedDependency[Waiting]
) -> Response[None] | Stream:
    """Stream the changes of a run."""
    version = await waiting.version(run_id)
    answer = await sync_to_thread(api.status, run_id)
    last = version_of(request.headers.get("last-event-id"))
    if answer.status.is_final and last == version:
        return Response(None, status_code=204)
    waiting.admit()
    headers = {"X-Accel-Buffering": "no"}
    return Stream(events_of(api, waiting, run_id, last), media_type="text/event-stream", headers=headers)


_BY_HAND: Final[dict[str, tuple[HTTPRouteHandler, ...]]] = {
    STATUS.name: (run_status, run_events),
    HEALTH.name: (healthz, readyz, dependencies),
}

ROUTES: Final[tuple[HTTPRouteHandler, ...]] = tuple(
    route for call in CALLS.values() for route in _BY_HAND.get(call.name) or (regular(call),)
)
"""Every route of the API, in the order of the OpenAPI document."""
