"""The database in memory, each time with one rule of its ports broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.contract.broken_ports import (
    audit,
    backfills,
    code_objects,
    database,
    idempotency,
    leases,
    observations,
    pagination,
    runs,
    visibility,
    workflows,
)
from tests.contract.broken_ports.harness import database_of
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.testing.database import DatabaseContract
from workflow_core.testing.database.facts import InMemoryFacts

MODULES = (
    audit,
    backfills,
    code_objects,
    database,
    idempotency,
    leases,
    observations,
    pagination,
    runs,
    visibility,
    workflows,
)
BROKEN = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and kind.__module__ == module.__name__
]


class TestBroken(DatabaseContract):
    """The suite; ``until_red.py`` runs it against each of ``kinds`` in turn."""

    kinds: ClassVar[list[type]] = [InMemoryDatabase, *BROKEN]
    kind: type

    @pytest.fixture
    def database(self) -> InMemoryDatabase:
        return database_of(self.kind)

    @pytest.fixture
    def behind(self, database: InMemoryDatabase) -> Any:
        return InMemoryFacts(database)

    @pytest.fixture
    def unreachable(self) -> InMemoryDatabase:
        database = database_of(self.kind)
        database.go_down()
        return database
