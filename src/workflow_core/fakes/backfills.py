"""``BackfillPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.backfill import Wanted, being_sent, counts_of
from workflow_core.domain.paging import moment_key
from workflow_core.domain.workflow import Phase
from workflow_core.errors import BackfillAlreadyExists, ConcurrentUpdate, WorkflowNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.run import Run, RunStatus
    from workflow_core.fakes.store import Key, Store


class InMemoryBackfills:
    """:class:`~workflow_core.ports.backfills.BackfillPort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_backfill(
        self, backfill: Backfill, runs: Sequence[Run], *, dated: int, act: AuditEntry | None = None
    ) -> None:
        with self._store.audited("add_backfill", act):
            self._refuse_backfill_of_no_workflow(backfill)
            self._refuse_other_dates(backfill, dated)
            self._refuse_taken_backfill_id(backfill)
            for run in runs:
                self._store.refuse_taken_run_id(run)
                self._store.refuse_taken_airflow_id(run)
            self._store.backfills[backfill.backfill_id] = self._store.kept(backfill)
            self._store.runs |= {run.run_id: self._store.kept(run) for run in runs}

    def backfill(self, backfill_id: str) -> Backfill | None:
        with self._store.transaction("backfill"):
            backfill = self._store.backfills.get(backfill_id)
            return None if backfill is None else self._store.kept(backfill)

    def save_backfill(
        self, backfill: Backfill, runs: Sequence[Run] = (), *, act: AuditEntry | None = None
    ) -> tuple[Backfill, Sequence[Run]]:
        with self._store.audited("save_backfill", act):
            self._refuse_other_backfill(backfill)
            for run in runs:
                self._store.refuse_other_run(run)
            saved = self._store.with_next_version(backfill), tuple(map(self._store.with_next_version, runs))
            self._store.backfills[backfill.backfill_id] = self._store.kept(saved[0])
            self._store.runs |= {run.run_id: self._store.kept(run) for run in saved[1]}
            return saved

    def list_backfills(
        self, dataset_name: str, page: PageRequest, *, visible: Visibility | None = None
    ) -> Page[Backfill]:
        with self._store.transaction("list_backfills"):
            self._store.refuse_malformed_key(page)
            named = [backfill for backfill in self._store.backfills.values() if backfill.dataset_name == dataset_name]
            shown = [
                backfill for backfill in named if self._store.sees(visible, self._store.workflows[backfill.workflow_id])
            ]
            ordered = sorted(shown, key=self._backfill_key, reverse=True)
            return self._store.page(ordered, page, self._backfill_key, lambda key, after: key < after)

    def active_backfills(self, limit: int) -> Sequence[Backfill]:
        with self._store.transaction("active_backfills"):
            active = [
                backfill
                for backfill in self._store.backfills.values()
                if self._is_active(backfill, self._slots(backfill.backfill_id))
            ]
            return self._store.first(sorted(active, key=self._active_order), limit)

    def backfill_runs(self, backfill_id: str) -> Sequence[Run]:
        with self._store.transaction("backfill_runs"):
            return self._store.first(self._slots(backfill_id), len(self._store.runs))

    def backfill_counts(self, backfill_ids: Iterable[str]) -> Mapping[str, Mapping[RunStatus, int]]:
        with self._store.transaction("backfill_counts"):
            return {key: counts for key in set(backfill_ids) if (counts := counts_of(self._slots(key)))}

    def _refuse_backfill_of_no_workflow(self, backfill: Backfill) -> None:
        owner = self._store.workflows.get(backfill.workflow_id)
        if owner is None or owner.phase.has_left or owner.phase is Phase.UNREGISTERING:
            raise WorkflowNotFound(backfill.dataset_name)

    def _refuse_other_dates(self, backfill: Backfill, dated: int) -> None:
        if len(self._store.dated(backfill.workflow_id, backfill.start_date, backfill.end_date)) != dated:
            what = f"Backfill {backfill.backfill_id!r}"
            raise ConcurrentUpdate(what)

    def _refuse_taken_backfill_id(self, backfill: Backfill) -> None:
        if backfill.backfill_id in self._store.backfills:
            raise BackfillAlreadyExists(backfill.backfill_id)

    def _refuse_other_backfill(self, backfill: Backfill) -> None:
        stored = self._store.backfills.get(backfill.backfill_id)
        if stored is None or _backfill_identity(stored) != _backfill_identity(backfill):
            what = f"Backfill {backfill.backfill_id!r}"
            raise ConcurrentUpdate(what)

    def _backfill_key(self, backfill: Backfill) -> Key:
        return moment_key(backfill.created_at), backfill.backfill_id

    def _slots(self, backfill_id: str) -> list[Run]:
        runs = [run for run in self._store.runs.values() if run.backfill_id == backfill_id]
        return sorted(runs, key=lambda run: (run.run_date, run.run_id))

    def _is_active(self, backfill: Backfill, slots: Sequence[Run]) -> bool:
        if backfill.wanted is Wanted.STOP:
            return any(not run.settled and run.stop is None for run in slots)
        if backfill.wanted is Wanted.PAUSE or not self._store.may_run(backfill):
            return False
        return bool(being_sent(slots) or backfill.to_send(slots))

    def _active_order(self, backfill: Backfill) -> tuple[datetime, str]:
        return backfill.updated_at, backfill.backfill_id


def _backfill_identity(backfill: Backfill) -> tuple[object, ...]:
    return backfill.backfill_id, backfill.workflow_id, backfill.dataset_name, backfill.version
