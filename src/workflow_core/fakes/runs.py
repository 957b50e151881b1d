"""``RunPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.paging import moment_key
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import ConcurrentUpdate, WorkflowNotFound
from workflow_core.fakes.store import EVER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.filters import HistoryFilter
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.fakes.store import Key, Store


class InMemoryRuns:
    """:class:`~workflow_core.ports.runs.RunPort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_run(self, run: Run, *, of_version: int | None = None, act: AuditEntry | None = None) -> None:
        with self._store.audited("add_run", act):
            if of_version is not None:
                self._refuse_other_version_than(of_version, run)
            self._refuse_run_of_no_workflow(run)
            self._store.refuse_taken_run_id(run)
            self._store.refuse_taken_airflow_id(run)
            self._store.runs[run.run_id] = self._store.kept(run)

    def run(self, run_id: str) -> Run | None:
        with self._store.transaction("run"):
            run = self._store.runs.get(run_id)
            return None if run is None else self._store.kept(run)

    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        with self._store.transaction("run_versions"):
            return {run_id: self._store.runs[run_id].version for run_id in run_ids if run_id in self._store.runs}

    def run_statuses(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]:
        with self._store.transaction("run_statuses"):
            return {run_id: self._store.runs[run_id].status for run_id in run_ids if run_id in self._store.runs}

    def runs_by_airflow_id(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Run]:
        with self._store.transaction("runs_by_airflow_id"):
            wanted = set(keys)
            pairs = [((run.dag_id, run.airflow_run_id), run) for run in self._store.runs.values()]
            return {pair: self._store.kept(run) for pair, run in pairs if pair in wanted}

    def save_run(self, run: Run, *, act: AuditEntry | None = None) -> Run:
        with self._store.audited("save_run", act):
            self._store.refuse_other_run(run)
            saved = self._store.with_next_version(run)
            self._store.runs[run.run_id] = self._store.kept(saved)
            return saved

    def history(self, where: HistoryFilter, page: PageRequest) -> Page[Run]:
        with self._store.transaction("history"):
            self._store.refuse_malformed_key(page)
            runs = [
                run
                for run in self._store.runs.values()
                if self._matches_name(run, where)
                and self._in_window(run, where)
                and self._store.sees(where.visible, self._store.workflows[run.workflow_id])
            ]
            return self._store.page(self._latest_first(runs), page, self._run_key, lambda key, after: key < after)

    def last_runs(self, dataset_names: Iterable[str]) -> Mapping[str, Run]:
        with self._store.transaction("last_runs"):
            wanted = set(dataset_names)
            earliest_first = reversed(self._latest_first(self._store.runs.values()))
            return {run.dataset_name: self._store.kept(run) for run in earliest_first if run.dataset_name in wanted}

    def runs_to_send(self, limit: int, *, sent_before: datetime) -> Sequence[Run]:
        with self._store.transaction("runs_to_send"):
            runs = [
                run
                for run in self._store.runs.values()
                if self._is_to_send(run) and self._is_due(run, sent_before) and self._store.may_run(run)
            ]
            return self._store.first(sorted(runs, key=self._sending_order), limit)

    def stopping_runs(self, limit: int) -> Sequence[Run]:
        with self._store.transaction("stopping_runs"):
            runs = [run for run in self._store.runs.values() if self._is_stopping(run)]
            return self._store.first(sorted(runs, key=self._stopping_order), limit)

    def retrying_runs(self, limit: int) -> Sequence[Run]:
        with self._store.transaction("retrying_runs"):
            runs = [run for run in self._store.runs.values() if self._is_retrying(run)]
            return self._store.first(sorted(runs, key=self._sending_order), limit)

    def runs_to_poll(self, limit: int) -> Sequence[Run]:
        with self._store.transaction("runs_to_poll"):
            runs = [run for run in self._store.runs.values() if self._is_run_to_poll(run)]
            return self._store.first(sorted(runs, key=self._run_poll_order), limit)

    def active_runs(self, workflow: Workflow) -> Sequence[Run]:
        with self._store.transaction("active_runs"):
            return self._store.first(self._active(workflow), len(self._store.runs))

    def dated_runs(self, workflow: Workflow, first: date, last: date) -> Sequence[Run]:
        with self._store.transaction("dated_runs"):
            return self._store.first(self._store.dated(workflow.id, first, last), len(self._store.runs))

    def _active(self, workflow: Workflow) -> list[Run]:
        runs = [run for run in self._store.runs.values() if run.workflow_id == workflow.id and not run.settled]
        return sorted(runs, key=lambda run: run.run_id)

    def _refuse_run_of_no_workflow(self, run: Run) -> None:
        owner = self._store.workflows.get(run.workflow_id)
        if owner is None or not self._takes(owner, run):
            raise WorkflowNotFound(run.dataset_name)

    def _refuse_other_version_than(self, version: int, run: Run) -> None:
        owner = self._store.workflows.get(run.workflow_id)
        if owner is None or owner.version != version or not self._takes(owner, run):
            what = f"Workflow {run.dataset_name!r}"
            raise ConcurrentUpdate(what)

    def _takes(self, owner: Workflow, run: Run) -> bool:
        if owner.phase is Phase.UNREGISTERING:
            return run.submission is Submission.SUBMITTED
        return not owner.phase.has_left

    def _matches_name(self, run: Run, where: HistoryFilter) -> bool:
        return where.dataset_name in {None, run.dataset_name}

    def _in_window(self, run: Run, where: HistoryFilter) -> bool:
        start, end = where.window
        return (start is None or run.started_at >= start) and (end is None or run.started_at < end)

    def _latest_first(self, runs: Iterable[Run]) -> list[Run]:
        return sorted(runs, key=self._run_key, reverse=True)

    def _run_key(self, run: Run) -> Key:
        return moment_key(run.started_at), run.run_id

    def _is_to_send(self, run: Run) -> bool:
        on_its_way = run.submission in {Submission.WAITING, Submission.SENDING}
        return on_its_way and not run.settled and run.backfill_id is None and run.stop is None

    def _is_due(self, run: Run, sent_before: datetime) -> bool:
        return run.submission is Submission.WAITING or run.sent_at is None or run.sent_at < sent_before

    def _sending_order(self, run: Run) -> tuple[bool, datetime, str]:
        return run.sent_at is not None, run.sent_at or EVER, run.run_id

    def _is_stopping(self, run: Run) -> bool:
        return run.status is RunStatus.STOPPING

    def _is_retrying(self, run: Run) -> bool:
        return run.submission is Submission.RETRYING and not run.settled and run.stop is None

    def _is_run_to_poll(self, run: Run) -> bool:
        return run.submission is Submission.SUBMITTED and not run.settled

    def _run_poll_order(self, run: Run) -> tuple[bool, datetime, str]:
        return run.observed_at is not None, run.observed_at or EVER, run.run_id

    def _stopping_order(self, run: Run) -> tuple[bool, datetime, str]:
        asked = run.stop.asked_at if run.stop else None
        return asked is not None, asked or EVER, run.run_id
