"""The DAGs and runs of :class:`~workflow_core.fakes.airflow.InMemoryAirflow`. The state of a run follows from the time alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, evolve, frozen

from workflow_core.domain.names import dag_id_for
from workflow_core.domain.run import AirflowRun, RunType, TaskState
from workflow_core.domain.spec import SpecRules, parse_complete_spec, spec_hash
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from workflow_core.domain.schedule import Schedule
    from workflow_core.domain.spec import ParamSpec
    from workflow_core.ports.airflow import EndState


_EVER: Final = datetime.min.replace(tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@frozen(kw_only=True)
class FakeTask:
    """A task that does nothing for a while and then ``ends`` as ``success``, ``failed`` or ``skipped``.

    ``time`` is its duration; None stands for the default duration of the Airflow in memory.
    """

    task_id: str
    after: tuple[str, ...] = ()
    ends: str = "success"
    time: timedelta | None = None


@frozen(kw_only=True)
class FakeDag:
    """A DAG as Airflow serves it. ``loader`` is the index of its loader file, or None."""

    dag_id: str
    tasks: tuple[FakeTask, ...] = ()
    params: Mapping[str, ParamSpec] = Factory(dict)
    is_paused: bool = True
    spec_hash: str | None = None
    error: str | None = None
    schedule: Schedule | None = None
    start: datetime = _EVER
    loader: int | None = None
    sentinel: bool = False


def dag_of_spec(text: str, dataset_name: str, rules: SpecRules) -> FakeDag:
    """The DAG of a stored spec. If it cannot be built, a DAG with the reason, whose only task fails."""
    dag = FakeDag(dag_id=dag_id_for(dataset_name), spec_hash=spec_hash(text))
    try:
        given = parse_complete_spec(text, dataset_name=dataset_name, rules=rules)
    except InvalidRequest as error:
        return evolve(dag, error=error.message, tasks=(FakeTask(task_id="error", ends="failed"),))
    return evolve(
        dag,
        tasks=tuple(FakeTask(task_id=task.task_id, after=tuple(task.dependencies)) for task in given.spec.tasks),
        params=given.spec.declared,
        schedule=given.schedule,
        start=given.spec.start_date or dag.start,
    )


@frozen(kw_only=True)
class FakeEnd:
    """A run and its tasks after a caller set the run to an end state ``at`` this moment."""

    run: AirflowRun
    tasks: tuple[TaskState, ...]
    at: datetime


@frozen(kw_only=True, slots=False)
class FakeRun:
    """A run. ``starts_at`` is None for a queued run whose DAG is paused. All other times follow from it and from ``pauses``.

    ``pauses`` are the periods in which the DAG was paused after the run had started, each with its end (None: the DAG is still paused).
    No task starts within one. Once a caller has set the run to an end state, ``end`` replaces the computed state.
    """

    dag_id: str
    run_id: str
    run_type: RunType
    triggered_by: str | None
    conf: Mapping[str, Any]
    logical_date: datetime | None
    tasks: tuple[FakeTask, ...]
    queued_at: datetime
    starts_at: datetime | None
    queue_time: timedelta
    task_time: timedelta
    pauses: tuple[tuple[datetime, datetime | None], ...] = ()
    end: FakeEnd | None = None
    cleared_at: datetime | None = None
    kept: Mapping[str, TaskState] = Factory(dict)
    """The tasks that a clear of the run left out. They are unchanged."""
    tries: Mapping[str, int] = Factory(dict)
    """The number of tries of each task before the clear."""

    @property
    def data_interval(self) -> tuple[datetime, datetime] | None:
        """The empty interval at the logical date, or None if the run has no logical date."""
        return None if self.logical_date is None else (self.logical_date, self.logical_date)

    @property
    def key(self) -> tuple[str, str]:
        """The DAG id and the run id."""
        return self.dag_id, self.run_id

    def paused_at(self, now: datetime) -> FakeRun:
        """The run after its DAG is paused: started tasks run to their end, later tasks wait, a queued run stays queued."""
        if self.starts_at is None or self.starts_at > now:
            return evolve(self, starts_at=None)
        return evolve(self, pauses=(*self.pauses, (now, None)))

    def ended_as(self, state: EndState, now: datetime) -> FakeRun:
        """The run after a caller set it to this end state."""
        run = self.seen(now)
        tasks = tuple(self.ended_task(task, state, now) for task in self.task_states(now))
        end = FakeEnd(run=evolve(run, state=state.value, ended_at=run.ended_at or now), tasks=tasks, at=now)
        return evolve(self, end=end)

    @staticmethod
    def ended_task(task: TaskState, state: EndState, now: datetime) -> TaskState:
        """A task after its run was set to this end state, as in Airflow 3.3."""
        if task.ended_at is not None or task.state == "upstream_failed":
            return task
        if task.state == "running":
            return evolve(task, state=state.value, ended_at=now)
        return evolve(task, state="skipped", started_at=now, ended_at=now)

    def cleared(self, task_ids: Collection[str], now: datetime, *, paused: bool) -> FakeRun:
        """The run after these tasks were cleared: it is queued, and they run again."""
        states = {task.task_id: task for task in self.task_states(now)}
        return evolve(
            self,
            cleared_at=now,
            starts_at=None if paused else now + self.queue_time,
            pauses=(),
            end=None,
            kept={name: state for name, state in states.items() if name not in task_ids},
            tries={name: state.try_number for name, state in states.items()},
        )

    def released_at(self, now: datetime) -> FakeRun:
        """The run after its DAG is unpaused: the waiting tasks continue."""
        if self.starts_at is None:
            return evolve(self, starts_at=now + self.queue_time)
        return evolve(self, pauses=tuple((began, now if ended is None else ended) for began, ended in self.pauses))

    def seen(self, now: datetime) -> AirflowRun:
        """The state of the run at ``now``."""
        if self.end is not None:
            return self.end.run
        started = self.starts_at is not None and self.starts_at <= now
        ended = started and self._ends_at <= now
        final = (
            "failed" if any(state in {"failed", "upstream_failed"} for state, _ in self._plan.values()) else "success"
        )
        return AirflowRun(
            dag_id=self.dag_id,
            run_id=self.run_id,
            state=final if ended else "running" if started else "queued",
            run_type=self.run_type,
            triggered_by=self.triggered_by,
            conf=self.conf,
            queued_at=self.cleared_at or self.queued_at,
            started_at=self.starts_at if started else None,
            ended_at=self._ends_at if ended else None,
            logical_date=self.logical_date,
            run_after=self.queued_at,
        )

    def task_states(self, now: datetime) -> Sequence[TaskState]:
        """The states of the tasks at ``now``, by start, then by id; tasks that have not started come last."""
        states = [self._task_state(task, now) for task in self.tasks] if self.end is None else self.end.tasks
        return sorted(states, key=lambda state: (state.started_at or _NEVER, state.task_id))

    def changed_at(self, now: datetime) -> datetime:
        """The time of the last change of the run."""
        if self.end is not None:
            return self.end.at
        moments = [self.cleared_at or self.queued_at]
        if self.starts_at is not None:
            moments += [self.starts_at, self._ends_at]
        return max(moment for moment in moments if moment <= now)

    def _task_state(self, task: FakeTask, now: datetime) -> TaskState:
        if task.task_id in self.kept:
            return self.kept[task.task_id]
        before = self.tries.get(task.task_id, 0)
        if self.starts_at is None or self.starts_at > now:
            return TaskState(task_id=task.task_id, state=None, try_number=before)
        state, end = self._plan[task.task_id]
        if state == "upstream_failed":
            return TaskState(task_id=task.task_id, state=state if end <= now else None, try_number=before)
        start = end - self._time_of(task)
        if start > now:
            return TaskState(task_id=task.task_id, state=None, try_number=before)
        return TaskState(
            task_id=task.task_id,
            state=state if end <= now else "running",
            started_at=start,
            ended_at=end if end <= now else None,
            try_number=before + 1,
        )

    @property
    def _ends_at(self) -> datetime:
        assert self.starts_at is not None
        return max((end for _, end in self._plan.values()), default=self.starts_at)

    @cached_property
    def _plan(self) -> Mapping[str, tuple[str, datetime]]:
        """The end state and the end of each task. A task below a failed task never runs, and one below a skipped task is also skipped."""
        if self.starts_at is None:
            return {}
        by_id = {task.task_id: task for task in self.tasks}
        plan: dict[str, tuple[str, datetime]] = {}
        for name in TopologicalSorter({task.task_id: task.after for task in self.tasks}).static_order():
            before = [plan[dependency] for dependency in by_id[name].after]
            ready = self._when_not_paused(max((end for _, end in before), default=self.starts_at))
            states = {state for state, _ in before}
            if name in self.kept:
                plan[name] = self.kept[name].state or "success", self.starts_at
            elif states & {"failed", "upstream_failed"}:
                plan[name] = "upstream_failed", ready
            elif "skipped" in states:
                plan[name] = "skipped", self._end_of(by_id[name], ready)
            else:
                plan[name] = by_id[name].ends, self._end_of(by_id[name], ready)
        return plan

    def _when_not_paused(self, ready: datetime) -> datetime:
        """The earliest start of a task that is ready at this moment."""
        for began, ended in self.pauses:
            if began < ready and (ended is None or ready < ended):
                ready = ended or _NEVER
        return ready

    def _end_of(self, task: FakeTask, start: datetime) -> datetime:
        return _NEVER if start == _NEVER else start + self._time_of(task)

    def _time_of(self, task: FakeTask) -> timedelta:
        return self.task_time if task.time is None else task.time
