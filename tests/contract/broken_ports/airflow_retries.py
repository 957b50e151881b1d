"""Clears of runs, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.errors import DagNotFound
from workflow_core.fakes.airflow import InMemoryAirflow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.run import TaskState
    from workflow_core.fakes.airflow_dags import FakeDag, FakeRun


class ClearIsIgnored(InMemoryAirflow):
    _clear = nothing


class ClearedTasksStayAsTheyAre(InMemoryAirflow):
    def _task_states(self, run: FakeRun) -> Sequence[TaskState]:
        states = super()._task_states(run)
        return [evolve(task, try_number=min(1, task.try_number)) for task in states]


class ClearedRunsAreNotQueued(InMemoryAirflow):
    def _clear(self, run: FakeRun, dag: FakeDag, task_ids: Sequence[str] | None) -> None:
        super()._clear(run, dag, task_ids)
        self._runs[run.key] = evolve(self._runs[run.key], starts_at=self._clock.now())


class EveryTaskIsCleared(InMemoryAirflow):
    def _clear(self, run: FakeRun, dag: FakeDag, task_ids: Sequence[str] | None) -> None:
        super()._clear(run, dag, None)


class ClearIsNotAChange(InMemoryAirflow):
    def _changed_at(self, run: FakeRun) -> datetime:
        return run.queued_at if run.cleared_at and run.starts_at is None else super()._changed_at(run)


class ClearOfAnUnknownRunRaises(InMemoryAirflow):
    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        exists = super().clear_run(dag_id, run_id, task_ids)
        if not exists:
            raise DagNotFound(dag_id)
        return exists


class EveryRunIsKnown(InMemoryAirflow):
    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        super().clear_run(dag_id, run_id, task_ids)
        return True
