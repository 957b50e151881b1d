"""The fake, each time with one rule of the port broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

from datetime import UTC, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import asdict, evolve

from tests.contract.airflow_behind import BehindFake
from workflow_core.domain.run import RunType
from workflow_core.errors import AirflowRefused, AirflowUnavailable, DagNotFound
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.airflow_dags import FakeDag, FakeRun
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.ports.airflow import ChangedRuns, ComponentState, DagPage, EndState, ListedDag
from workflow_core.testing.airflow import AirflowContract

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import ServedDag

Key = tuple[str, str]
LOADERS = 4


def _do_nothing(*_: object) -> None:
    """In the place of a rule."""


_nothing: Any = _do_nothing


class _OfTheDayBefore(FakeRun):
    @property
    def data_interval(self) -> tuple[datetime, datetime] | None:
        return None if self.logical_date is None else (self.logical_date - timedelta(days=1), self.logical_date)


class _NoLock:
    def __enter__(self) -> None:
        """Let everybody in."""

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""


class PingForbidden(InMemoryAirflow):
    def ping(self) -> None:
        msg = "no"
        raise AirflowUnavailable(msg)


class PingNeverFails(InMemoryAirflow):
    def ping(self) -> None:
        """All is well, whatever happens."""


class HealthLeavesAPartOut(InMemoryAirflow):
    def health(self) -> Mapping[str, ComponentState]:
        return {name: state for name, state in super().health().items() if name != "dag_processor"}


class HealthNeverFails(InMemoryAirflow):
    def health(self) -> Mapping[str, ComponentState]:
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return dict.fromkeys(parts, ComponentState.HEALTHY)


class UnknownDagRaises(InMemoryAirflow):
    def dag(self, dag_id: str) -> ServedDag | None:
        with self._reached():
            return self._seen_dag(self._require_dag(dag_id))


class HashIsForgotten(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), spec_hash=None)


class ErrorIsForgotten(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), error=None)


class EveryDagIsOurs(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        seen = super()._seen_dag(dag)
        return evolve(seen, spec_hash=seen.spec_hash or "0000000000000000")


class NextRunIsForgotten(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), next_run=None)


class PauseStateIsInverted(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), is_paused=not dag.is_paused)


class OnePageOfDags(InMemoryAirflow):
    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        page = super().list_dags(0, limit=limit)
        return page if offset == 0 else evolve(page, dags=[], total=len(page.dags))


class PagesAreLargerThanAskedFor(InMemoryAirflow):
    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        return super().list_dags(offset)


class TotalIsThatOfThePage(InMemoryAirflow):
    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        page = super().list_dags(offset, limit=limit)
        return evolve(page, total=len(page.dags))


class ListedPauseIsInverted(InMemoryAirflow):
    def _listed_dag(self, seen: ServedDag) -> ListedDag:
        return evolve(super()._listed_dag(seen), is_paused=not seen.is_paused)


class ListedNextRunIsForgotten(InMemoryAirflow):
    def _listed_dag(self, seen: ServedDag) -> ListedDag:
        return evolve(super()._listed_dag(seen), next_run=None)


class EveryImportIsBroken(InMemoryAirflow):
    def _listed_dag(self, seen: ServedDag) -> ListedDag:
        return evolve(super()._listed_dag(seen), has_import_errors=True)


class WithdrawnDagsAreListed(InMemoryAirflow):
    _ever: tuple[ListedDag, ...] = ()

    def _listed(self) -> list[ListedDag]:
        now = super()._listed()
        known = {dag.dag_id for dag in now}
        self._ever = (*now, *(dag for dag in self._ever if dag.dag_id not in known))
        return list(self._ever)


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
        return sum(super(RunsOfEveryDagAreUnderWay, self).runs_under_way(one) for one in self._dags)


class RunsOfAnUnknownDagRaise(InMemoryAirflow):
    def runs_under_way(self, dag_id: str) -> int:
        with self._reached():
            self._require_dag(dag_id)
        return super().runs_under_way(dag_id)


class NothingIsParsed(InMemoryAirflow):
    def _read_specs(self, index: int) -> dict[str, FakeDag]:
        return {}


class AnotherFileIsParsed(InMemoryAirflow):
    def _loader_of(self, sentinel: str) -> int:
        return (super()._loader_of(sentinel) + 1) % LOADERS


class UnknownSentinelIsParsed(InMemoryAirflow):
    def _loader_of(self, sentinel: str) -> int:
        return self._sentinels.get(sentinel, 0)


class SecondParseIsRefused(InMemoryAirflow):
    _asked = False

    def request_parse(self, sentinel_dag_id: str) -> None:
        super().request_parse(sentinel_dag_id)
        if self._asked:
            msg = "already requested"
            raise AirflowRefused(msg)
        self._asked = True


class PauseIsIgnored(InMemoryAirflow):
    _change_pause = _nothing


class PauseIsSwitched(InMemoryAirflow):
    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        super().set_paused(dag_id, paused=not self._require_dag(dag_id).is_paused)


class UnknownDagIsPaused(InMemoryAirflow):
    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        with self._reached():
            known = dag_id in self._dags
        if known:
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
        found = super().run(dag_id, run_id)
        return found if dag_id in self._dags else None


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
        found = super()._existing(dag_id, run_id)
        self._clock.sleep(0.001)
        sleep(0.01)  # what a server may take between looking and writing
        return found


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
    _refuse_taken_date = _nothing


class TakenDateIsAnyRefusal(InMemoryAirflow):
    def _refuse_taken_date(self, dag_id: str, logical_date: datetime | None) -> None:
        try:
            super()._refuse_taken_date(dag_id, logical_date)
        except AirflowRefused:
            raise AirflowRefused("") from None


class DateIsLookedAtBeforeTheId(InMemoryAirflow):
    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        found = super()._existing(dag_id, run_id)
        if found is not None:
            self._refuse_taken_date(dag_id, found.logical_date)
        return found


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
    _refuse_bad_run_id = _nothing


class AnyConfIsTaken(InMemoryAirflow):
    _refuse_bad_conf = _nothing


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
        seen = self._seen(run)
        return seen if seen.ended_at else super()._end(run, state)


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
        found = super().end_run(dag_id, run_id, state)
        if found is None:
            raise DagNotFound(dag_id)
        return found


class EndIsNotAChange(InMemoryAirflow):
    def _changed_at(self, run: FakeRun) -> datetime:
        return super()._changed_at(evolve(run, end=None))


class ClearIsIgnored(InMemoryAirflow):
    _clear = _nothing


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
        found = super().clear_run(dag_id, run_id, task_ids)
        if not found:
            raise DagNotFound(dag_id)
        return found


class EveryRunIsKnown(InMemoryAirflow):
    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        super().clear_run(dag_id, run_id, task_ids)
        return True


class UnknownRunRaises(InMemoryAirflow):
    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        with self._reached():
            if (dag_id, run_id) not in self._runs:
                raise DagNotFound(dag_id)
        return super().run(dag_id, run_id)


class RunsNeverEnd(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        seen = super()._seen(run)
        return evolve(seen, state="running") if seen.ended_at else seen


class FailuresAreSuccesses(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        seen = super()._seen(run)
        return evolve(seen, state="success") if seen.ended_at else seen


class EndsBeforeItStarts(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        seen = super()._seen(run)
        return evolve(seen, started_at=seen.started_at + timedelta(hours=1)) if seen.started_at else seen


class TimesWithoutAZone(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        seen = super()._seen(run)
        return evolve(seen, ended_at=seen.ended_at.replace(tzinfo=None)) if seen.ended_at else seen


class UnknownRunsHaveTasks(InMemoryAirflow):
    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        return {key: super(UnknownRunsHaveTasks, self).tasks([key]).get(key, ()) for key in runs}


class TasksOfOthersAreTold(InMemoryAirflow):
    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        return super().tasks([key for key in self._runs if key[0] in {dag_id for dag_id, _ in runs}] or runs)


class OnePageOfTasks(InMemoryAirflow):
    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        return super().tasks(runs[:2])


class TasksInNoOrder(InMemoryAirflow):
    def _task_states(self, run: FakeRun) -> Sequence[TaskState]:
        return sorted(super()._task_states(run), key=lambda task: task.task_id, reverse=True)


class UpstreamFailedIsFailed(InMemoryAirflow):
    def _task_states(self, run: FakeRun) -> Sequence[TaskState]:
        return [
            evolve(task, state="failed") if task.state == "upstream_failed" else task
            for task in super()._task_states(run)
        ]


class EndedTasksOfOthersAreTold(InMemoryAirflow):
    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        return super().runs_with_ended_tasks(list(self._runs) if runs else runs, since)


class EndedTasksOfEver(InMemoryAirflow):
    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        return super().runs_with_ended_tasks(runs, since.min.replace(tzinfo=since.tzinfo))


class EndedTasksOfThatMomentAreLeftOut(InMemoryAirflow):
    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        return super().runs_with_ended_tasks(runs, since + timedelta(microseconds=1))


class OnePageOfEndedTasks(InMemoryAirflow):
    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        return super().runs_with_ended_tasks(runs[:2] if len({dag_id for dag_id, _ in runs}) == 1 else runs, since)


class EndedTasksOfNothing(InMemoryAirflow):
    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        return super().runs_with_ended_tasks(runs, since) if runs else [("a", "b")]


class OnlyOurRunsAreTold(InMemoryAirflow):
    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        changed = super().changed_runs(since, limit=limit)
        return evolve(changed, runs=[run for run in changed.runs if run.triggered_by == "in-memory"])


class EverythingIsManual(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        return evolve(super()._seen(run), run_type=RunType.MANUAL)


class NobodyStartedIt(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        return evolve(super()._seen(run), triggered_by=None)


class LimitIsIgnored(InMemoryAirflow):
    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        return super().changed_runs(since)


class TheRestIsForgotten(InMemoryAirflow):
    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        return evolve(super().changed_runs(since, limit=limit), until=self._clock.now())


class TimeRunsBackwards(InMemoryAirflow):
    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        return evolve(super().changed_runs(since, limit=limit), until=since - timedelta(seconds=1))


class OnlyNewRunsAreTold(InMemoryAirflow):
    def _changed_at(self, run: FakeRun) -> datetime:
        return (
            run.queued_at + timedelta(microseconds=0)
            if run.starts_at is None
            else self._clock.now().min.replace(tzinfo=run.queued_at.tzinfo)
        )


class OnePageOfChanges(InMemoryAirflow):
    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        changed = super().changed_runs(since, limit=limit)
        return evolve(changed, runs=changed.runs[:100])


class AddressesAreNotQuoted(InMemoryAirflow):
    def logs_url(self, dag_id: str, run_id: str) -> str:
        return f"{self._base_url}/dags/{dag_id}/runs/{run_id}"


class AddressesNeedAirflow(InMemoryAirflow):
    def logs_url(self, dag_id: str, run_id: str) -> str:
        with self._reached():
            return super().logs_url(dag_id, run_id)


BROKEN: list[type[InMemoryAirflow]] = [
    kind for kind in list(vars().values()) if isinstance(kind, type) and issubclass(kind, InMemoryAirflow)
]
BROKEN.remove(InMemoryAirflow)


class TestBroken(AirflowContract):
    """The suite, held against each of them in turn by ``until_red.py``."""

    kinds: ClassVar[list[type[InMemoryAirflow]]] = [InMemoryAirflow, *BROKEN]
    kind: type[InMemoryAirflow]

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def port(self, storage: InMemoryStorage, clock: ManualClock) -> InMemoryAirflow:
        return self.kind(storage=storage, clock=clock, loaders=LOADERS)

    @pytest.fixture
    def behind(self, port: InMemoryAirflow, storage: InMemoryStorage, clock: ManualClock) -> BehindFake:
        return BehindFake(port, storage, clock, loaders=LOADERS)

    @pytest.fixture
    def unreachable(self, port: InMemoryAirflow) -> InMemoryAirflow:
        port.go_down()
        return port

    @pytest.fixture
    def locked_out(self, port: InMemoryAirflow) -> InMemoryAirflow:
        port.go_down()
        return port

    @pytest.fixture
    def deaf(self, port: InMemoryAirflow) -> InMemoryAirflow:
        port.lose_answers(Effect.DONE)
        return port
