"""How a broken port is put into the database in memory."""

from __future__ import annotations

from typing import Any

from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.store import Store
from workflow_core.ports.database import PORTS


def _do_nothing(*_: object) -> None:
    """Replace a rule."""


nothing: Any = _do_nothing


def database_of(broken: Any) -> InMemoryDatabase:
    """The database in memory with this class in the place of the one that it inherits from.

    The class is a store, a port or a database. A class that breaks its rule in two places names the second one as ``also``.
    """
    if issubclass(broken, InMemoryDatabase):
        database: InMemoryDatabase = broken()
        return database
    database = InMemoryDatabase(broken()) if issubclass(broken, Store) else InMemoryDatabase()
    for kind in (broken, getattr(broken, "also", broken)):
        for name in PORTS:
            if issubclass(kind, type(getattr(database, name))):
                setattr(database, name, kind(database.store))
    return database
