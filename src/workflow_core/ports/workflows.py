"""The port for workflows, their revisions and their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from workflow_core.ports.runs import RunPort

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.filters import WorkflowFilter
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.workflow import Revision, Workflow


@runtime_checkable
class WorkflowPort(RunPort, Protocol):
    """Stores workflows and their revisions; the methods for runs come from :class:`~workflow_core.ports.runs.RunPort`.

    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.

    A workflow that has left (:attr:`Phase.has_left <workflow_core.domain.workflow.Phase.has_left>`) is kept only for the history of
    its runs. Its name and DAG id are free, and only :meth:`workflow_by_id` and :meth:`unsettled_workflows` return it.
    """

    def add_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> None:
        """Store a new workflow with its first revision.

        If several callers add the same name or DAG id at the same time, exactly one succeeds.

        Args:
            workflow: The new workflow.
            seen: The CODE object that the workflow was made from. It replaces the stored record of that object.
            act: The audit entry to write in the same transaction.

        Raises:
            WorkflowAlreadyExists: Another workflow holds the name or the DAG id; the error names the holder.
        """
        ...

    def workflow(self, dataset_name: str) -> Workflow | None:
        """The live workflow with this name, or None."""
        ...

    def workflow_by_id(self, workflow_id: UUID) -> Workflow | None:
        """The workflow with this id, including one that has left, or None."""
        ...

    def workflow_by_dag(self, dag_id: str) -> Workflow | None:
        """The live workflow that holds this DAG id, or None."""
        ...

    def workflows_of_dags(self, dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
        """The live workflows that hold these DAG ids. Ids without a holder are left out."""
        ...

    def save_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """Write back a workflow that was read earlier, and return it with its new version.

        The id and the name of a workflow never change. Every other field is replaced. ``seen`` is the CODE object that the workflow
        was made from; it replaces the stored record of that object.

        Raises:
            ConcurrentUpdate: The stored version differs, or no workflow has this id *and* this name. A workflow that has left is
                never live again: saving it as live is refused in the same way.
        """
        ...

    def revise_workflow(
        self, workflow: Workflow, revision: Revision, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """Write back a workflow with a changed spec, as :meth:`save_workflow` does, and store the revision, in one transaction.

        Raises:
            ConcurrentUpdate: As for :meth:`save_workflow`.
        """
        ...

    def revisions(self, workflow: Workflow, page: PageRequest) -> Page[Revision]:
        """The revisions of exactly this workflow, latest first. The key of a page is ``(number,)``, in decimal."""
        ...

    def revision(self, workflow: Workflow, number: int) -> Revision | None:
        """One revision of exactly this workflow, or None."""
        ...

    def retire_workflow(self, workflow: Workflow, *, force: bool, act: AuditEntry | None = None) -> Workflow:
        """Write back a workflow that is being unregistered, as :meth:`save_workflow` does, if it has no active run or ``force`` is set.

        Of this call and a concurrent :meth:`~workflow_core.ports.runs.RunPort.add_run`, the later one sees the other's change.

        Raises:
            ConcurrentUpdate: As for :meth:`save_workflow`.
            WorkflowHasActiveRuns: The workflow has active runs; nothing was written.
        """
        ...

    def list_workflows(self, where: WorkflowFilter, page: PageRequest) -> Page[Workflow]:
        """Live workflows by name, ascending in code-point order. The key of a page is ``(dataset_name,)``."""
        ...

    def retired_names(self, dataset_names: Iterable[str]) -> Collection[str]:
        """Those of the names that a workflow which has left held, and that no live workflow holds."""
        ...

    def unsettled_workflows(self, limit: int) -> Sequence[Workflow]:
        """Up to ``limit`` workflows for which :attr:`Workflow.is_settled` is false.

        Workflows without a recorded attempt come first, then those with the oldest attempt, then those unchanged for the longest time,
        then by name.
        """
        ...

    def record_attempt(self, workflows: Iterable[Workflow], at: datetime) -> None:
        """Record that the reconciliation of these workflows was attempted at this moment.

        The last call counts. No version changes. Workflows that are not stored are ignored.
        """
        ...

    def workflows_to_poll(self, limit: int, *, listed_before: datetime) -> Sequence[Workflow]:
        """Up to ``limit`` workflows that Airflow serves or could not build.

        Workflows that were neither listed nor polled since ``listed_before`` come before the others. Within both groups, workflows
        never polled come first, then those polled longest ago, then by name.
        """
        ...
