"""What a route promises: one object that reading, answering and the OpenAPI document are all made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, evolve, frozen
from litestar.handlers import HTTPRouteHandler

from workflow_core.api.listing import Filters
from workflow_entrypoints.http.conditional import answering_tagged
from workflow_entrypoints.http.idempotency import answering_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litestar.types import Method

    from workflow_core.api.base import Answer, Request
    from workflow_core.errors import WorkflowError

CONTRACT: Final = "contract"
"""Where a Litestar handler keeps its contract (``handler.opt``)."""


@frozen(kw_only=True)
class Contract:
    """``answer`` is the body under ``status``, with ``many`` the item of a list. ``errors`` are those of the use case:
    what any request can meet is added by itself. ``conditional`` routes understand ``If-Match``, which names a revision; the ETag of
    ``revisioned`` ones begins with it. A route that ``waits`` understands ``Prefer: wait``, one that
    ``streams`` answers events with the ``answer`` as their data. ``other_answers`` are further bodies, by status, that are no problems.
    ``public`` routes answer everybody. ``changes``: neither a GET nor a question (``asks``); these understand ``Idempotency-Key``.
    """

    operation_id: str
    tag: str
    summary: str
    description: str
    answer: type[Answer]
    status: int = 200
    many: bool = False
    payload: type[Request] | None = None
    payload_optional: bool = False
    filters: type[Filters] | None = Filters
    errors: tuple[type[WorkflowError], ...] = ()
    conditional: bool = False
    revisioned: bool = False
    waits: bool = False
    streams: bool = False
    asks: bool = False
    public: bool = False
    changes: bool = False
    other_answers: Mapping[int, type[Answer]] = Factory(dict)

    def is_tagged(self, method: str) -> bool:
        """Whether its answers carry an ETag: those of every GET but for streams and probes."""
        return method == "GET" and not (self.streams or self.public)


def endpoint(
    method: Method, path: str, contract: Contract, *, threaded: bool = True
) -> Callable[..., HTTPRouteHandler]:
    """A Litestar handler under this contract. Handlers are sync and run in threads, unless they are told not to."""
    changes = method != "GET" and not contract.asks
    made = HTTPRouteHandler(
        path,
        http_method=["GET", "HEAD"] if method == "GET" else [method],
        status_code=contract.status,
        sync_to_thread=True if threaded else None,
        name=contract.operation_id,
        opt={CONTRACT: evolve(contract, changes=changes)},
    )
    if changes:
        return lambda handler: made(answering_once(handler))
    if contract.is_tagged(method) and threaded:
        return lambda handler: made(answering_tagged(handler, revisioned=contract.revisioned))
    return made


def contract_of(handler: Any) -> Contract | None:
    """The contract of a Litestar handler; None for those that are not part of the API."""
    found = handler.opt.get(CONTRACT)
    return found if isinstance(found, Contract) else None
