"""Authorize every call before it runs, by its row in the table of calls (:mod:`workflow_core.api.calls`)."""

from __future__ import annotations

from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from workflow_core.api.call import Subject
from workflow_core.api.protocol import WorkflowApi
from workflow_core.domain.authorization import Verb, denied, may, may_everywhere, may_somewhere
from workflow_core.domain.names import check_dataset_name
from workflow_core.errors import BackfillNotFound, WorkflowNotFound, WorkflowRunNotFound
from workflow_core.usecases.context import require_backfill, require_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.api.call import Call
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.errors import NotFound
    from workflow_core.usecases.context import Context


class Guarded(Protocol):
    """What a call is checked with."""

    @property
    def caller(self) -> Caller:
        """The caller of every call."""
        ...

    @property
    def context(self) -> Context:
        """Where the workflow that a call concerns is looked up."""
        ...


S = TypeVar("S", bound=Guarded)
P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

_ROW: Final = "__call_row__"
_UNGUARDED: Final = "__unguarded__"


def call(row: Call[Any, Any]) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Decorate the method that answers a call: the caller is authorized before the method runs."""

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        parameter = row.names[0] if row.names else ""

        @wraps(method)
        def authorized(self: S, /, *given: P.args, **named: P.kwargs) -> R:
            name = given[0] if given else named.get(parameter, "")
            authorize(row, str(name), self.caller, self.context)
            return method(self, *given, **named)

        setattr(authorized, _ROW, row)
        return authorized

    return decorate


def unguarded(method: Callable[P, R]) -> Callable[P, R]:
    """Mark a public method that no caller reaches: the process around the service uses it."""
    setattr(method, _UNGUARDED, True)
    return method


def row_of(method: object) -> Call[Any, Any] | None:
    """The row by which calls of a method are authorized; None if they are not."""
    row: Call[Any, Any] | None = getattr(method, _ROW, None)
    return row


def checked(cls: C) -> C:
    """Decorate the class that answers calls.

    Raises:
        TypeError: A call of the protocol is missing, a method is decorated with the row of another call, or a public
            method is neither a call nor marked as :func:`unguarded`.
    """
    methods = {name: value for name, value in vars(cls).items() if isinstance(value, FunctionType) and name[0] != "_"}
    rows = {name: row_of(method) for name, method in methods.items() if not hasattr(method, _UNGUARDED)}
    wrong = [name for name, row in rows.items() if row is None or row.name != name]
    missing = [name for name in vars(WorkflowApi) if name[0] != "_" and name not in rows]
    if wrong or missing:
        msg = f"{cls.__name__}: not decorated with @call and the row of its name: {wrong}; missing: {missing}"
        raise TypeError(msg)
    return cls


def authorize(row: Call[Any, Any], name: str, caller: Caller, context: Context) -> None:
    """Return if the caller may make this call on the workflow, run or backfill called ``name``.

    Nothing is looked up for a caller who may make the call everywhere. What a caller may not view is answered as not found.
    BODY, LIST and NONE are not decided here: a use case checks the registered spec, a list holds only what the caller may view.

    Raises:
        PermissionDenied: The caller's grants do not suffice.
        InvalidRequest: The name or id is not a legal one.
        NotFound: It does not exist, or the caller may not view it.
    """
    verb, subject = row.verb, row.subject
    if verb is None or subject in _DECIDED_LATER or may_everywhere(caller, verb):
        return
    if subject is Subject.SOMEWHERE and may_somewhere(caller, verb):
        return
    if subject in {Subject.EVERYWHERE, Subject.SOMEWHERE}:
        raise denied(verb)
    workflow, not_found = _OWNERS[subject](name, context)
    if workflow is None or not may(caller, Verb.VIEW, workflow):
        not_found.conceals = True
        raise not_found
    if not may(caller, verb, workflow):
        raise denied(verb, workflow)


_DECIDED_LATER: Final = frozenset({Subject.BODY, Subject.LIST, Subject.NONE})


def _of_name(dataset_name: str, context: Context) -> tuple[Workflow | None, NotFound]:
    return context.db.workflows.workflow(check_dataset_name(dataset_name)), WorkflowNotFound(dataset_name)


def _of_run(run_id: str, context: Context) -> tuple[Workflow | None, NotFound]:
    not_found = WorkflowRunNotFound(run_id)
    try:
        run = require_run(run_id, context)
    except WorkflowRunNotFound:
        return None, not_found
    return context.db.workflows.workflow_by_id(run.workflow_id), not_found


def _of_backfill(backfill_id: str, context: Context) -> tuple[Workflow | None, NotFound]:
    backfill = require_backfill(backfill_id, context)
    return context.db.workflows.workflow_by_id(backfill.workflow_id), BackfillNotFound(backfill_id)


_OWNERS: Final[Mapping[Subject, Callable[[str, Context], tuple[Workflow | None, NotFound]]]] = {
    Subject.WORKFLOW: _of_name,
    Subject.RUN: _of_run,
    Subject.BACKFILL: _of_backfill,
}
