"""The port for workflows, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.domain.workflow import Phase
from workflow_core.errors import WorkflowAlreadyExists
from workflow_core.fakes.store import Store
from workflow_core.fakes.workflows import InMemoryWorkflows

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow


class WhatHasLeftIsThere(Store):
    def live(self) -> list[Workflow]:
        return [workflow for workflow in self.workflows.values() if workflow.phase is not Phase.GONE]


class OneThatIsUnregisteredIsNotThere(Store):
    def live(self) -> list[Workflow]:
        return [workflow for workflow in super().live() if workflow.removal is None]


class NameIsNotUnique(InMemoryWorkflows):
    _refuse_taken_name = nothing
    _refuse_taken_dag_id = nothing


class DagIdIsNotUnique(InMemoryWorkflows):
    _refuse_taken_dag_id = nothing


class HolderIsNotNamed(InMemoryWorkflows):
    def _refuse_taken_dag_id(self, workflow: Workflow) -> None:
        if self._store.holder_of_dag(workflow.dag_id):
            raise WorkflowAlreadyExists(workflow.dataset_name)


class VersionIsNotChecked(InMemoryWorkflows):
    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        stored = self._store.workflows.get(workflow.id)
        super()._refuse_other_workflow(evolve(workflow, version=stored.version) if stored else workflow)


class SaveReachesTheSuccessor(InMemoryWorkflows):
    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        stored = self._store.holder_of_name(workflow.dataset_name)
        super()._refuse_other_workflow(evolve(workflow, id=stored.id) if stored else workflow)


class SaveAdds(InMemoryWorkflows):
    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        if workflow.id in self._store.workflows:
            super()._refuse_other_workflow(workflow)


class WhatHasLeftIsForgotten(InMemoryWorkflows):
    def workflow_by_id(self, workflow_id: Any) -> Workflow | None:
        workflow = super().workflow_by_id(workflow_id)
        return None if workflow and workflow.phase.has_left else workflow


class WhatHasLeftComesBack(InMemoryWorkflows):
    def _comes_back(self, workflow: Workflow) -> bool:
        return False


class ActiveRunsAreNotInTheWay(InMemoryWorkflows):
    _refuse_active_runs = nothing


class ForceIsIgnored(InMemoryWorkflows):
    def _refuse_active_runs(self, workflow: Workflow, *, force: bool) -> None:
        super()._refuse_active_runs(workflow, force=False)


class OrderIgnoresCase(InMemoryWorkflows):
    def _workflow_key(self, workflow: Workflow) -> tuple[str, ...]:
        return (workflow.dataset_name.lower(),)


class DisabledIsPaused(InMemoryWorkflows):
    def _matches(self, workflow: Workflow, where: Any) -> bool:
        if where.status == "paused" and workflow.pause and workflow.status == "disabled":
            where = evolve(where, status=None)
        return super()._matches(workflow, where)


class OwnerIgnoresCase(InMemoryWorkflows):
    def _matches(self, workflow: Workflow, where: Any) -> bool:
        owner = where.owner and where.owner.lower()
        return super()._matches(evolve(workflow, owner=workflow.owner.lower()), evolve(where, owner=owner))


class SourceIsNotFiltered(InMemoryWorkflows):
    def _matches(self, workflow: Workflow, where: Any) -> bool:
        return super()._matches(workflow, evolve(where, source_type=None))


class UnconfirmedIsSettled(InMemoryWorkflows):
    def _is_unsettled(self, workflow: Workflow) -> bool:
        return super()._is_unsettled(workflow) and workflow.airflow_paused is not None


class LatestChangeFirst(InMemoryWorkflows):
    def _unsettled_order(self, workflow: Workflow) -> Any:
        return *super()._unsettled_order(workflow)[:2], -workflow.updated_at.timestamp(), workflow.dataset_name


class TriesAreForgotten(InMemoryWorkflows):
    def record_attempt(self, workflows: Any, at: Any) -> None:
        super().record_attempt([], at)


class FirstTryCounts(InMemoryWorkflows):
    def _attempt_at(self, workflow: Workflow, at: Any) -> Any:
        return self._store.attempts.get(workflow.id, at)


class TriedOnesFirst(InMemoryWorkflows):
    def _unsettled_order(self, workflow: Workflow) -> Any:
        tried, *rest = super()._unsettled_order(workflow)
        return not tried, *rest


class ObjectsAreNotSeenWithTheirWorkflow(InMemoryWorkflows):
    _keep_seen = nothing


class ObjectsAreSeenWithoutTheirWorkflow(InMemoryWorkflows):
    def save_workflow(self, workflow: Workflow, *, seen: Any = None, act: Any = None) -> Workflow:
        self._keep_seen(seen)
        return super().save_workflow(workflow, act=act)


class ObjectsSeenFirstStay(InMemoryWorkflows):
    def _keep_seen(self, seen: Any) -> None:
        if seen is not None and seen.dataset_name not in self._store.code_objects:
            super()._keep_seen(seen)


class LeftThoughTakenAgain(InMemoryWorkflows):
    def _is_live(self, dataset_name: str) -> bool:
        return False


class NeverThereCountsAsLeft(InMemoryWorkflows):
    def retired_names(self, dataset_names: Any) -> Any:
        return {name for name in dataset_names if not self._is_live(name)}


class DagsOfTheGoneAreTold(InMemoryWorkflows):
    def workflows_of_dags(self, dag_ids: Any) -> Any:
        return {held.dag_id: held for held in self._store.workflows.values() if held.dag_id in set(dag_ids)}


class EverythingIsLookedAt(InMemoryWorkflows):
    def _is_to_poll(self, workflow: Workflow) -> bool:
        return True


class WhatIsListedIsAsOldAsWhatIsNot(InMemoryWorkflows):
    def _poll_order(self, workflow: Workflow, listed_before: Any) -> Any:
        return (True, *super()._poll_order(workflow, listed_before)[1:])


class NeverLookedAtLast(InMemoryWorkflows):
    def _poll_order(self, workflow: Workflow, listed_before: Any) -> Any:
        is_current, is_polled, *rest = super()._poll_order(workflow, listed_before)
        return (is_current, not is_polled, *rest)
