"""The API in this process, where nobody else follows Airflow: no server, no worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_core.domain.run import RunStatus
from workflow_core.local import LocalWorkflowApi

if TYPE_CHECKING:
    from workflow_core.api import (
        BackfillFilters,
        BackfillItem,
        BackfillStatusAnswer,
        HistoryFilters,
        HistoryItem,
        Listing,
        RunFilters,
        RunStatusAnswer,
        SyncAnswer,
        SyncRequest,
        WorkflowFilters,
        WorkflowItem,
    )


MOMENT: Final = 0.5
"""Seconds."""


class SelfSweepingApi(LocalWorkflowApi):
    """Sweeps before what it tells would be out of date."""

    def workflows(self, filters: WorkflowFilters | None = None) -> Listing[WorkflowItem]:
        """As Airflow has them now."""
        self._service.sweep(is_periodic=False)
        return super().workflows(filters)

    def sync(self, request: SyncRequest | None = None) -> SyncAnswer:
        """And have Airflow follow."""
        answer = super().sync(request)
        if not answer.dry_run:
            self._service.sweep(is_periodic=False)
        return answer

    def history(self, filters: HistoryFilters | None = None) -> Listing[HistoryItem]:
        """With the runs that Airflow has started meanwhile."""
        self._service.sweep(is_periodic=False)
        return super().history(filters)

    def status(self, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
        """One run; if Airflow does not have it yet, or it is stopping, after doing what a worker would do. Waits for a moment at most:
        nobody else sees to it meanwhile.
        """
        view = self._service.status(run_id)
        if filters and filters.wait and not view.run.is_settled:
            self._service.wait_for_change(run_id, view.run.version, MOMENT)
            view = self._service.status(run_id)
        waits = view.run.observed_at is None and not view.run.status.is_final
        if waits or view.run.status is RunStatus.STOPPING:
            self._service.sweep(is_periodic=False)
            view = self._service.status(run_id)
        return self._status(view)

    def backfills(self, dataset_name: str, filters: BackfillFilters | None = None) -> Listing[BackfillItem]:
        """As far as a worker would have brought them."""
        self._service.sweep(is_periodic=False)
        return super().backfills(dataset_name, filters)

    def backfill_status(self, backfill_id: str) -> BackfillStatusAnswer:
        """One backfill; while it is not over, after doing what a worker would do."""
        answer = super().backfill_status(backfill_id)
        if answer.status.is_final:
            return answer
        self._service.sweep(is_periodic=False)
        return super().backfill_status(backfill_id)
