"""The ports in memory: for tests, and for programs that embed the library without servers. Verified by the same suites."""

from __future__ import annotations

from datetime import UTC, datetime

from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.fakes.workflow import InMemoryWorkflows
from workflow_core.service import WorkflowService

__all__ = ["InMemoryAirflow", "InMemoryStorage", "InMemoryWorkflows", "ManualClock", "in_memory_service"]


def in_memory_service(*, at: datetime | None = None) -> WorkflowService:
    """A service over the four fakes. Its clock stands at ``at`` (now, unless given) and moves when the service waits.

    Give the fakes to :class:`~workflow_core.service.WorkflowService` yourself to hold on to them.
    """
    clock = ManualClock(at or datetime.now(UTC))
    storage = InMemoryStorage()
    return WorkflowService(
        workflows=InMemoryWorkflows(),
        airflow=InMemoryAirflow(storage=storage, clock=clock),
        storage=storage,
        clock=clock,
    )
