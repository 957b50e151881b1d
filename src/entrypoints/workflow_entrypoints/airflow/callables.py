"""The function of ``python_callable``: imported by the worker, right before the task runs, and never when a file is parsed.

A parse happens in Airflow's DAG processor, every few seconds and beside the DAGs of other teams; the author of a spec is trusted with
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
    """A function by its path, and the rules for where it may come from."""

    task_id: str
    path: str
    rules: SpecRules

    def load(self) -> Callable[..., Any]:
        """Import the function.

        Raises:
            ImportError: there is none, or it comes from a module that specs may not use.
        """
        module, _, name = self.path.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except Exception as error:
            raise self._wrong(str(error)) from error
        if not callable(found):
            raise self._wrong("is no function")
        origin = _origin(found)
        if origin is not None and not self.rules.allows_callable(origin):
            raise self._wrong(f"is {origin}, which WORKFLOWS_ALLOWED_CALLABLES does not allow")
        return found  # type: ignore[no-any-return]

    def _wrong(self, message: str) -> ImportError:
        return ImportError(f"task {self.task_id!r}: python_callable {self.path}: {message}")


def stand_in(deferred: DeferredImport) -> Callable[..., Any]:
    """What an operator is constructed with: a plain function, which some of them insist on."""

    def not_imported(*_given: Any, **_named: Any) -> None:
        raise RuntimeError(f"{deferred.path} was not imported: the task has not started in the ordinary way")

    setattr(not_imported, _DEFERRED, deferred)
    return not_imported


def import_callable(context: Any) -> None:
    """Give the task of ``context`` its function: the ``pre_execute`` hook of every task with a :func:`stand_in`."""
    task = context["ti"].task
    deferred = getattr(task.python_callable, _DEFERRED, None)
    if deferred is not None:
        task.python_callable = deferred.load()


def _origin(found: Any) -> str | None:
    """Where a callable is defined, whatever name it was imported by; None: it does not say."""
    while isinstance(found, partial):
        found = found.func
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        found = type(found)
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else None
