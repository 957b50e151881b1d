"""The database as a whole, each time with one rule broken."""

from __future__ import annotations

import json
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Any

from attrs import evolve

from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.domain.workflow import Workflow


class NoLock(Store):
    @contextmanager
    def transaction(self, method: str) -> Iterator[None]:
        if self.is_down:
            with super().transaction(method):
                yield
        yield

    def holder_of_dag(self, dag_id: str) -> Workflow | None:
        holder = super().holder_of_dag(dag_id)
        sleep(0.01)  # the time that a database may take between the check and the write
        return holder


class VersionStays(Store):
    def with_next_version(self, entity: Any) -> Any:
        return entity


class EntitiesAreShared(Store):
    def kept(self, entity: Any) -> Any:
        return entity


class ParamsAreText(Store):
    def kept(self, entity: Any) -> Any:
        kept = super().kept(entity)
        return (
            evolve(kept, params=json.loads(json.dumps(kept.params), parse_float=str))
            if hasattr(kept, "params")
            else kept
        )


class ReasonIsForgotten(Store):
    def kept(self, entity: Any) -> Any:
        kept = super().kept(entity)
        pause = getattr(kept, "pause", None)
        return evolve(kept, pause=evolve(pause, reason=None)) if pause else kept


class GoneIsCounted(InMemoryDatabase):
    def _is_counted(self, _workflow: Any) -> bool:
        return True


class LeavingIsNotCounted(InMemoryDatabase):
    def _is_counted(self, workflow: Any) -> bool:
        return not workflow.phase.has_left


class EndedRunsAreCounted(InMemoryDatabase):
    def _counts_as_active(self, _run: Any) -> bool:
        return True


class DeafToItsOutage(InMemoryDatabase):
    def check(self) -> None:
        pass
