"""The port for backfills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.run import Run, RunStatus


@runtime_checkable
class BackfillPort(Protocol):
    """Stores backfills together with their runs.

    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.
    """

    def add_backfill(
        self, backfill: Backfill, runs: Sequence[Run], *, dated: int, act: AuditEntry | None = None
    ) -> None:
        """Store a new backfill and its runs in one transaction.

        Of this call, a concurrent :meth:`~workflow_core.ports.runs.RunPort.add_run` and another backfill, the later one sees the
        changes of the others.

        Args:
            backfill: The new backfill.
            runs: Its runs. All are of one workflow, and none is in Airflow.
            dated: How many runs :meth:`~workflow_core.ports.runs.RunPort.dated_runs` returned for the dates of the backfill. The
                backfill is stored only while the number is the same, so the caller's choice of dates still holds.
            act: The audit entry to write in the same transaction.

        Raises:
            WorkflowNotFound: The workflow does not exist, has left, or is being unregistered.
            ConcurrentUpdate: The workflow has another number of runs for these dates.
            BackfillAlreadyExists: The backfill id is taken.
            RunAlreadyExists: The run id of one of the runs, or its pair of DAG id and Airflow's run id, is taken.
        """
        ...

    def backfill(self, backfill_id: str) -> Backfill | None:
        """The backfill with this id, or None."""
        ...

    def save_backfill(
        self, backfill: Backfill, runs: Sequence[Run] = (), *, act: AuditEntry | None = None
    ) -> tuple[Backfill, Sequence[Run]]:
        """Write back a backfill that was read earlier, and runs as :meth:`~workflow_core.ports.runs.RunPort.save_run` does.

        Everything is written in one transaction. The backfill and the runs are returned with their new versions. The id, the name and
        the workflow of a backfill never change. Every other field is replaced.

        Raises:
            ConcurrentUpdate: The stored version of the backfill, or of one of the runs, differs, or one of them is not stored.
        """
        ...

    def list_backfills(
        self, dataset_name: str, page: PageRequest, *, visible: Visibility | None = None
    ) -> Page[Backfill]:
        """Backfills of all workflows that have or had this name, by ``created_at``, latest first, then by id.

        Ids are in descending code-point order. ``visible`` limits the list to the backfills of visible workflows. The key of a page is
        ``(created_at, backfill_id)``, as for :meth:`~workflow_core.ports.runs.RunPort.history`.

        Raises:
            InvalidRequest: ``page.after`` is not such a key.
        """
        ...

    def active_backfills(self, limit: int) -> Sequence[Backfill]:
        """Up to ``limit`` backfills with work that is due, those unchanged for the longest time (``updated_at``) first, then by id.

        Work is due for a backfill whose desired state is

        - to run, of a workflow that may run (it is served and not paused), with a run that is being sent and has no requested stop, or
          with a waiting run while fewer than ``max_active`` other runs were sent and have not ended;
        - to stop, with a run that has not ended and has no requested stop.
        """
        ...

    def backfill_runs(self, backfill_id: str) -> Sequence[Run]:
        """The runs of a backfill, by run date, then by run id; empty if the backfill does not exist."""
        ...

    def backfill_counts(self, backfill_ids: Iterable[str]) -> Mapping[str, Mapping[RunStatus, int]]:
        """For each id the number of runs by status. Statuses without runs, and ids without runs, are left out."""
        ...
