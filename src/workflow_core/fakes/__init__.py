"""The ports in memory: for tests, and for programs that embed the library without servers. Verified by the same suites."""

from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.fakes.workflow import InMemoryWorkflows

__all__ = ["InMemoryAirflow", "InMemoryStorage", "InMemoryTokens", "InMemoryWorkflows", "ManualClock"]
