"""Ends of runs, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.errors import DagNotFound
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.ports.airflow import EndState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.fakes.airflow_dags import FakeRun


class EndIsIgnored(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        return self._seen(run)


class EndIsToldButIgnored(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        return evolve(self._seen(run), state=state.value, ended_at=self._clock.now())


class EndIsAlwaysFailed(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        return super()._end(run, EndState.FAILED)


class EndLeavesTasksAsTheyAre(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        before = run.task_states(self._clock.now())
        super()._end(run, state)
        ended = self._runs[run.key]
        assert ended.end is not None
        self._runs[run.key] = evolve(ended, end=evolve(ended.end, tasks=tuple(before)))
        return self._seen(ended)


class EndSkipsRunningTasks(InMemoryAirflow):
    def _task_states(self, run: FakeRun) -> Sequence[TaskState]:
        states = super()._task_states(run)
        if run.end is None:
            return states
        return [evolve(task, state="skipped") if task.state == "failed" else task for task in states]


class EndFailsEveryTask(InMemoryAirflow):
    def _task_states(self, run: FakeRun) -> Sequence[TaskState]:
        states = super()._task_states(run)
        return states if run.end is None else [evolve(task, state=run.end.run.state) for task in states]


class EndedRunsStayAsTheyAre(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        reported = self._seen(run)
        return reported if reported.ended_at else super()._end(run, state)


class EndIsMovedByARepeat(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        super()._end(run, state)
        ended = self._runs[run.key]
        assert ended.end is not None
        end = evolve(ended.end, run=evolve(ended.end.run, ended_at=self._clock.now()))
        self._runs[run.key] = evolve(ended, end=end)
        return self._seen(self._runs[run.key])


class EndOfAnUnknownRunRaises(InMemoryAirflow):
    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        ended = super().end_run(dag_id, run_id, state)
        if ended is None:
            raise DagNotFound(dag_id)
        return ended


class EndIsNotAChange(InMemoryAirflow):
    def _changed_at(self, run: FakeRun) -> datetime:
        return super()._changed_at(evolve(run, end=None))
