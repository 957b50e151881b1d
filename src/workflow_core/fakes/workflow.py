"""``WorkflowPort`` in memory."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve, fields, has

from workflow_core.domain.act import audit_event, key_record
from workflow_core.domain.backfill import Wanted, being_sent, counts_of
from workflow_core.domain.conditions import AirflowState, Observation
from workflow_core.domain.counts import Counts
from workflow_core.domain.names import uuid7
from workflow_core.domain.paging import Page, key_id, key_moment, moment_key
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase, Revision, first_revision, revision_number
from workflow_core.errors import (
    BackfillAlreadyExists,
    ConcurrentUpdate,
    DatabaseUnavailable,
    KeyInUse,
    RunAlreadyExists,
    WorkflowAlreadyExists,
    WorkflowHasActiveRuns,
    WorkflowNotFound,
)
from workflow_core.fakes.leases import InMemoryLeases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from workflow_core.domain.act import AuditEntry, AuditEvent, AuditFilter, KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
    from workflow_core.domain.paging import PageRequest
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow

T = TypeVar("T")
Key = tuple[str, ...]

_EVER: Final = datetime.min.replace(tzinfo=UTC)
"""Before all moments: what never happened comes first."""


class InMemoryWorkflows(InMemoryLeases):
    """:class:`~workflow_core.ports.workflow.WorkflowPort` in this process's memory; threads may share it.

    Each rule of the port is a small method of its own, so that a test can break exactly one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = RLock()
        self._workflows: dict[UUID, Workflow] = {}
        self._revisions: dict[UUID, list[Revision]] = {}
        self._runs: dict[str, Run] = {}
        self._backfills: dict[str, Backfill] = {}
        self._tried: dict[UUID, datetime] = {}
        self._code: dict[str, CodeObject] = {}
        self._observed_until: datetime | None = None
        self._observations: dict[UUID, Observation] = {}
        self._airflow_state = AirflowState()
        self._audit: list[AuditEvent] = []
        self._keys: dict[tuple[str, str], KeyRecord] = {}
        self._down = False
        self._failures: dict[str, int] = {}

    # Failing on demand.

    def go_down(self) -> None:
        """From now on every method raises :class:`DatabaseUnavailable`, until :meth:`come_back`."""
        self._down = True

    def come_back(self) -> None:
        """Undo :meth:`go_down`, and forget what :meth:`fail` asked for."""
        self._down = False
        self._failures.clear()

    def fail(self, method: str, *, times: int = 1) -> None:
        """The next ``times`` calls of the method of this name raise :class:`DatabaseUnavailable`."""
        self._failures[method] = times

    @contextmanager
    def _acting(self, method: str, act: AuditEntry | None) -> Iterator[None]:
        """A transaction that records an act with what it changes, if it is not refused."""
        with self._transaction(method):
            self._refuse_taken_key(act)
            yield
            self._keep_event(act)
            self._keep_key(act)

    @contextmanager
    def _transaction(self, method: str) -> Iterator[None]:
        with self._lock:
            left = self._failures.get(method, 0)
            if left:
                self._failures[method] = left - 1
            if self._down or left:
                msg = "The database in memory was told to fail."
                raise DatabaseUnavailable(msg)
            self._refuse_lost_lease(method)
            yield

    # The port.

    def add_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> None:
        """As the port says."""
        with self._acting("add_workflow", act):
            self._refuse_taken_name(workflow)
            self._refuse_taken_dag_id(workflow)
            self._workflows[workflow.id] = self._kept(workflow)
            self._revisions[workflow.id] = [first_revision(workflow)]
            self._keep_seen(seen)

    def workflow(self, dataset_name: str) -> Workflow | None:
        """As the port says."""
        with self._transaction("workflow"):
            found = self._holder_of_name(dataset_name)
            return None if found is None else self._kept(found)

    def workflow_by_id(self, workflow_id: UUID) -> Workflow | None:
        """As the port says."""
        with self._transaction("workflow_by_id"):
            found = self._workflows.get(workflow_id)
            return None if found is None else self._kept(found)

    def workflow_by_dag(self, dag_id: str) -> Workflow | None:
        """As the port says."""
        with self._transaction("workflow_by_dag"):
            found = self._holder_of_dag(dag_id)
            return None if found is None else self._kept(found)

    def save_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """As the port says."""
        with self._acting("save_workflow", act):
            saved = self._saved_workflow(workflow)
            self._keep_seen(seen)
            return saved

    def revise_workflow(
        self, workflow: Workflow, revision: Revision, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """As the port says."""
        with self._acting("revise_workflow", act):
            saved = self._saved_workflow(workflow)
            self._keep_revision(workflow, revision)
            self._keep_seen(seen)
            return saved

    def revisions(self, workflow: Workflow, page: PageRequest) -> Page[Revision]:
        """As the port says."""
        with self._transaction("revisions"):
            found = self._revisions_of(workflow)
            return self._page(found, page, self._revision_key, lambda key, after: int(key[0]) < revision_number(after))

    def revision(self, workflow: Workflow, number: int) -> Revision | None:
        """As the port says."""
        with self._transaction("revision"):
            return next((found for found in self._revisions_of(workflow) if found.number == number), None)

    def retire_workflow(self, workflow: Workflow, *, force: bool, act: AuditEntry | None = None) -> Workflow:
        """As the port says."""
        with self._acting("retire_workflow", act):
            self._refuse_other_workflow(workflow)
            self._refuse_active_runs(workflow, force=force)
            return self._saved_workflow(workflow)

    def workflows(self, where: WorkflowFilter, page: PageRequest) -> Page[Workflow]:
        """As the port says."""
        with self._transaction("workflows"):
            found = [workflow for workflow in self._live() if self._matches(workflow, where)]
            ordered = sorted(found, key=self._workflow_key)
            return self._page(ordered, page, self._workflow_key, lambda key, after: key > after)

    def names_that_left(self, dataset_names: Iterable[str]) -> Collection[str]:
        """As the port says."""
        with self._transaction("names_that_left"):
            left = {workflow.dataset_name for workflow in self._workflows.values() if workflow.phase.has_left}
            return {name for name in dataset_names if name in left and not self._is_live(name)}

    def unsettled_workflows(self, limit: int) -> Sequence[Workflow]:
        """As the port says."""
        with self._transaction("unsettled_workflows"):
            found = [workflow for workflow in self._workflows.values() if self._is_unsettled_workflow(workflow)]
            return self._first(sorted(found, key=self._unsettled_workflow_order), limit)

    def mark_tried(self, workflows: Iterable[Workflow], at: datetime) -> None:
        """As the port says."""
        with self._transaction("mark_tried"):
            kept = (workflow for workflow in workflows if workflow.id in self._workflows)
            self._tried |= {workflow.id: self._tried_at(workflow, at) for workflow in kept}

    def code_objects(self) -> Mapping[str, CodeObject]:
        """As the port says."""
        with self._transaction("code_objects"):
            return {name: self._kept(found) for name, found in self._code.items()}

    def save_code_objects(self, changed: Iterable[CodeObject], removed: Iterable[CodeObject]) -> None:
        """As the port says."""
        with self._transaction("save_code_objects"):
            for one in changed:
                if self._is_as_read(one):
                    self._code[one.dataset_name] = self._kept(self._with_next_version(one))
            for one in removed:
                if self._is_as_read(one):
                    self._code.pop(one.dataset_name, None)

    def add_run(self, run: Run, *, of_version: int | None = None, act: AuditEntry | None = None) -> None:
        """As the port says."""
        with self._acting("add_run", act):
            if of_version is not None:
                self._refuse_other_version_than(of_version, run)
            self._refuse_run_of_no_workflow(run)
            self._refuse_taken_run_id(run)
            self._refuse_taken_airflow_id(run)
            self._runs[run.run_id] = self._kept(run)

    def run(self, run_id: str) -> Run | None:
        """As the port says."""
        with self._transaction("run"):
            found = self._runs.get(run_id)
            return None if found is None else self._kept(found)

    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        """As the port says."""
        with self._transaction("run_versions"):
            return {run_id: self._runs[run_id].version for run_id in run_ids if run_id in self._runs}

    def run_statuses(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]:
        """As the port says."""
        with self._transaction("run_statuses"):
            return {run_id: self._runs[run_id].status for run_id in run_ids if run_id in self._runs}

    def runs_by_airflow_id(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Run]:
        """As the port says."""
        with self._transaction("runs_by_airflow_id"):
            wanted = set(keys)
            pairs = [((run.dag_id, run.airflow_run_id), run) for run in self._runs.values()]
            return {pair: self._kept(run) for pair, run in pairs if pair in wanted}

    def save_run(self, run: Run, *, act: AuditEntry | None = None) -> Run:
        """As the port says."""
        with self._acting("save_run", act):
            self._refuse_other_run(run)
            saved = self._with_next_version(run)
            self._runs[run.run_id] = self._kept(saved)
            return saved

    def history(self, where: HistoryFilter, page: PageRequest) -> Page[Run]:
        """As the port says."""
        with self._transaction("history"):
            self._refuse_odd_key(page)
            found = [
                run
                for run in self._runs.values()
                if self._matches_name(run, where)
                and self._in_window(run, where)
                and self._sees(where.visible, self._workflows[run.workflow_id])
            ]
            return self._page(self._latest_first(found), page, self._run_key, lambda key, after: key < after)

    def last_runs(self, dataset_names: Iterable[str]) -> Mapping[str, Run]:
        """As the port says."""
        with self._transaction("last_runs"):
            wanted = set(dataset_names)
            earliest_first = reversed(self._latest_first(self._runs.values()))
            return {run.dataset_name: self._kept(run) for run in earliest_first if run.dataset_name in wanted}

    def runs_to_send(self, limit: int, *, sent_before: datetime) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("runs_to_send"):
            found = [
                run
                for run in self._runs.values()
                if self._is_to_send(run) and self._is_due(run, sent_before) and self._may_run(run)
            ]
            return self._first(sorted(found, key=self._sending_order), limit)

    def stopping_runs(self, limit: int) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("stopping_runs"):
            found = [run for run in self._runs.values() if self._is_stopping(run)]
            return self._first(sorted(found, key=self._stopping_order), limit)

    def retrying_runs(self, limit: int) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("retrying_runs"):
            found = [run for run in self._runs.values() if self._is_retrying(run)]
            return self._first(sorted(found, key=self._sending_order), limit)

    def runs_to_look_at(self, limit: int) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("runs_to_look_at"):
            found = [run for run in self._runs.values() if self._is_run_to_look_at(run)]
            return self._first(sorted(found, key=self._run_looking_order), limit)

    def active_runs(self, workflow: Workflow) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("active_runs"):
            return self._first(self._active(workflow), len(self._runs))

    def dated_runs(self, workflow: Workflow, first: date, last: date) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("dated_runs"):
            return self._first(self._dated(workflow.id, first, last), len(self._runs))

    def add_backfill(
        self, backfill: Backfill, runs: Sequence[Run], *, dated: int, act: AuditEntry | None = None
    ) -> None:
        """As the port says."""
        with self._acting("add_backfill", act):
            self._refuse_backfill_of_no_workflow(backfill)
            self._refuse_other_dates(backfill, dated)
            self._refuse_taken_backfill_id(backfill)
            for run in runs:
                self._refuse_taken_run_id(run)
                self._refuse_taken_airflow_id(run)
            self._backfills[backfill.backfill_id] = self._kept(backfill)
            self._runs |= {run.run_id: self._kept(run) for run in runs}

    def backfill(self, backfill_id: str) -> Backfill | None:
        """As the port says."""
        with self._transaction("backfill"):
            found = self._backfills.get(backfill_id)
            return None if found is None else self._kept(found)

    def save_backfill(
        self, backfill: Backfill, runs: Sequence[Run] = (), *, act: AuditEntry | None = None
    ) -> tuple[Backfill, Sequence[Run]]:
        """As the port says."""
        with self._acting("save_backfill", act):
            self._refuse_other_backfill(backfill)
            for run in runs:
                self._refuse_other_run(run)
            saved = self._with_next_version(backfill), tuple(map(self._with_next_version, runs))
            self._backfills[backfill.backfill_id] = self._kept(saved[0])
            self._runs |= {run.run_id: self._kept(run) for run in saved[1]}
            return saved

    def backfills(self, dataset_name: str, page: PageRequest, *, visible: Visibility | None = None) -> Page[Backfill]:
        """As the port says."""
        with self._transaction("backfills"):
            self._refuse_odd_key(page)
            named = [one for one in self._backfills.values() if one.dataset_name == dataset_name]
            found = [one for one in named if self._sees(visible, self._workflows[one.workflow_id])]
            ordered = sorted(found, key=self._backfill_key, reverse=True)
            return self._page(ordered, page, self._backfill_key, lambda key, after: key < after)

    def active_backfills(self, limit: int) -> Sequence[Backfill]:
        """As the port says."""
        with self._transaction("active_backfills"):
            found = [one for one in self._backfills.values() if self._is_active(one, self._slots(one.backfill_id))]
            return self._first(sorted(found, key=self._active_order), limit)

    def backfill_runs(self, backfill_id: str) -> Sequence[Run]:
        """As the port says."""
        with self._transaction("backfill_runs"):
            return self._first(self._slots(backfill_id), len(self._runs))

    def backfill_counts(self, backfill_ids: Iterable[str]) -> Mapping[str, Mapping[RunStatus, int]]:
        """As the port says."""
        with self._transaction("backfill_counts"):
            return {key: counts for key in set(backfill_ids) if (counts := counts_of(self._slots(key)))}

    def counts(self) -> Counts:
        """As the port says."""
        with self._transaction("counts"):
            return Counts(
                workflows=Counter(held.phase for held in self._workflows.values() if self._is_counted(held)),
                runs=Counter(run.status for run in self._runs.values() if self._counts_as_active(run)),
            )

    def _is_counted(self, workflow: Workflow) -> bool:
        return workflow.phase is not Phase.GONE

    def _counts_as_active(self, run: Run) -> bool:
        return not run.status.is_final

    def observed_until(self) -> datetime | None:
        """As the port says."""
        with self._transaction("observed_until"):
            return self._observed_until

    def mark_observed(self, until: datetime) -> None:
        """As the port says."""
        with self._transaction("mark_observed"):
            if self._is_progress(until):
                self._observed_until = _in_utc(until)

    def workflows_of_dags(self, dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
        """As the port says."""
        with self._transaction("workflows_of_dags"):
            wanted = set(dag_ids)
            return {held.dag_id: self._kept(held) for held in self._live() if held.dag_id in wanted}

    def workflows_to_look_at(self, limit: int, *, listed_before: datetime) -> Sequence[Workflow]:
        """As the port says."""
        with self._transaction("workflows_to_look_at"):
            found = [workflow for workflow in self._workflows.values() if self._is_to_look_at(workflow)]
            return self._first(sorted(found, key=lambda one: self._looking_order(one, listed_before)), limit)

    def observations(self, workflow_ids: Iterable[UUID]) -> Mapping[UUID, Observation]:
        """As the port says."""
        with self._transaction("observations"):
            wanted = set(workflow_ids)
            return {held: self._kept(seen) for held, seen in self._observations.items() if held in wanted}

    def save_observations(self, observations: Sequence[Observation]) -> None:
        """As the port says."""
        with self._transaction("save_observations"):
            new = [seen for seen in observations if self._is_news(seen)]
            self._observations |= {seen.workflow_id: self._kept(seen) for seen in new}

    def _is_news(self, seen: Observation) -> bool:
        before = self._observations.get(seen.workflow_id)
        if before is None:
            return True
        moments = ((before.listed_at, seen.listed_at), (before.looked_at, seen.looked_at))
        return all(old is None or (new is not None and new >= old) for old, new in moments)

    def airflow_state(self) -> AirflowState:
        """As the port says."""
        with self._transaction("airflow_state"):
            return self._airflow_state

    def save_airflow_state(self, state: AirflowState) -> None:
        """As the port says."""
        with self._transaction("save_airflow_state"):
            self._airflow_state = self._kept(state)

    def record(self, act: AuditEntry) -> None:
        """As the port says."""
        with self._acting("record", act):
            pass

    def audit(self, where: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        """As the port says."""
        with self._transaction("audit"):
            self._refuse_odd_key(page)
            if page.after is not None:
                key_id(page.after[1])
            found = [
                event for event in self._audit if self._is_told(event, where) and self._sees_name(where.visible, event)
            ]
            ordered = sorted(found, key=self._audit_key, reverse=True)
            return self._page(ordered, page, self._audit_key, lambda key, after: key < after)

    def key(self, scope: str, text: str) -> KeyRecord | None:
        """As the port says."""
        with self._transaction("key"):
            return self._keys.get((scope, text))

    def keep_answer(self, scope: str, text: str, answer: str) -> str | None:
        """As the port says."""
        with self._transaction("keep_answer"):
            found = self._keys.get((scope, text))
            if found is None:
                return None
            self._keys[scope, text] = self._answered(found, answer)
            return self._keys[scope, text].answer

    def forget_keys(self, before: datetime, limit: int) -> int:
        """As the port says."""
        with self._transaction("forget_keys"):
            old = sorted((found.at, key) for key, found in self._keys.items() if self._is_over(found, before))
            for _, key in old[:limit]:
                del self._keys[key]
            return len(old[:limit])

    def check(self) -> None:
        """As the port says."""
        with self._transaction("check"):
            pass

    # The rules.

    def _live(self) -> list[Workflow]:
        return [workflow for workflow in self._workflows.values() if not workflow.phase.has_left]

    def _refuse_taken_name(self, workflow: Workflow) -> None:
        if self._holder_of_name(workflow.dataset_name) is not None:
            raise WorkflowAlreadyExists(workflow.dataset_name, holder=workflow.dataset_name)

    def _refuse_taken_dag_id(self, workflow: Workflow) -> None:
        holder = self._holder_of_dag(workflow.dag_id)
        if holder is not None:
            name = workflow.dataset_name
            raise WorkflowAlreadyExists(name, holder=holder.dataset_name, dag_id=workflow.dag_id)

    def _holder_of_name(self, dataset_name: str) -> Workflow | None:
        return next((held for held in self._live() if held.dataset_name == dataset_name), None)

    def _holder_of_dag(self, dag_id: str) -> Workflow | None:
        return next((held for held in self._live() if held.dag_id == dag_id), None)

    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        stored = self._workflows.get(workflow.id)
        same = stored and (stored.dataset_name, stored.version) == (workflow.dataset_name, workflow.version)
        if not same or self._comes_back(workflow):
            what = f"Workflow {workflow.dataset_name!r}"
            raise ConcurrentUpdate(what)

    def _comes_back(self, workflow: Workflow) -> bool:
        return self._workflows[workflow.id].phase.has_left and not workflow.phase.has_left

    def _saved_workflow(self, workflow: Workflow) -> Workflow:
        self._refuse_other_workflow(workflow)
        saved = self._with_next_version(workflow)
        self._workflows[workflow.id] = self._kept(saved)
        return saved

    def _keep_revision(self, workflow: Workflow, revision: Revision) -> None:
        self._revisions[workflow.id].append(self._kept(revision))

    def _revisions_of(self, workflow: Workflow) -> list[Revision]:
        return sorted(self._revisions.get(workflow.id, ()), key=lambda revision: -revision.number)

    def _revision_key(self, revision: Revision) -> Key:
        return (str(revision.number),)

    def _active(self, workflow: Workflow) -> list[Run]:
        found = [run for run in self._runs.values() if run.workflow_id == workflow.id and not run.settled]
        return sorted(found, key=lambda run: run.run_id)

    def _refuse_active_runs(self, workflow: Workflow, *, force: bool) -> None:
        active = self._active(workflow)
        if active and not force:
            raise WorkflowHasActiveRuns(workflow.dataset_name, [run.run_id for run in active])

    def _matches(self, workflow: Workflow, where: WorkflowFilter) -> bool:
        return (
            where.status in {None, workflow.status}
            and where.source_type in {None, workflow.source_type}
            and where.owner in {None, workflow.owner}
            and self._sees(where.visible, workflow)
        )

    def _sees(self, visible: Visibility | None, workflow: Workflow) -> bool:
        return visible is None or visible.sees(workflow)

    def _sees_name(self, visible: Visibility | None, event: AuditEvent) -> bool:
        named = [one for one in self._workflows.values() if one.dataset_name == event.dataset_name]
        return visible is None or (bool(named) and all(self._sees(visible, one) for one in named))

    def _workflow_key(self, workflow: Workflow) -> Key:
        return (workflow.dataset_name,)

    def _is_unsettled_workflow(self, workflow: Workflow) -> bool:
        return not workflow.settled

    def _unsettled_workflow_order(self, workflow: Workflow) -> tuple[bool, datetime, datetime, str]:
        tried = self._tried.get(workflow.id)
        return tried is not None, tried or _EVER, workflow.updated_at, workflow.dataset_name

    def _tried_at(self, _workflow: Workflow, at: datetime) -> datetime:
        return _in_utc(at)

    def _keep_seen(self, seen: CodeObject | None) -> None:
        if seen is not None:
            kept = self._code.get(seen.dataset_name)
            self._code[seen.dataset_name] = self._kept(evolve(seen, version=(kept.version if kept else 0) + 1))

    def _is_as_read(self, one: CodeObject) -> bool:
        kept = self._code.get(one.dataset_name)
        return (kept.version if kept else 0) == one.version

    def _refuse_run_of_no_workflow(self, run: Run) -> None:
        owner = self._workflows.get(run.workflow_id)
        if owner is None or not self._takes(owner, run):
            raise WorkflowNotFound(run.dataset_name)

    def _is_live(self, dataset_name: str) -> bool:
        return self._holder_of_name(dataset_name) is not None

    def _refuse_other_version_than(self, version: int, run: Run) -> None:
        owner = self._workflows.get(run.workflow_id)
        if owner is None or owner.version != version or not self._takes(owner, run):
            what = f"Workflow {run.dataset_name!r}"
            raise ConcurrentUpdate(what)

    def _takes(self, owner: Workflow, run: Run) -> bool:
        if owner.phase is Phase.UNREGISTERING:
            return run.submission is Submission.SUBMITTED
        return not owner.phase.has_left

    def _refuse_taken_run_id(self, run: Run) -> None:
        if run.run_id in self._runs:
            raise RunAlreadyExists(run.run_id)

    def _refuse_taken_airflow_id(self, run: Run) -> None:
        for held in self._runs.values():
            if (held.dag_id, held.airflow_run_id) == (run.dag_id, run.airflow_run_id):
                raise RunAlreadyExists(held.run_id)

    def _refuse_other_run(self, run: Run) -> None:
        stored = self._runs.get(run.run_id)
        if stored is None or _identity(stored) != _identity(run):
            what = f"Run {run.run_id!r}"
            raise ConcurrentUpdate(what)

    def _matches_name(self, run: Run, where: HistoryFilter) -> bool:
        return where.dataset_name in {None, run.dataset_name}

    def _in_window(self, run: Run, where: HistoryFilter) -> bool:
        start, end = where.window
        return (start is None or run.started_at >= start) and (end is None or run.started_at < end)

    def _latest_first(self, runs: Iterable[Run]) -> list[Run]:
        return sorted(runs, key=self._run_key, reverse=True)

    def _run_key(self, run: Run) -> Key:
        return moment_key(run.started_at), run.run_id

    def _refuse_odd_key(self, page: PageRequest) -> None:
        if page.after is not None:
            key_moment(page.after[0])

    def _is_to_send(self, run: Run) -> bool:
        on_its_way = run.submission in {Submission.WAITING, Submission.SENDING}
        return on_its_way and not run.settled and run.backfill_id is None and run.stop is None

    def _is_due(self, run: Run, sent_before: datetime) -> bool:
        return run.submission is Submission.WAITING or run.sent_at is None or run.sent_at < sent_before

    def _may_run(self, entity: Run | Backfill) -> bool:
        owner = self._workflows[entity.workflow_id]
        return owner.phase is Phase.SERVED and owner.pause is None

    def _sending_order(self, run: Run) -> tuple[bool, datetime, str]:
        return run.sent_at is not None, run.sent_at or _EVER, run.run_id

    def _is_stopping(self, run: Run) -> bool:
        return run.status is RunStatus.STOPPING

    def _is_retrying(self, run: Run) -> bool:
        return run.submission is Submission.RETRYING and not run.settled and run.stop is None

    def _is_run_to_look_at(self, run: Run) -> bool:
        return run.submission is Submission.SUBMITTED and not run.settled

    def _run_looking_order(self, run: Run) -> tuple[bool, datetime, str]:
        return run.observed_at is not None, run.observed_at or _EVER, run.run_id

    def _stopping_order(self, run: Run) -> tuple[bool, datetime, str]:
        asked = run.stop.asked_at if run.stop else None
        return asked is not None, asked or _EVER, run.run_id

    def _dated(self, workflow_id: UUID, first: date, last: date) -> list[Run]:
        found = [run for run in self._runs.values() if run.workflow_id == workflow_id and first <= run.run_date <= last]
        return sorted(found, key=self._dated_order)

    def _dated_order(self, run: Run) -> tuple[date, datetime, str]:
        return run.run_date, run.started_at, run.run_id

    def _refuse_backfill_of_no_workflow(self, backfill: Backfill) -> None:
        owner = self._workflows.get(backfill.workflow_id)
        if owner is None or owner.phase.has_left or owner.phase is Phase.UNREGISTERING:
            raise WorkflowNotFound(backfill.dataset_name)

    def _refuse_other_dates(self, backfill: Backfill, dated: int) -> None:
        if len(self._dated(backfill.workflow_id, backfill.start_date, backfill.end_date)) != dated:
            what = f"Backfill {backfill.backfill_id!r}"
            raise ConcurrentUpdate(what)

    def _refuse_taken_backfill_id(self, backfill: Backfill) -> None:
        if backfill.backfill_id in self._backfills:
            raise BackfillAlreadyExists(backfill.backfill_id)

    def _refuse_other_backfill(self, backfill: Backfill) -> None:
        stored = self._backfills.get(backfill.backfill_id)
        if stored is None or _backfill_identity(stored) != _backfill_identity(backfill):
            what = f"Backfill {backfill.backfill_id!r}"
            raise ConcurrentUpdate(what)

    def _backfill_key(self, backfill: Backfill) -> Key:
        return moment_key(backfill.created_at), backfill.backfill_id

    def _slots(self, backfill_id: str) -> list[Run]:
        found = [run for run in self._runs.values() if run.backfill_id == backfill_id]
        return sorted(found, key=lambda run: (run.run_date, run.run_id))

    def _is_active(self, backfill: Backfill, slots: Sequence[Run]) -> bool:
        if backfill.wanted is Wanted.STOP:
            return any(not run.settled and run.stop is None for run in slots)
        if backfill.wanted is Wanted.PAUSE or not self._may_run(backfill):
            return False
        return bool(being_sent(slots) or backfill.to_send(slots))

    def _active_order(self, backfill: Backfill) -> tuple[datetime, str]:
        return backfill.updated_at, backfill.backfill_id

    def _is_to_look_at(self, workflow: Workflow) -> bool:
        return workflow.phase in {Phase.SERVED, Phase.FAILED}

    def _looking_order(self, workflow: Workflow, listed_before: datetime) -> tuple[bool, bool, datetime, str]:
        seen = self._observations.get(workflow.id) or Observation(workflow_id=workflow.id)
        known = seen.observed_at is not None and seen.observed_at >= listed_before
        return known, seen.looked_at is not None, seen.looked_at or _EVER, workflow.dataset_name

    def _refuse_taken_key(self, act: AuditEntry | None) -> None:
        record = key_record(act)
        if record is not None and (record.scope, record.key) in self._keys:
            raise KeyInUse(record.key)

    def _keep_event(self, act: AuditEntry | None) -> None:
        if act is not None:
            self._audit.append(self._kept(audit_event(act, uuid7(act.at))))

    def _is_told(self, event: AuditEvent, where: AuditFilter) -> bool:
        return (
            where.dataset_name in {None, event.dataset_name}
            and where.action in {None, event.action}
            and where.who in {None, event.who}
            and (where.since is None or event.at >= where.since)
            and (where.until is None or event.at < where.until)
        )

    def _audit_key(self, event: AuditEvent) -> Key:
        return moment_key(event.at), str(event.id)

    def _keep_key(self, act: AuditEntry | None) -> None:
        record = key_record(act)
        if record is not None:
            self._keys[record.scope, record.key] = self._kept(record)

    def _answered(self, record: KeyRecord, answer: str) -> KeyRecord:
        return record if record.answer is not None else evolve(record, answer=answer)

    def _is_over(self, record: KeyRecord, before: datetime) -> bool:
        return record.at < before

    def _is_progress(self, until: datetime) -> bool:
        return self._observed_until is None or until > self._observed_until

    def _with_next_version(self, entity: T) -> T:
        return evolve(entity, version=entity.version + 1)  # type: ignore[attr-defined, misc]  # one of the entities

    def _page(
        self, ordered: Sequence[T], page: PageRequest, key: Callable[[T], Key], is_after: Callable[[Key, Key], bool]
    ) -> Page[T]:
        rest = [item for item in ordered if page.after is None or is_after(key(item), page.after)][page.offset :]
        items = self._first(rest, page.limit)
        more = len(rest) > page.limit
        return Page(items=items, total=len(ordered), next_after=key(items[-1]) if more else None)

    def _first(self, ordered: Sequence[T], limit: int) -> tuple[T, ...]:
        return tuple(map(self._kept, ordered[:limit]))

    def _kept(self, entity: T) -> T:
        """A copy that shares nothing changeable with what the caller holds, its times in UTC."""
        return _times_in_utc(deepcopy(entity))


def _identity(run: Run) -> tuple[object, ...]:
    return run.run_id, run.airflow_run_id, run.workflow_id, run.dataset_name, run.dag_id, run.version


def _backfill_identity(backfill: Backfill) -> tuple[object, ...]:
    return backfill.backfill_id, backfill.workflow_id, backfill.dataset_name, backfill.version


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone"
        raise ValueError(msg)
    return moment.astimezone(UTC)


def _times_in_utc(entity: T) -> T:
    changed: dict[str, object] = {}
    for field in fields(type(entity)):  # type: ignore[arg-type]  # attrs classes only
        value = getattr(entity, field.name)
        if isinstance(value, datetime):
            changed[field.name] = _in_utc(value)
        elif has(type(value)):
            changed[field.name] = _times_in_utc(value)
    return evolve(entity, **changed) if changed else entity  # type: ignore[misc]
