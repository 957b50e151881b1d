"""The service over the four fakes, for a first try and for tests of programs that embed the library."""

from __future__ import annotations

from datetime import UTC, datetime

from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.service import WorkflowService


def in_memory_service(*, at: datetime | None = None) -> WorkflowService:
    """A service over the four fakes. Its clock stands at ``at`` (now, unless given) and moves when the service waits.

    ``service.context`` holds the fakes.
    """
    clock = ManualClock(at or datetime.now(UTC))
    storage = InMemoryStorage()
    return WorkflowService(
        database=InMemoryDatabase(),
        airflow=InMemoryAirflow(storage=storage, clock=clock),
        storage=storage,
        clock=clock,
    )
