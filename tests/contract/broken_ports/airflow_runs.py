"""What Airflow reports of runs, each time with one rule broken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.domain.run import RunType
from workflow_core.errors import DagNotFound
from workflow_core.fakes.airflow import InMemoryAirflow

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.fakes.airflow_dags import FakeRun
    from workflow_core.ports.airflow import ChangedRuns

Key = tuple[str, str]


class UnknownRunRaises(InMemoryAirflow):
    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        with self._reached():
            if (dag_id, run_id) not in self._runs:
                raise DagNotFound(dag_id)
        return super().run(dag_id, run_id)


class RunsNeverEnd(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        reported = super()._seen(run)
        return evolve(reported, state="running") if reported.ended_at else reported


class FailuresAreSuccesses(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        reported = super()._seen(run)
        return evolve(reported, state="success") if reported.ended_at else reported


class EndsBeforeItStarts(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        reported = super()._seen(run)
        return (
            evolve(reported, started_at=reported.started_at + timedelta(hours=1)) if reported.started_at else reported
        )


class TimesWithoutAZone(InMemoryAirflow):
    def _seen(self, run: FakeRun) -> AirflowRun:
        reported = super()._seen(run)
        return evolve(reported, ended_at=reported.ended_at.replace(tzinfo=None)) if reported.ended_at else reported


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
