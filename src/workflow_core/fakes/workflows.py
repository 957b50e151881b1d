"""``WorkflowPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.domain.conditions import Observation
from workflow_core.domain.workflow import Phase, first_revision, revision_number
from workflow_core.errors import ConcurrentUpdate, WorkflowAlreadyExists, WorkflowHasActiveRuns
from workflow_core.fakes.runs import InMemoryRuns
from workflow_core.fakes.store import EVER, in_utc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.filters import WorkflowFilter
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.workflow import Revision, Workflow
    from workflow_core.fakes.store import Key


class InMemoryWorkflows(InMemoryRuns):
    """:class:`~workflow_core.ports.workflows.WorkflowPort` in memory."""

    def add_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> None:
        with self._store.audited("add_workflow", act):
            self._refuse_taken_name(workflow)
            self._refuse_taken_dag_id(workflow)
            self._store.workflows[workflow.id] = self._store.kept(workflow)
            self._store.revisions[workflow.id] = [first_revision(workflow)]
            self._keep_seen(seen)

    def workflow(self, dataset_name: str) -> Workflow | None:
        with self._store.transaction("workflow"):
            workflow = self._store.holder_of_name(dataset_name)
            return None if workflow is None else self._store.kept(workflow)

    def workflow_by_id(self, workflow_id: UUID) -> Workflow | None:
        with self._store.transaction("workflow_by_id"):
            workflow = self._store.workflows.get(workflow_id)
            return None if workflow is None else self._store.kept(workflow)

    def workflow_by_dag(self, dag_id: str) -> Workflow | None:
        with self._store.transaction("workflow_by_dag"):
            workflow = self._store.holder_of_dag(dag_id)
            return None if workflow is None else self._store.kept(workflow)

    def save_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        with self._store.audited("save_workflow", act):
            saved = self._saved_workflow(workflow)
            self._keep_seen(seen)
            return saved

    def revise_workflow(
        self, workflow: Workflow, revision: Revision, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        with self._store.audited("revise_workflow", act):
            saved = self._saved_workflow(workflow)
            self._keep_revision(workflow, revision)
            self._keep_seen(seen)
            return saved

    def revisions(self, workflow: Workflow, page: PageRequest) -> Page[Revision]:
        with self._store.transaction("revisions"):
            revisions = self._revisions_of(workflow)
            return self._store.page(
                revisions, page, self._revision_key, lambda key, after: int(key[0]) < revision_number(after)
            )

    def revision(self, workflow: Workflow, number: int) -> Revision | None:
        with self._store.transaction("revision"):
            return next((revision for revision in self._revisions_of(workflow) if revision.number == number), None)

    def retire_workflow(self, workflow: Workflow, *, force: bool, act: AuditEntry | None = None) -> Workflow:
        with self._store.audited("retire_workflow", act):
            self._refuse_other_workflow(workflow)
            self._refuse_active_runs(workflow, force=force)
            return self._saved_workflow(workflow)

    def list_workflows(self, where: WorkflowFilter, page: PageRequest) -> Page[Workflow]:
        with self._store.transaction("list_workflows"):
            matching = [workflow for workflow in self._store.live() if self._matches(workflow, where)]
            ordered = sorted(matching, key=self._workflow_key)
            return self._store.page(ordered, page, self._workflow_key, lambda key, after: key > after)

    def retired_names(self, dataset_names: Iterable[str]) -> Collection[str]:
        with self._store.transaction("retired_names"):
            left = {workflow.dataset_name for workflow in self._store.workflows.values() if workflow.phase.has_left}
            return {name for name in dataset_names if name in left and not self._is_live(name)}

    def unsettled_workflows(self, limit: int) -> Sequence[Workflow]:
        with self._store.transaction("unsettled_workflows"):
            unsettled = [workflow for workflow in self._store.workflows.values() if self._is_unsettled(workflow)]
            return self._store.first(sorted(unsettled, key=self._unsettled_order), limit)

    def record_attempt(self, workflows: Iterable[Workflow], at: datetime) -> None:
        with self._store.transaction("record_attempt"):
            kept = (workflow for workflow in workflows if workflow.id in self._store.workflows)
            self._store.attempts |= {workflow.id: self._attempt_at(workflow, at) for workflow in kept}

    def workflows_of_dags(self, dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
        with self._store.transaction("workflows_of_dags"):
            wanted = set(dag_ids)
            return {held.dag_id: self._store.kept(held) for held in self._store.live() if held.dag_id in wanted}

    def workflows_to_poll(self, limit: int, *, listed_before: datetime) -> Sequence[Workflow]:
        with self._store.transaction("workflows_to_poll"):
            due = [workflow for workflow in self._store.workflows.values() if self._is_to_poll(workflow)]
            ordered = sorted(due, key=lambda workflow: self._poll_order(workflow, listed_before))
            return self._store.first(ordered, limit)

    def _refuse_taken_name(self, workflow: Workflow) -> None:
        if self._store.holder_of_name(workflow.dataset_name) is not None:
            raise WorkflowAlreadyExists(workflow.dataset_name, holder=workflow.dataset_name)

    def _refuse_taken_dag_id(self, workflow: Workflow) -> None:
        holder = self._store.holder_of_dag(workflow.dag_id)
        if holder is not None:
            name = workflow.dataset_name
            raise WorkflowAlreadyExists(name, holder=holder.dataset_name, dag_id=workflow.dag_id)

    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        stored = self._store.workflows.get(workflow.id)
        same = stored and (stored.dataset_name, stored.version) == (workflow.dataset_name, workflow.version)
        if not same or self._comes_back(workflow):
            what = f"Workflow {workflow.dataset_name!r}"
            raise ConcurrentUpdate(what)

    def _comes_back(self, workflow: Workflow) -> bool:
        return self._store.workflows[workflow.id].phase.has_left and not workflow.phase.has_left

    def _saved_workflow(self, workflow: Workflow) -> Workflow:
        self._refuse_other_workflow(workflow)
        saved = self._store.with_next_version(workflow)
        self._store.workflows[workflow.id] = self._store.kept(saved)
        return saved

    def _keep_revision(self, workflow: Workflow, revision: Revision) -> None:
        self._store.revisions[workflow.id].append(self._store.kept(revision))

    def _revisions_of(self, workflow: Workflow) -> list[Revision]:
        return sorted(self._store.revisions.get(workflow.id, ()), key=lambda revision: -revision.number)

    def _revision_key(self, revision: Revision) -> Key:
        return (str(revision.number),)

    def _refuse_active_runs(self, workflow: Workflow, *, force: bool) -> None:
        active = self._active(workflow)
        if active and not force:
            raise WorkflowHasActiveRuns(workflow.dataset_name, [run.run_id for run in active])

    def _matches(self, workflow: Workflow, where: WorkflowFilter) -> bool:
        return (
            where.status in {None, workflow.status}
            and where.source_type in {None, workflow.source_type}
            and where.owner in {None, workflow.owner}
            and self._store.sees(where.visible, workflow)
        )

    def _workflow_key(self, workflow: Workflow) -> Key:
        return (workflow.dataset_name,)

    def _is_unsettled(self, workflow: Workflow) -> bool:
        return not workflow.settled

    def _unsettled_order(self, workflow: Workflow) -> tuple[bool, datetime, datetime, str]:
        tried = self._store.attempts.get(workflow.id)
        return tried is not None, tried or EVER, workflow.updated_at, workflow.dataset_name

    def _attempt_at(self, _workflow: Workflow, at: datetime) -> datetime:
        return in_utc(at)

    def _keep_seen(self, seen: CodeObject | None) -> None:
        if seen is not None:
            kept = self._store.code_objects.get(seen.dataset_name)
            self._store.code_objects[seen.dataset_name] = self._store.kept(
                evolve(seen, version=(kept.version if kept else 0) + 1)
            )

    def _is_live(self, dataset_name: str) -> bool:
        return self._store.holder_of_name(dataset_name) is not None

    def _is_to_poll(self, workflow: Workflow) -> bool:
        return workflow.phase in {Phase.SERVED, Phase.FAILED}

    def _poll_order(self, workflow: Workflow, listed_before: datetime) -> tuple[bool, bool, datetime, str]:
        last = self._store.observations.get(workflow.id) or Observation(workflow_id=workflow.id)
        is_current = last.observed_at is not None and last.observed_at >= listed_before
        return is_current, last.looked_at is not None, last.looked_at or EVER, workflow.dataset_name
