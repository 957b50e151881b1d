"""The port for runs, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.fakes.store import Store
from workflow_core.fakes.workflows import InMemoryWorkflows

if TYPE_CHECKING:
    from workflow_core.domain.filters import HistoryFilter
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow


class RunIdIsNotUnique(Store):
    refuse_taken_run_id = nothing
    refuse_taken_airflow_id = nothing


class AirflowIdIsNotUnique(Store):
    refuse_taken_airflow_id = nothing


class AirflowIdIsUniqueOverAllDags(Store):
    def refuse_taken_airflow_id(self, run: Run) -> None:
        for held in self.runs.values():
            super().refuse_taken_airflow_id(evolve(run, dag_id=held.dag_id))


class RunVersionIsNotChecked(Store):
    def refuse_other_run(self, run: Run) -> None:
        stored = self.runs.get(run.run_id)
        super().refuse_other_run(evolve(run, version=stored.version) if stored else run)


class DatesOfAllWorkflows(Store):
    def dated(self, workflow_id: Any, first: Any, last: Any) -> list[Run]:
        return [run for one in self.workflows for run in super(DatesOfAllWorkflows, self).dated(one, first, last)]


class LastDateIsLeftOut(Store):
    def dated(self, workflow_id: Any, first: Any, last: Any) -> list[Run]:
        return [run for run in super().dated(workflow_id, first, last) if run.run_date < last]


class DatedByIdOnly(Store):
    def dated_order(self, run: Run) -> Any:
        return run.run_date, run.run_id


class PausedMayRun(Store):
    def may_run(self, entity: Any) -> bool:
        return self.workflows[entity.workflow_id].phase is Phase.SERVED


class FailedMayRun(Store):
    def may_run(self, entity: Any) -> bool:
        return self.workflows[entity.workflow_id].pause is None


class RunsOfAllAreInTheWay(InMemoryWorkflows):
    def _active(self, workflow: Workflow) -> list[Run]:
        return [run for run in self._store.runs.values() if not run.is_settled]


class RunsSlipIn(InMemoryWorkflows):
    def _takes(self, owner: Workflow, run: Run) -> bool:
        return not owner.phase.has_left


class RunsOfWhatHasLeft(InMemoryWorkflows):
    def _takes(self, owner: Workflow, run: Run) -> bool:
        return run.submission is Submission.SUBMITTED or super()._takes(owner, run)


class NoAdoptionBeforeTheEnd(InMemoryWorkflows):
    def _takes(self, owner: Workflow, run: Run) -> bool:
        return owner.phase is not Phase.UNREGISTERING and super()._takes(owner, run)


class UnknownOutcomeIsForgotten(InMemoryWorkflows):
    def _is_to_send(self, run: Run) -> bool:
        return super()._is_to_send(run) and run.submission is not Submission.SENDING


class BackfillsAreSentTwice(InMemoryWorkflows):
    def _is_to_send(self, run: Run) -> bool:
        return super()._is_to_send(evolve(run, backfill_id=None))


class StoppedIsSent(InMemoryWorkflows):
    def _is_to_send(self, run: Run) -> bool:
        return super()._is_to_send(evolve(run, stop=None))


class RunNeedsNoWorkflow(InMemoryWorkflows):
    _refuse_run_of_no_workflow = nothing


class RunOfTheSuccessor(InMemoryWorkflows):
    def _refuse_run_of_no_workflow(self, run: Run) -> None:
        if self._store.holder_of_name(run.dataset_name) is None:
            super()._refuse_run_of_no_workflow(run)


class VersionsOfAllRuns(InMemoryWorkflows):
    def run_versions(self, run_ids: Any) -> Any:
        return {run.run_id: run.version for run in self._store.runs.values()}


class VersionsStay(InMemoryWorkflows):
    def run_versions(self, run_ids: Any) -> Any:
        return dict.fromkeys(super().run_versions(run_ids), 1)


class StatusesOfAllRuns(InMemoryWorkflows):
    def run_statuses(self, run_ids: Any) -> Any:
        return {run.run_id: run.status for run in self._store.runs.values()}


class StatusesStay(InMemoryWorkflows):
    def run_statuses(self, run_ids: Any) -> Any:
        return dict.fromkeys(super().run_statuses(run_ids), RunStatus.PENDING)


class RunOfAnyVersion(InMemoryWorkflows):
    _refuse_other_version_than = nothing


class RunOfALaterVersion(InMemoryWorkflows):
    def _refuse_other_version_than(self, version: int, run: Run) -> None:
        owner = self._store.workflows.get(run.workflow_id)
        super()._refuse_other_version_than(max(version, owner.version if owner else 0), run)


class EarliestFirst(InMemoryWorkflows):
    def _latest_first(self, runs: Any) -> list[Run]:
        return sorted(runs, key=self._run_key)


class TiesInAnyOrder(InMemoryWorkflows):
    def _latest_first(self, runs: Any) -> list[Run]:
        return sorted(runs, key=lambda run: run.started_at, reverse=True)


class OrderByAcceptance(InMemoryWorkflows):
    def _run_key(self, run: Run) -> tuple[str, ...]:
        return super()._run_key(evolve(run, started_at=run.accepted_at))


class SecondsAreEnough(InMemoryWorkflows):
    def _run_key(self, run: Run) -> tuple[str, ...]:
        return super()._run_key(evolve(run, started_at=run.started_at.replace(microsecond=0)))


class LastDayIsLeftOut(InMemoryWorkflows):
    def _in_window(self, run: Run, where: HistoryFilter) -> bool:
        return super()._in_window(run, where) and (where.end_date is None or run.started_at.date() < where.end_date)


class WindowIncludesMidnight(InMemoryWorkflows):
    def _in_window(self, run: Run, where: HistoryFilter) -> bool:
        return super()._in_window(run, where) or run.started_at == where.window[1]


class NameIsAPrefix(InMemoryWorkflows):
    def _matches_name(self, run: Run, where: HistoryFilter) -> bool:
        return run.dataset_name.startswith(where.dataset_name or "")


class StoppedIsStopping(InMemoryWorkflows):
    def _is_stopping(self, run: Run) -> bool:
        return run.stop is not None


class RetriesAreForgotten(InMemoryWorkflows):
    def _is_retrying(self, run: Run) -> bool:
        return False


class EndedRetriesAreListed(InMemoryWorkflows):
    def _is_retrying(self, run: Run) -> bool:
        return super()._is_retrying(evolve(run, status=RunStatus.PENDING))


class StoppedRetriesAreListed(InMemoryWorkflows):
    def _is_retrying(self, run: Run) -> bool:
        return super()._is_retrying(evolve(run, stop=None))


class EndedRunsAreLookedAt(InMemoryWorkflows):
    def _is_run_to_poll(self, run: Run) -> bool:
        return run.submission is Submission.SUBMITTED


class RunsOnTheirWayAreLookedAt(InMemoryWorkflows):
    def _is_run_to_poll(self, run: Run) -> bool:
        return not run.is_settled


class NeverObservedLast(InMemoryWorkflows):
    def _run_poll_order(self, run: Run) -> Any:
        first, *rest = super()._run_poll_order(run)
        return (not first, *rest)


class NeverSentLast(InMemoryWorkflows):
    def _sending_order(self, run: Run) -> Any:
        return (run.sent_at is None, *super()._sending_order(run)[1:])


class NeverAskedLast(InMemoryWorkflows):
    def _stopping_order(self, run: Run) -> Any:
        first, *rest = super()._stopping_order(run)
        return (not first, *rest)
