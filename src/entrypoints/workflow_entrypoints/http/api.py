"""What HTTP needs of the API for one caller. Litestar resolves the annotations at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from litestar import Request
from litestar.di import NamedDependency

from workflow_core.api import WorkflowApi

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.api import ReadyAnswer
    from workflow_core.api.base import Answer
    from workflow_core.usecases.commands.idempotency import IdempotentResult

AnyRequest: TypeAlias = Request[Any, Any, Any]


class ServedApi(WorkflowApi, Protocol):
    """The calls, readiness, and idempotency keys."""

    @property
    def has_key(self) -> bool:
        """Whether the request carries an idempotency key."""
        ...

    def idempotent(self, ask: Callable[[ServedApi], Answer]) -> IdempotentResult:
        """The answer of ``ask`` as JSON, or the stored answer of an earlier request with the same key.

        Raises:
            KeyReused, KeyInUse: the key belongs to another request, or to one that is still in progress.
        """
        ...

    def ready(self) -> ReadyAnswer:
        """Whether this process can answer requests."""
        ...


if TYPE_CHECKING:
    Api: TypeAlias = NamedDependency[ServedApi]
else:  # Litestar would check an instance against every method of the protocol, on every request
    Api = NamedDependency[Any]
