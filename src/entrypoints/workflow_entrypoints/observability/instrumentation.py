"""The seam where what a port does is watched: measured, traced, or both. Neither the core nor an adapter knows of it."""

from __future__ import annotations

from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from workflow_core.ports.database import PORTS, Database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

T = TypeVar("T")


class System(StrEnum):
    """Who is asked."""

    AIRFLOW = "airflow"
    DATABASE = "database"
    STORAGE = "storage"
    WORKER = "worker"
    """The service itself, by its worker."""


class Instrument(Protocol):
    """Somebody who wants to know of every call."""

    def call(self, system: System, operation: str) -> AbstractContextManager[Any]:
        """Around one call. ``operation`` is the name of a method of the port, of which there are few. The call's error goes through."""
        ...


_NO_CALL: Final = frozenset({"url", "logs_url"})
"""Methods that ask nobody."""

_ALL_AT_ONCE: Final = frozenset({(System.STORAGE, "list")})
"""Methods that answer while they are being listened to. What is watched is the whole answer."""


def instrumented(port: T, protocol: type, system: System, watches: Sequence[Instrument]) -> T:
    """``port``, with every call of a method of ``protocol`` watched; its other methods are the same. Without watches, ``port`` itself."""
    if not watches:
        return port
    methods = _methods(port, protocol, system, watches)
    return cast("T", type(f"Watched{type(port).__name__}", (), methods)())


def instrumented_database(database: Database, watches: Sequence[Instrument]) -> Database:
    """``database`` with every call of each of its ports watched. Without watches, ``database`` itself."""
    if not watches:
        return database
    ports = {
        name: instrumented(getattr(database, name), port, System.DATABASE, watches) for name, port in PORTS.items()
    }
    methods = _methods(database, Database, System.DATABASE, watches)
    return cast("Database", type(f"Watched{type(database).__name__}", (), methods | ports)())


def _methods(port: object, protocol: type, system: System, watches: Sequence[Instrument]) -> dict[str, Any]:
    called = {name for kind in protocol.__mro__ for name in vars(kind) if not name.startswith("_")} - _NO_CALL
    methods: dict[str, Any] = {}
    for name in dir(port):
        method = getattr(port, name)
        if name.startswith("_") or not callable(method):
            continue
        methods[name] = staticmethod(_watched(method, name, system, watches) if name in called else method)
    return methods


def _watched(
    method: Callable[..., Any], name: str, system: System, watches: Sequence[Instrument]
) -> Callable[..., Any]:
    at_once = (system, name) in _ALL_AT_ONCE
    call = method
    for watch in reversed(watches):
        call = _watched_by(watch, call, system, name, at_once=at_once)
    return call


def _watched_by(
    watch: Instrument, method: Callable[..., Any], system: System, name: str, *, at_once: bool
) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with watch.call(system, name):
            found = method(*args, **kwargs)
            return iter(list(found)) if at_once else found

    return call
