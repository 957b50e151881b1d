"""``AirflowPort`` in memory: an Airflow with our loader files, whose tasks take time by the clock and do nothing."""

from __future__ import annotations

import re
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import RLock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attrs import evolve

from workflow_core.domain.names import check_run_id, dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.run import AirflowRun, RunType, TaskState
from workflow_core.domain.spec import SpecRules
from workflow_core.domain.workflow import SourceType, winner
from workflow_core.errors import (
    AirflowOutcomeUnknown,
    AirflowRefused,
    AirflowUnavailable,
    DagNotFound,
    InvalidRequest,
    InvalidWorkflowSpec,
    LoaderNotInstalled,
    LogicalDateTaken,
    StorageUnavailable,
    WorkflowError,
)
from workflow_core.fakes.airflow_dags import FakeDag, FakeRun, FakeTask, dag_of_spec
from workflow_core.ports.airflow import ChangedRuns, ComponentState, DagPage, EndState, ListedDag, ServedDag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.storage import StoragePort

Key = tuple[str, str]

_RESERVED: Final = re.compile(r"(scheduled|backfill|manual|asset_triggered|asset_materialization|operator_triggered)__")


class Effect(StrEnum):
    """Whether a change whose answer was lost had been carried out."""

    DONE = "done"
    NOT_DONE = "not done"


