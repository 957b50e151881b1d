"""``AirflowPort`` in memory: an Airflow with the loader files, whose tasks take time by the clock and do nothing."""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attrs import evolve

from workflow_core.domain.names import check_run_id, dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.run import AirflowRun, RunType, TaskState
from workflow_core.domain.spec import SpecRules
from workflow_core.domain.workflow import SourceType, winner
from workflow_core.errors import (
    AirflowRefused,
    DagNotFound,
    InvalidRequest,
    InvalidWorkflowSpec,
    LoaderNotInstalled,
    LogicalDateTaken,
    StorageUnavailable,
)
from workflow_core.fakes.airflow_dags import FakeDag, FakeRun, FakeTask, dag_of_spec
from workflow_core.fakes.airflow_outages import AirflowOutages, Effect
from workflow_core.ports.airflow import ChangedRuns, ComponentState, DagPage, EndState, ListedDag, ServedDag

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.storage import StoragePort

Key = tuple[str, str]

_RESERVED: Final = re.compile(r"(scheduled|backfill|manual|asset_triggered|asset_materialization|operator_triggered)__")


__all__ = ["Effect", "InMemoryAirflow"]


class InMemoryAirflow(AirflowOutages):
    """:class:`~workflow_core.ports.airflow.AirflowPort` in the memory of this process; threads may share it.

    :meth:`request_parse` reads the stored specs as the loader files do. A run is queued for ``queue_seconds``. Then its tasks run, each
    for ``task_seconds`` after the tasks that it depends on have ended. The state of a run is computed from the clock at each read.
    Schedules start no runs: a test adds such a run with :meth:`add_run`. New DAGs are not paused, as with the loader.

    Each rule of the port is a small method, so that a test can break exactly one.

    Args:
        storage: The store of the specs.
        clock: The clock by which tasks take time.
        loaders: The number of loader files.
        rules: The rules by which the loader files accept a spec.
        queue_seconds: The time from the trigger to the start of a run whose DAG is not paused.
        task_seconds: The duration of each task.
        base_url: The URL of Airflow's UI.
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
        super().__init__()
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

    # Controls for tests.

    def add_dag(self, dag: FakeDag) -> None:
        """Serve a DAG that is not from a loader file."""
        with self._lock:
            self._dags[dag.dag_id] = dag

    def end_task(self, dag_id: str, task_id: str, state: str) -> None:
        """End this task as ``failed``, ``skipped`` or ``success`` in every run that starts, or is cleared, from now on."""
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
        """Add a run that Airflow's scheduler (``triggered_by="scheduler"``) or a user of Airflow's UI started."""
        with self._lock:
            return self._start(dag_id, run_id, conf or {}, logical_date, run_type=run_type, triggered_by=triggered_by)

    def remove_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run, as a user of Airflow's UI does."""
        with self._lock:
            del self._runs[dag_id, run_id]

    def break_imports(self, *dag_ids: str) -> None:
        """Give the files of exactly these DAGs import errors. The DAGs from before the error stay served."""
        with self._lock:
            self._broken_imports = frozenset(dag_ids)

    def withdraw(self, dag_id: str) -> None:
        """Stop serving the DAG. Its runs stay."""
        with self._lock:
            del self._dags[dag_id]

    def uninstall(self) -> None:
        """Remove the loader files and all their DAGs. The runs stay."""
        with self._lock:
            self._sentinels.clear()
            self._dags = {name: dag for name, dag in self._dags.items() if dag.loader is None and not dag.sentinel}

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
            dag = self._dags.get(dag_id)
            return None if dag is None else self._seen_dag(dag)

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        """No file has import errors unless :meth:`break_imports` was called."""
        with self._reached():
            served = self._listed()
            return DagPage(dags=served[offset : offset + min(limit, 100)], total=len(served))

    def request_parse(self, sentinel_dag_id: str) -> None:
        """The file is parsed within the call."""
        with self._reached(changes=True):
            index = self._loader_of(sentinel_dag_id)
            try:
                parsed = self._read_specs(index)
            except StorageUnavailable:
                return  # the loader keeps its DAGs
            self._dags = {name: dag for name, dag in self._dags.items() if dag.loader != index} | parsed

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
            existing = self._existing(dag_id, run_id)
            if existing is not None:
                return self._seen(existing)
            self._refuse_taken_date(dag_id, logical_date)
            return self._start(dag_id, run_id, conf, logical_date, run_type=RunType.MANUAL, triggered_by="in-memory")

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        """No task is a teardown task."""
        with self._reached(changes=True):
            run = self._runs.get((dag_id, run_id))
            return None if run is None else self._end(run, state)

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """Tests also call this method to clear a run as a user of Airflow's UI does."""
        with self._reached(changes=True):
            run = self._runs.get((dag_id, run_id))
            if run is not None:
                self._clear(run, self._require_dag(dag_id), task_ids)
            return run is not None

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        with self._reached():
            run = self._runs.get((dag_id, run_id))
            return None if run is None else self._seen(run)

    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        with self._reached():
            tasks = {key: self._task_states(self._runs[key]) for key in runs if key in self._runs}
            return {key: states for key, states in tasks.items() if states}

    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        with self._reached():
            tasks = {key: self._task_states(self._runs[key]) for key in runs if key in self._runs}
            return {key for key, states in tasks.items() if any(t.ended_at and t.ended_at >= since for t in states)}

    def runs_under_way(self, dag_id: str) -> int:
        with self._reached():
            return sum(self._is_under_way(run) for run in self._runs.values() if run.dag_id == dag_id)

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        with self._reached():
            now = self._clock.now()
            changed = sorted(
                (moment, run.key) for run in self._runs.values() if (moment := self._changed_at(run)) >= since
            )
            page = changed[:limit]
            if len(changed) > limit:  # all changes of one moment are on one page, so that the next call starts after it
                page += [change for change in changed[limit:] if change[0] == page[-1][0]]
            until = now if len(page) == len(changed) else page[-1][0] + timedelta(microseconds=1)
            return ChangedRuns(runs=[self._seen(self._runs[key]) for _, key in page], until=max(since, until))

    def logs_url(self, dag_id: str, run_id: str) -> str:
        return f"{self._base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    # The rules.

    def _listed(self) -> list[ListedDag]:
        return [self._listed_dag(self._seen_dag(self._dags[dag_id])) for dag_id in sorted(self._dags)]

    def _listed_dag(self, dag: ServedDag) -> ListedDag:
        return ListedDag(
            dag_id=dag.dag_id,
            is_paused=dag.is_paused,
            has_import_errors=dag.dag_id in self._broken_imports,
            next_run=dag.next_run,
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
        """The DAGs that the loader file with this index builds from the stored specs."""
        sources: dict[str, list[SourceType]] = {}
        for source in SourceType:
            for ref in self._storage.list(source):
                if loader_for(dag_id_for(ref.dataset_name), self._loaders) == index:
                    sources.setdefault(ref.dataset_name, []).append(source)
        dags = [self._build(name, winner(candidates), index) for name, candidates in sources.items()]
        return {dag.dag_id: dag for dag in dags if dag is not None}

    def _build(self, dataset_name: str, source: SourceType, index: int) -> FakeDag | None:
        """The DAG of one spec, with its previous pause state; None if the spec cannot be read."""
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
            msg = f"{run_id!r} has a prefix that Airflow reserves for its own run ids."
            raise AirflowRefused(msg)

    def _refuse_bad_conf(self, dag: FakeDag, conf: Mapping[str, Any]) -> None:
        for name, param in dag.params.items():
            problem = param.accepts(conf[name]) if name in conf else None
            if problem:
                msg = f"The param {name!r} {problem}."
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
            tasks=self._with_endings(dag_id, dag.tasks),
            queued_at=now,
            starts_at=None if dag.is_paused else now + self._queue_time,
            queue_time=self._queue_time,
            task_time=self._task_time,
        )
        self._runs[run.key] = run
        return self._seen(run)

    def _with_endings(self, dag_id: str, tasks: Sequence[FakeTask]) -> tuple[FakeTask, ...]:
        return tuple(evolve(task, ends=self._endings.get((dag_id, task.task_id), task.ends)) for task in tasks)

    def _clear(self, run: FakeRun, dag: FakeDag, task_ids: Sequence[str] | None) -> None:
        names = {task.task_id for task in run.tasks}
        cleared = names if task_ids is None else names & set(task_ids)
        if not cleared:
            msg = f"No task of {run.run_id!r} can run again."
            raise AirflowRefused(msg)
        queued = run.cleared(cleared, self._clock.now(), paused=dag.is_paused)
        self._runs[run.key] = evolve(queued, tasks=self._with_endings(run.dag_id, run.tasks))

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
