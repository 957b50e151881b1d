"""Observes the calls of a port: measures them, traces them, or both. Neither the core nor an adapter knows about it."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from workflow_adapters.delegation import delegating, methods_of
from workflow_core.ports.database import PORTS, Database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

T = TypeVar("T")


class System(StrEnum):
    """The system that is called."""

    AIRFLOW = "airflow"
    DATABASE = "database"
    STORAGE = "storage"
    WORKER = "worker"
    """The service itself, called by its worker."""


class Instrument(Protocol):
    """Observes calls."""

    def call(self, system: System, operation: str) -> AbstractContextManager[Any]:
        """Return a context manager that surrounds one call and lets its error through.

        Args:
            system: the system that is called.
            operation: the name of the port's method; there are few.
        """
        ...


_NO_CALL: Final = frozenset({"url", "logs_url"})
"""Methods that make no request."""

_STREAMED: Final = frozenset({(System.STORAGE, "list")})
"""Methods that fetch while their result is iterated. The call that is observed ends with the last item."""


def instrumented(port: T, protocol: type[T], system: System, instruments: Sequence[Instrument]) -> T:
    """Return ``port`` with every call of a method of ``protocol`` observed; its other methods are unchanged.

    Without instruments, return ``port`` itself.
    """
    if not instruments:
        return port
    observed = methods_of(protocol) - _NO_CALL
    names = {name for name in dir(port) if not name.startswith("_")} - observed
    unchanged = {name: member for name in names if callable(member := getattr(port, name))}
    for instrument in reversed(instruments):
        port = delegating(protocol, partial(_observe, port, system, instrument), **unchanged)
    return port


def instrumented_database(database: Database, instruments: Sequence[Instrument]) -> Database:
    """Return ``database`` with every call of each of its ports observed. Without instruments, return ``database`` itself."""
    if not instruments:
        return database
    observed = instrumented(database, Database, System.DATABASE, instruments)
    for name, port in PORTS.items():
        setattr(observed, name, instrumented(getattr(database, name), port, System.DATABASE, instruments))
    return observed


def _observe(port: object, system: System, instrument: Instrument, name: str, *args: Any, **kwargs: Any) -> Any:
    method: Callable[..., Any] = getattr(port, name)
    with instrument.call(system, name):
        result = method(*args, **kwargs)
        return iter(list(result)) if (system, name) in _STREAMED else result
