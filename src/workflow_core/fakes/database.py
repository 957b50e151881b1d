"""``Database`` in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from workflow_core.domain.counts import Counts
from workflow_core.domain.workflow import Phase
from workflow_core.fakes.audit import InMemoryAudit
from workflow_core.fakes.backfills import InMemoryBackfills
from workflow_core.fakes.code_objects import InMemoryCodeObjects
from workflow_core.fakes.idempotency import InMemoryIdempotency
from workflow_core.fakes.leases import InMemoryLeases
from workflow_core.fakes.observations import InMemoryObservations
from workflow_core.fakes.store import Store
from workflow_core.fakes.workflows import InMemoryWorkflows

if TYPE_CHECKING:
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow


class InMemoryDatabase:
    """:class:`~workflow_core.ports.database.Database` in the memory of this process; threads may share it.

    The ports share one :class:`~workflow_core.fakes.store.Store`.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.workflows = InMemoryWorkflows(self.store)
        self.backfills = InMemoryBackfills(self.store)
        self.observations = InMemoryObservations(self.store)
        self.audit = InMemoryAudit(self.store)
        self.idempotency = InMemoryIdempotency(self.store)
        self.code_objects = InMemoryCodeObjects(self.store)
        self.leases = InMemoryLeases(self.store)

    def go_down(self) -> None:
        """Every method of every port raises :class:`DatabaseUnavailable` until :meth:`come_back`."""
        self.store.go_down()

    def come_back(self) -> None:
        """Undo :meth:`go_down` and :meth:`fail`."""
        self.store.come_back()

    def fail(self, method: str, *, times: int = 1) -> None:
        """The next ``times`` calls of the method of this name, of any port, raise :class:`DatabaseUnavailable`."""
        self.store.fail(method, times=times)

    def counts(self) -> Counts:
        with self.store.transaction("counts"):
            return Counts(
                workflows=Counter(held.phase for held in self.store.workflows.values() if self._is_counted(held)),
                runs=Counter(run.status for run in self.store.runs.values() if self._counts_as_active(run)),
            )

    def _is_counted(self, workflow: Workflow) -> bool:
        return workflow.phase is not Phase.GONE

    def _counts_as_active(self, run: Run) -> bool:
        return not run.status.is_final

    def check(self) -> None:
        with self.store.transaction("check"):
            pass