class InMemoryAirflow:
    """:class:`~workflow_core.ports.airflow.AirflowPort` in this process's memory; threads may share it.

    :meth:`request_parse` reads the stored specs as the loader files do. A run is queued for ``queue_seconds``, then its tasks run,
    each for ``task_seconds`` once those that it depends on have ended; all by the clock, seen whenever somebody looks. Schedules do not
    fire by themselves: :meth:`add_run` is for tests that want such a run. New DAGs are not paused, as the loader has it.

    Each rule of the port is a small method of its own, so that a test can break exactly one.

    Args:
        storage: where the specs are.
        clock: by which the tasks take time.
        loaders: how many loader files there are.
        rules: what the loader files accept in a spec.
        queue_seconds: from the trigger to the start of a run that nothing keeps waiting.
        task_seconds: of each task.
        base_url: of Airflow's pages.
    """

    def __init__(  # noqa: PLR0913 - settings of one thing, all by name
        self,
        *,
        storage: StoragePort,
        clock: ClockPort,
        loaders: int = 8,
        rules: SpecRules | None = None,
        queue_seconds: float = 1.0,
        task_seconds: float = 1.0,
        base_url: str = "http://airflow.invalid",
    ) -> None:
        self._lock = RLock()
        self._storage = storage
        self._clock = clock
        self._rules = rules or SpecRules()
        self._queue_time = timedelta(seconds=queue_seconds)
        self._task_time = timedelta(seconds=task_seconds)
        self._base_url = base_url
        self._sentinels = {sentinel_dag_id(index, loaders): index for index in range(loaders)}
        self._loaders = loaders
        self._dags: dict[str, FakeDag] = {name: FakeDag(dag_id=name, sentinel=True) for name in self._sentinels}
        self._runs: dict[Key, FakeRun] = {}
        self._endings: dict[Key, str] = {}
        self._broken_imports: frozenset[str] = frozenset()
        self._down = False
        self._lost: list[Effect] = []

    # What tests do to it.

    def add_dag(self, dag: FakeDag) -> None:
        """Serve a DAG that comes from no loader file."""
        with self._lock:
            self._dags[dag.dag_id] = dag

    def end_task(self, dag_id: str, task_id: str, state: str) -> None:
        """From now on this task of runs that begin, or begin anew, ends in ``state``: ``failed``, ``skipped`` or ``success``."""
        with self._lock:
            self._endings[dag_id, task_id] = state

    def add_run(  # noqa: PLR0913 - the facts of one run, all by name
        self,
        dag_id: str,
        run_id: str,
        *,
        run_type: RunType,
        triggered_by: str | None,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        """A run that Airflow's scheduler (``triggered_by="scheduler"``) or a person in its own pages started."""
        with self._lock:
            return self._start(dag_id, run_id, conf or {}, logical_date, run_type=run_type, triggered_by=triggered_by)

    def remove_run(self, dag_id: str, run_id: str) -> None:
        """Somebody deletes a run in Airflow."""
        with self._lock:
            del self._runs[dag_id, run_id]

    def break_imports(self, *dag_ids: str) -> None:
        """From now on the files of these DAGs, and of no others, have import errors; what they made before is served."""
        with self._lock:
            self._broken_imports = frozenset(dag_ids)

    def withdraw(self, dag_id: str) -> None:
        """The DAG is no longer served; its runs are remembered."""
        with self._lock:
            del self._dags[dag_id]

    def uninstall(self) -> None:
        """The loader files are gone, and every DAG of theirs with them; runs are remembered."""
        with self._lock:
            self._sentinels.clear()
            self._dags = {name: dag for name, dag in self._dags.items() if dag.loader is None and not dag.sentinel}

    def go_down(self) -> None:
        """From now on every method but :meth:`logs_url` raises :class:`AirflowUnavailable`, until :meth:`come_back`."""
        self._down = True

    def come_back(self) -> None:
        """Undo :meth:`go_down`, and forget what :meth:`lose_answers` asked for."""
        self._down = False
        self._lost.clear()

    def lose_answers(self, effect: Effect, *, times: int = 1) -> None:
        """The next ``times`` changes raise :class:`AirflowOutcomeUnknown`, having been carried out or not."""
        self._lost += [effect] * times

    @contextmanager
    def _reached(self, *, changes: bool = False) -> Iterator[None]:
        with self._lock:
            if self._down:
                msg = "The Airflow in memory was told to be away."
                raise AirflowUnavailable(msg)
            lost = self._lost.pop(0) if changes and self._lost else None
            if lost is not Effect.NOT_DONE:
                try:
                    yield
                except WorkflowError:  # a refusal is an answer, too
                    if lost is None:
                        raise
            if lost is not None:
                msg = "The Airflow in memory was told to lose its answer."
                raise AirflowOutcomeUnknown(msg)

    # The port.

    def ping(self) -> None:
        with self._reached():
            pass

    def health(self) -> Mapping[str, ComponentState]:
        with self._reached():
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return dict.fromkeys(parts, ComponentState.HEALTHY)

    def dag(self, dag_id: str) -> ServedDag | None:
        with self._reached():
            found = self._dags.get(dag_id)
            return None if found is None else self._seen_dag(found)

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        """No file of the fake has import errors, unless :meth:`break_imports` was called."""
        with self._reached():
            served = self._listed()
            return DagPage(dags=served[offset : offset + min(limit, 100)], total=len(served))

    def request_parse(self, sentinel_dag_id: str) -> None:
        """The parse is done at once."""
        with self._reached(changes=True):
            index = self._loader_of(sentinel_dag_id)
            try:
                found = self._read_specs(index)
            except StorageUnavailable:
                return  # the loader goes on with what it has
            self._dags = {name: dag for name, dag in self._dags.items() if dag.loader != index} | found

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        with self._reached(changes=True):
            dag = self._require_dag(dag_id)
            if dag.is_paused != paused:
                self._change_pause(dag, paused=paused)

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        with self._reached(changes=True):
            self._refuse_bad_run_id(run_id)
            dag = self._require_dag(dag_id)
            self._refuse_bad_conf(dag, conf)
            there = self._existing(dag_id, run_id)
            if there is not None:
                return self._seen(there)
            self._refuse_taken_date(dag_id, logical_date)
            return self._start(dag_id, run_id, conf, logical_date, run_type=RunType.MANUAL, triggered_by="in-memory")

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        """No task of the fake is a teardown task."""
        with self._reached(changes=True):
            found = self._runs.get((dag_id, run_id))
            return None if found is None else self._end(found, state)

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """Tests clear runs by it as somebody in Airflow's own pages does."""
        with self._reached(changes=True):
            found = self._runs.get((dag_id, run_id))
            if found is not None:
                self._clear(found, self._require_dag(dag_id), task_ids)
            return found is not None

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        with self._reached():
            found = self._runs.get((dag_id, run_id))
            return None if found is None else self._seen(found)

    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        with self._reached():
            known = {key: self._task_states(self._runs[key]) for key in runs if key in self._runs}
            return {key: states for key, states in known.items() if states}

    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        with self._reached():
            known = {key: self._task_states(self._runs[key]) for key in runs if key in self._runs}
            return {key for key, states in known.items() if any(t.ended_at and t.ended_at >= since for t in states)}

    def runs_under_way(self, dag_id: str) -> int:
        with self._reached():
            return sum(self._is_under_way(run) for run in self._runs.values() if run.dag_id == dag_id)

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        with self._reached():
            now = self._clock.now()
            changed = sorted(
                (moment, run.key) for run in self._runs.values() if (moment := self._changed_at(run)) >= since
            )
            told = changed[:limit]
            if len(changed) > limit:  # all of one moment together: a caller that asks from it must get past it
                told += [one for one in changed[limit:] if one[0] == told[-1][0]]
            until = now if len(told) == len(changed) else told[-1][0] + timedelta(microseconds=1)
            return ChangedRuns(runs=[self._seen(self._runs[key]) for _, key in told], until=max(since, until))

    def logs_url(self, dag_id: str, run_id: str) -> str:
        return f"{self._base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    # The rules.

    def _listed(self) -> list[ListedDag]:
        return [self._listed_dag(self._seen_dag(self._dags[dag_id])) for dag_id in sorted(self._dags)]

    def _listed_dag(self, seen: ServedDag) -> ListedDag:
        return ListedDag(
            dag_id=seen.dag_id,
            is_paused=seen.is_paused,
            has_import_errors=seen.dag_id in self._broken_imports,
            next_run=seen.next_run,
        )

    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        now, next_run = self._clock.now(), None
        if dag.schedule is not None:
            next_run = dag.schedule.next_after(now) if dag.start <= now else dag.schedule.first_from(dag.start)
        return ServedDag(
            dag_id=dag.dag_id,
            is_paused=dag.is_paused,
            spec_hash=dag.spec_hash,
            error=dag.error,
            next_run=next_run,
        )

    def _loader_of(self, sentinel: str) -> int:
        if sentinel not in self._sentinels:
            raise LoaderNotInstalled(sentinel)
        return self._sentinels[sentinel]

    def _read_specs(self, index: int) -> dict[str, FakeDag]:
        """What the loader file of this index makes of what is stored now."""
        sources: dict[str, list[SourceType]] = {}
        for source in SourceType:
            for ref in self._storage.list(source):
                if loader_for(dag_id_for(ref.dataset_name), self._loaders) == index:
                    sources.setdefault(ref.dataset_name, []).append(source)
        read = [self._build(name, winner(found), index) for name, found in sources.items()]
        return {dag.dag_id: dag for dag in read if dag is not None}

    def _build(self, dataset_name: str, source: SourceType, index: int) -> FakeDag | None:
        """The DAG of one spec, paused as it was before; None where there is nothing to read."""
        try:
            stored = self._storage.get(source, dataset_name, limit=self._rules.max_bytes)
        except InvalidWorkflowSpec:
            return None
        if stored is None:
            return None
        dag = dag_of_spec(stored.text, dataset_name, self._rules)
        before = self._dags.get(dag.dag_id)
        return evolve(dag, loader=index, is_paused=before is not None and before.is_paused)

    def _require_dag(self, dag_id: str) -> FakeDag:
        if dag_id not in self._dags:
            raise DagNotFound(dag_id)
        return self._dags[dag_id]

    def _change_pause(self, dag: FakeDag, *, paused: bool) -> None:
        now = self._clock.now()
        for run in self._runs.values():
            if run.dag_id == dag.dag_id:
                self._runs[run.key] = run.paused_at(now) if paused else run.released_at(now)
        self._dags[dag.dag_id] = evolve(dag, is_paused=paused)

    def _refuse_bad_run_id(self, run_id: str) -> None:
        try:
            check_run_id(run_id)
        except InvalidRequest as error:
            raise AirflowRefused(error.message) from None
        if _RESERVED.match(run_id):
            msg = f"{run_id!r} begins as the ids of runs that Airflow makes itself."
            raise AirflowRefused(msg)

    def _refuse_bad_conf(self, dag: FakeDag, conf: Mapping[str, Any]) -> None:
        for name, param in dag.params.items():
            wrong = param.accepts(conf[name]) if name in conf else None
            if wrong:
                msg = f"The param {name!r} {wrong}."
                raise AirflowRefused(msg)

    def _existing(self, dag_id: str, run_id: str) -> FakeRun | None:
        return self._runs.get((dag_id, run_id))

    def _refuse_taken_date(self, dag_id: str, logical_date: datetime | None) -> None:
        taken = {run.logical_date for run in self._runs.values() if run.dag_id == dag_id} - {None}
        if logical_date in taken:
            msg = f"Another run of {dag_id!r} has the logical date {logical_date}."
            raise LogicalDateTaken(msg)

    def _start(  # noqa: PLR0913, PLR0917 - the facts of one run
        self,
        dag_id: str,
        run_id: str,
        conf: Mapping[str, Any],
        logical_date: datetime | None,
        run_type: RunType,
        triggered_by: str | None,
    ) -> AirflowRun:
        now, dag = self._clock.now(), self._require_dag(dag_id)
        run = FakeRun(
            dag_id=dag_id,
            run_id=run_id,
            run_type=run_type,
            triggered_by=triggered_by,
            conf=deepcopy(dict(conf)),
            logical_date=None if logical_date is None else logical_date.astimezone(UTC),
            tasks=self._as_they_will_end(dag_id, dag.tasks),
            queued_at=now,
            starts_at=None if dag.is_paused else now + self._queue_time,
            queue_time=self._queue_time,
            task_time=self._task_time,
        )
        self._runs[run.key] = run
        return self._seen(run)

    def _as_they_will_end(self, dag_id: str, tasks: Sequence[FakeTask]) -> tuple[FakeTask, ...]:
        return tuple(evolve(task, ends=self._endings.get((dag_id, task.task_id), task.ends)) for task in tasks)

    def _clear(self, run: FakeRun, dag: FakeDag, task_ids: Sequence[str] | None) -> None:
        names = {task.task_id for task in run.tasks}
        cleared = names if task_ids is None else names & set(task_ids)
        if not cleared:
            msg = f"No task of {run.run_id!r} can run again."
            raise AirflowRefused(msg)
        anew = run.cleared(cleared, self._clock.now(), paused=dag.is_paused)
        self._runs[run.key] = evolve(anew, tasks=self._as_they_will_end(run.dag_id, run.tasks))

    def _end(self, run: FakeRun, state: EndState) -> AirflowRun:
        self._runs[run.key] = run.ended_as(state, self._clock.now())
        return self._seen(self._runs[run.key])

    def _seen(self, run: FakeRun) -> AirflowRun:
        return deepcopy(run.seen(self._clock.now()))

    def _task_states(self, run: FakeRun) -> Sequence[TaskState]:
        return run.task_states(self._clock.now())

    def _is_under_way(self, run: FakeRun) -> bool:
        return not run.seen(self._clock.now()).status.is_final

    def _changed_at(self, run: FakeRun) -> datetime:
        return run.changed_at(self._clock.now())
