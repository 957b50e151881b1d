"""Imports the function of ``python_callable``: in Airflow's worker, right before the task runs, and never when a file
is parsed.

Airflow's DAG processor parses every few seconds, and also the DAGs of other teams; the author of a spec is trusted with
a worker only (``SECURITY.md``).
"""

from __future__ import annotations

import inspect
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.spec import SpecRules

_DEFERRED: Final = "deferred_import"


@frozen(kw_only=True)
class DeferredImport:
    """The path of a function, and the rules for where it may come from."""

    task_id: str
    path: str
    rules: SpecRules

    def load(self) -> Callable[..., Any]:
        """Import the function.

        Raises:
            ImportError: it does not exist, or comes from a module that specs may not use.
        """
        module, _, name = self.path.rpartition(".")
        try:
            function = getattr(import_module(module), name)
        except Exception as error:
            raise self._wrong(str(error)) from error
        if not callable(function):
            raise self._wrong("is not a function")
        origin = _origin(function)
        if origin is not None and not self.rules.allows_callable(origin):
            raise self._wrong(f"is {origin}, which WORKFLOWS_ALLOWED_CALLABLES does not allow")
        return function  # type: ignore[no-any-return]

    def _wrong(self, message: str) -> ImportError:
        return ImportError(f"task {self.task_id!r}: python_callable {self.path}: {message}")


def stand_in(deferred: DeferredImport) -> Callable[..., Any]:
    """Return the placeholder that an operator is constructed with: a plain function, which some operators require."""

    def not_imported(*_given: Any, **_named: Any) -> None:
        raise RuntimeError(f"{deferred.path} was not imported: its pre_execute hook did not run")

    setattr(not_imported, _DEFERRED, deferred)
    return not_imported


def import_callable(context: Any) -> None:
    """Import the function of the task of ``context``: the ``pre_execute`` hook of every task with a :func:`stand_in`."""
    task = context["ti"].task
    deferred = getattr(task.python_callable, _DEFERRED, None)
    if deferred is not None:
        task.python_callable = deferred.load()


def _origin(function: Any) -> str | None:
    """Return the path where a callable is defined, which may differ from that of its import; None if it has no such
    attribute.
    """
    while isinstance(function, partial):
        function = function.func
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function)
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else None
