"""The ports in memory, for tests and for programs that embed the library without servers.

The contract suites of the ports also verify them.
"""

from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.fakes.tokens import InMemoryTokens

__all__ = ["InMemoryAirflow", "InMemoryDatabase", "InMemoryStorage", "InMemoryTokens", "ManualClock"]
