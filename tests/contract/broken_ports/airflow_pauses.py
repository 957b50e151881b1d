"""Pauses of DAGs, each time with one rule broken."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.fakes.airflow import InMemoryAirflow

if TYPE_CHECKING:
    from workflow_core.domain.run import AirflowRun
    from workflow_core.fakes.airflow_dags import FakeDag, FakeRun
    from workflow_core.ports.airflow import EndState


class RunsOfAPausedDagGoOn(InMemoryAirflow):
    def _change_pause(self, dag: FakeDag, *, paused: bool) -> None:
        now = self._clock.now()
        started = {key: run for key, run in self._runs.items() if run.starts_at is not None and run.starts_at <= now}
        super()._change_pause(dag, paused=paused)
        self._runs |= started


class PausingFreezesStartedTasks(InMemoryAirflow):
    def _change_pause(self, dag: FakeDag, *, paused: bool) -> None:
        super()._change_pause(dag, paused=paused)
        if paused:
            frozen = [run for run in self._runs.values() if run.dag_id == dag.dag_id and run.pauses]
            ever = self._clock.now().min.replace(tzinfo=UTC)
            self._runs |= {run.key: evolve(run, pauses=((ever, None),)) for run in frozen}


class UnpausingForgetsStartedRuns(InMemoryAirflow):
    def _change_pause(self, dag: FakeDag, *, paused: bool) -> None:
        held = {key: run for key, run in self._runs.items() if run.pauses}
        super()._change_pause(dag, paused=paused)
        self._runs |= held


class RunsOfAPausedDagCannotBeEnded(InMemoryAirflow):
    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        return self._seen(run) if run.pauses else super()._end(run, state)


class QueuedRunsAreNotUnderWay(InMemoryAirflow):
    def _is_under_way(self, run: FakeRun) -> bool:
        return run.seen(self._clock.now()).state == "running"


class RunningRunsAreNotUnderWay(InMemoryAirflow):
    def _is_under_way(self, run: FakeRun) -> bool:
        return run.seen(self._clock.now()).state == "queued"


class EveryRunIsUnderWay(InMemoryAirflow):
    def _is_under_way(self, run: FakeRun) -> bool:
        return True


class RunsOfEveryDagAreUnderWay(InMemoryAirflow):
    def runs_under_way(self, dag_id: str) -> int:
        return sum(super(RunsOfEveryDagAreUnderWay, self).runs_under_way(name) for name in self._dags)


class RunsOfAnUnknownDagRaise(InMemoryAirflow):
    def runs_under_way(self, dag_id: str) -> int:
        with self._reached():
            self._require_dag(dag_id)
        return super().runs_under_way(dag_id)


class PauseIsIgnored(InMemoryAirflow):
    _change_pause = nothing


class PauseIsSwitched(InMemoryAirflow):
    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        super().set_paused(dag_id, paused=not self._require_dag(dag_id).is_paused)


class UnknownDagIsPaused(InMemoryAirflow):
    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        with self._reached():
            is_served = dag_id in self._dags
        if is_served:
            super().set_paused(dag_id, paused=paused)


class PauseIsNoObstacle(InMemoryAirflow):
    def _start(self, dag_id: str, *rest: Any, **facts: Any) -> AirflowRun:
        dag = self._require_dag(dag_id)
        self._dags[dag_id] = evolve(dag, is_paused=False)
        started = super()._start(dag_id, *rest, **facts)
        self._dags[dag_id] = dag
        return started


class RunsOfAGoneDagAreGone(InMemoryAirflow):
    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        run = super().run(dag_id, run_id)
        return run if dag_id in self._dags else None
