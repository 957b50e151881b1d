"""Databases with wrapped ports or with another store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflow_core.ports.database import PORTS

if TYPE_CHECKING:
    from collections.abc import Callable


class Wrapped:
    """A database with a wrapper around each port."""

    def __init__(self, database: Any, wrap: Callable[[Any], Any]) -> None:
        self._whole = wrap(database)
        for name in PORTS:
            setattr(self, name, wrap(getattr(database, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


def each_port(database: Any, wrap: Callable[[Any], Any]) -> Any:
    """The database with each of its ports behind ``wrap``."""
    return Wrapped(database, wrap)
