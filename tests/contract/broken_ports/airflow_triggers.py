"""Triggers of runs, each time with one rule broken."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any

from attrs import asdict, evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.errors import AirflowRefused, DagNotFound
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.airflow_dags import FakeDag, FakeRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.domain.run import AirflowRun


class _OfTheDayBefore(FakeRun):
    @property
    def data_interval(self) -> tuple[datetime, datetime] | None:
        return None if self.logical_date is None else (self.logical_date - timedelta(days=1), self.logical_date)


class _NoLock:
    def __enter__(self) -> None:
        """Let every thread in."""

    def __exit__(self, *_: object) -> None:
        """Release nothing."""


class SameIdStartsAgain(InMemoryAirflow):
    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        return None


class SameIdIsRefused(InMemoryAirflow):
    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        if super()._existing(dag_id, run_id):
            msg = "409"
            raise AirflowRefused(msg)
        return None


class SameIdIsTheSameInEveryDag(InMemoryAirflow):
    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        return next((run for run in self._runs.values() if run.run_id == run_id), None)


class NoLock(InMemoryAirflow):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._lock: Any = _NoLock()

    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        existing = super()._existing(dag_id, run_id)
        self._clock.sleep(0.001)
        sleep(0.01)  # the time that a server may need between the read and the write
        return existing


class ConfIsLost(InMemoryAirflow):
    def trigger(
        self, dag_id: str, run_id: str, *, conf: Mapping[str, Any], logical_date: datetime | None = None
    ) -> AirflowRun:
        return super().trigger(dag_id, run_id, conf={}, logical_date=logical_date)


class ConfIsToldButLost(InMemoryAirflow):
    def trigger(
        self, dag_id: str, run_id: str, *, conf: Mapping[str, Any], logical_date: datetime | None = None
    ) -> AirflowRun:
        return evolve(super().trigger(dag_id, run_id, conf={}, logical_date=logical_date), conf=conf)


class LogicalDateIsNow(InMemoryAirflow):
    def trigger(
        self, dag_id: str, run_id: str, *, conf: Mapping[str, Any], logical_date: datetime | None = None
    ) -> AirflowRun:
        return super().trigger(dag_id, run_id, conf=conf, logical_date=logical_date or self._clock.now())


class LogicalDateIsDropped(InMemoryAirflow):
    def trigger(
        self, dag_id: str, run_id: str, *, conf: Mapping[str, Any], logical_date: datetime | None = None
    ) -> AirflowRun:
        return super().trigger(dag_id, run_id, conf=conf)


class TakenDateIsTakenAgain(InMemoryAirflow):
    _refuse_taken_date = nothing


class TakenDateIsAnyRefusal(InMemoryAirflow):
    def _refuse_taken_date(self, dag_id: str, logical_date: datetime | None) -> None:
        try:
            super()._refuse_taken_date(dag_id, logical_date)
        except AirflowRefused:
            raise AirflowRefused("") from None


class DateIsLookedAtBeforeTheId(InMemoryAirflow):
    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        existing = super()._existing(dag_id, run_id)
        if existing is not None:
            self._refuse_taken_date(dag_id, existing.logical_date)
        return existing


class UnknownDagIsAnyRefusal(InMemoryAirflow):
    def _require_dag(self, dag_id: str) -> FakeDag:
        try:
            return super()._require_dag(dag_id)
        except DagNotFound:
            raise AirflowRefused("") from None


class UnknownDagTakesRuns(InMemoryAirflow):
    def _require_dag(self, dag_id: str) -> FakeDag:
        return self._dags.get(dag_id) or FakeDag(dag_id=dag_id)


class AnyRunIdIsTaken(InMemoryAirflow):
    _refuse_bad_run_id = nothing


class AnyConfIsTaken(InMemoryAirflow):
    _refuse_bad_conf = nothing


class LostAnswersAreUnavailable(InMemoryAirflow):
    def lose_answers(self, effect: Effect, *, times: int = 1) -> None:
        self.go_down()


class LostAnswersAreLostRequests(InMemoryAirflow):
    def lose_answers(self, effect: Effect, *, times: int = 1) -> None:
        super().lose_answers(Effect.NOT_DONE, times=times)


class IntervalIsOfTheSchedule(InMemoryAirflow):
    def _start(self, *facts: Any, **more: Any) -> AirflowRun:
        started = super()._start(*facts, **more)
        run = _OfTheDayBefore(**asdict(self._runs[started.dag_id, started.run_id], recurse=False))
        self._runs[run.key] = run
        return started
