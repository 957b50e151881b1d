"""The port for runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.filters import HistoryFilter
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.run import Run, RunStatus
    from workflow_core.domain.workflow import Workflow


@runtime_checkable
class RunPort(Protocol):
    """Stores runs. :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method."""

    def add_run(self, run: Run, *, of_version: int | None = None, act: AuditEntry | None = None) -> None:
        """Store a new run. If several callers add the same run id at the same time, exactly one succeeds.

        Args:
            run: The new run.
            of_version: The version of the workflow that the caller read before it decided on the run. The run is stored only
                while the workflow still has that version, so every check of the workflow still holds. None accepts any version.
            act: The audit entry to write in the same transaction.

        Raises:
            RunAlreadyExists: The run id, or the pair of DAG id and Airflow's run id, is taken.
            WorkflowNotFound: The workflow does not exist or has left; or it is being unregistered and the run is not in Airflow yet.
            ConcurrentUpdate: The workflow has another version, or accepts no run.
        """
        ...

    def run(self, run_id: str) -> Run | None:
        """The run with this id, or None."""
        ...

    def run_versions(self, run_ids: Collection[str]) -> Mapping[str, int]:
        """The versions of these runs. Ids without a run are left out.

        The query is cheap: every waiting client causes two of them a second.
        """
        ...

    def run_statuses(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]:
        """The recorded statuses of these runs. Ids without a run are left out."""
        ...

    def runs_by_airflow_id(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Run]:
        """The runs with these pairs of DAG id and Airflow's run id. Pairs without a run are left out."""
        ...

    def save_run(self, run: Run, *, act: AuditEntry | None = None) -> Run:
        """Write back a run that was read earlier, and return it with its new version.

        The ids and names of a run never change. Every other field is replaced.

        Raises:
            ConcurrentUpdate: The stored version differs, or no run has these ids and names.
        """
        ...

    def history(self, where: HistoryFilter, page: PageRequest) -> Page[Run]:
        """Runs by ``started_at``, latest first, then by run id, descending in code-point order.

        The key of a page is ``(started_at, run_id)``, with the moment in the format of
        :func:`~workflow_core.domain.paging.moment_key`.

        Raises:
            InvalidRequest: ``page.after`` is not such a key.
        """
        ...

    def last_runs(self, dataset_names: Iterable[str]) -> Mapping[str, Run]:
        """For each name the run that :meth:`history` would list first. Names without runs are left out."""
        ...

    def runs_to_send(self, limit: int, *, sent_before: datetime) -> Sequence[Run]:
        """Up to ``limit`` runs to submit to Airflow: waiting ones, and those being sent since before ``sent_before``.

        Excluded are runs of a backfill (the backfill submits them), runs with a requested stop, and runs of a workflow that may not
        run (it is not served, or it is paused). Runs never sent come first, then those sent longest ago, then by run id.
        """
        ...

    def stopping_runs(self, limit: int) -> Sequence[Run]:
        """Up to ``limit`` runs with status STOPPING.

        Runs whose stop was never sent to Airflow come first, then those whose stop was sent longest ago, then by run id.
        """
        ...

    def retrying_runs(self, limit: int) -> Sequence[Run]:
        """Up to ``limit`` runs with a pending retry (:attr:`Submission.RETRYING`) that have not ended and have no requested stop.

        Runs whose retry was never sent to Airflow come first, then those whose retry was sent longest ago, then by run id.
        """
        ...

    def runs_to_poll(self, limit: int) -> Sequence[Run]:
        """Up to ``limit`` runs that are in Airflow (:attr:`Submission.SUBMITTED`) and have not ended.

        Runs never observed come first, then those observed longest ago, then by run id.
        """
        ...

    def active_runs(self, workflow: Workflow) -> Sequence[Run]:
        """The runs of exactly this workflow that have not ended, by run id."""
        ...

    def dated_runs(self, workflow: Workflow, first: date, last: date) -> Sequence[Run]:
        """The runs of exactly this workflow with a run date from ``first`` to ``last`` (both included).

        They are ordered by run date, then by ``started_at``, then by run id.
        """
        ...
