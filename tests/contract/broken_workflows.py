"""The fake, each time with one rule of the port broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from time import sleep
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import evolve

from workflow_core.domain.backfill import Wanted
from workflow_core.domain.caller import Via
from workflow_core.domain.paging import moment_key
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import KeyInUse, WorkflowAlreadyExists
from workflow_core.fakes.workflow import InMemoryWorkflows
from workflow_core.testing.workflow import WorkflowContract
from workflow_core.testing.workflow.behind_memory import BehindMemory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workflow_core.domain.filters import HistoryFilter
    from workflow_core.domain.paging import PageRequest
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow


def _do_nothing(*_: object) -> None:
    """In the place of a rule."""


_nothing: Any = _do_nothing


class NameIsNotUnique(InMemoryWorkflows):
    _refuse_taken_name = _nothing
    _refuse_taken_dag_id = _nothing


class DagIdIsNotUnique(InMemoryWorkflows):
    _refuse_taken_dag_id = _nothing


class HolderIsNotNamed(InMemoryWorkflows):
    def _refuse_taken_dag_id(self, workflow: Workflow) -> None:
        if self._holder_of_dag(workflow.dag_id):
            raise WorkflowAlreadyExists(workflow.dataset_name)


class NoLock(InMemoryWorkflows):
    @contextmanager
    def _transaction(self, method: str) -> Iterator[None]:
        if self._down:
            with super()._transaction(method):
                yield
        yield

    def _refuse_taken_dag_id(self, workflow: Workflow) -> None:
        super()._refuse_taken_dag_id(workflow)
        sleep(0.01)  # what a database may take between looking and writing


class VersionIsNotChecked(InMemoryWorkflows):
    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        stored = self._workflows.get(workflow.id)
        super()._refuse_other_workflow(evolve(workflow, version=stored.version) if stored else workflow)


class SaveReachesTheSuccessor(InMemoryWorkflows):
    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        stored = self._holder_of_name(workflow.dataset_name)
        super()._refuse_other_workflow(evolve(workflow, id=stored.id) if stored else workflow)


class VersionStays(InMemoryWorkflows):
    def _with_next_version(self, entity: Any) -> Any:
        return entity


class SaveAdds(InMemoryWorkflows):
    def _refuse_other_workflow(self, workflow: Workflow) -> None:
        if workflow.id in self._workflows:
            super()._refuse_other_workflow(workflow)


class WhatHasLeftIsThere(InMemoryWorkflows):
    def _live(self) -> list[Workflow]:
        return [workflow for workflow in self._workflows.values() if workflow.phase is not Phase.GONE]


class OneThatIsUnregisteredIsNotThere(InMemoryWorkflows):
    def _live(self) -> list[Workflow]:
        return [workflow for workflow in super()._live() if workflow.removal is None]


class WhatHasLeftIsForgotten(InMemoryWorkflows):
    def workflow_by_id(self, workflow_id: Any) -> Workflow | None:
        found = super().workflow_by_id(workflow_id)
        return None if found and found.phase.has_left else found


class WhatHasLeftComesBack(InMemoryWorkflows):
    def _comes_back(self, workflow: Workflow) -> bool:
        return False


class ActiveRunsAreNotInTheWay(InMemoryWorkflows):
    _refuse_active_runs = _nothing


class ForceIsIgnored(InMemoryWorkflows):
    def _refuse_active_runs(self, workflow: Workflow, *, force: bool) -> None:
        super()._refuse_active_runs(workflow, force=False)


class RunsOfAllAreInTheWay(InMemoryWorkflows):
    def _active(self, workflow: Workflow) -> list[Run]:
        return [run for run in self._runs.values() if not run.settled]


class RunsSlipIn(InMemoryWorkflows):
    def _takes(self, owner: Workflow, run: Run) -> bool:
        return not owner.phase.has_left


class RunsOfWhatHasLeft(InMemoryWorkflows):
    def _takes(self, owner: Workflow, run: Run) -> bool:
        return run.submission is Submission.SUBMITTED or super()._takes(owner, run)


class NoAdoptionBeforeTheEnd(InMemoryWorkflows):
    def _takes(self, owner: Workflow, run: Run) -> bool:
        return owner.phase is not Phase.UNREGISTERING and super()._takes(owner, run)


class PausedMayRun(InMemoryWorkflows):
    def _may_run(self, entity: Any) -> bool:
        return self._workflows[entity.workflow_id].phase is Phase.SERVED


class FailedMayRun(InMemoryWorkflows):
    def _may_run(self, entity: Any) -> bool:
        return self._workflows[entity.workflow_id].pause is None


class UnknownOutcomeIsForgotten(InMemoryWorkflows):
    def _is_to_send(self, run: Run) -> bool:
        return super()._is_to_send(run) and run.submission is not Submission.SENDING


class BackfillsAreSentTwice(InMemoryWorkflows):
    def _is_to_send(self, run: Run) -> bool:
        return super()._is_to_send(evolve(run, backfill_id=None))


class StoppedIsSent(InMemoryWorkflows):
    def _is_to_send(self, run: Run) -> bool:
        return super()._is_to_send(evolve(run, stop=None))


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
    def _is_unsettled_workflow(self, workflow: Workflow) -> bool:
        return super()._is_unsettled_workflow(workflow) and workflow.airflow_paused is not None


class LatestChangeFirst(InMemoryWorkflows):
    def _unsettled_workflow_order(self, workflow: Workflow) -> Any:
        return *super()._unsettled_workflow_order(workflow)[:2], -workflow.updated_at.timestamp(), workflow.dataset_name


class TriesAreForgotten(InMemoryWorkflows):
    def mark_tried(self, workflows: Any, at: Any) -> None:
        super().mark_tried([], at)


class FirstTryCounts(InMemoryWorkflows):
    def _tried_at(self, workflow: Workflow, at: Any) -> Any:
        return self._tried.get(workflow.id, at)


class TriedOnesFirst(InMemoryWorkflows):
    def _unsettled_workflow_order(self, workflow: Workflow) -> Any:
        tried, *rest = super()._unsettled_workflow_order(workflow)
        return not tried, *rest


class ObjectsOfOthersAreReplaced(InMemoryWorkflows):
    def _is_as_read(self, one: Any) -> bool:
        return True


class ForgottenObjectsComeBack(InMemoryWorkflows):
    def _is_as_read(self, one: Any) -> bool:
        return one.dataset_name not in self._code or super()._is_as_read(one)


class ObjectsAreNotSeenWithTheirWorkflow(InMemoryWorkflows):
    _keep_seen = _nothing


class ObjectsAreSeenWithoutTheirWorkflow(InMemoryWorkflows):
    def save_workflow(self, workflow: Workflow, *, seen: Any = None, act: Any = None) -> Workflow:
        self._keep_seen(seen)
        return super().save_workflow(workflow, act=act)


class ObjectsSeenFirstStay(InMemoryWorkflows):
    def _keep_seen(self, seen: Any) -> None:
        if seen is not None and seen.dataset_name not in self._code:
            super()._keep_seen(seen)


class ProblemsAreForgotten(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        return super()._kept(evolve(entity, problems=()) if hasattr(entity, "problems") else entity)


class RunNeedsNoWorkflow(InMemoryWorkflows):
    _refuse_run_of_no_workflow = _nothing


class RunOfTheSuccessor(InMemoryWorkflows):
    def _refuse_run_of_no_workflow(self, run: Run) -> None:
        if self._holder_of_name(run.dataset_name) is None:
            super()._refuse_run_of_no_workflow(run)


class LeftThoughTakenAgain(InMemoryWorkflows):
    def _is_live(self, dataset_name: str) -> bool:
        return False


class NeverThereCountsAsLeft(InMemoryWorkflows):
    def names_that_left(self, dataset_names: Any) -> Any:
        return {name for name in dataset_names if not self._is_live(name)}


class LeasedTwice(InMemoryWorkflows):
    def _is_free(self, subject: str, at: datetime) -> bool:
        return True


class LeasedAgainToItsOwner(InMemoryWorkflows):
    def claim(self, subjects: Any, *, owner: str, at: datetime, until: datetime) -> Any:
        subjects = list(subjects)
        mine = {name: lease for name, lease in self._leases.items() if name in subjects and lease.owner == owner}
        return mine | dict(super().claim(subjects, owner=owner, at=at, until=until))


class LeaseEndsTooLate(InMemoryWorkflows):
    def _is_free(self, subject: str, at: datetime) -> bool:
        return super()._is_free(subject, at - timedelta(microseconds=1))


class EpochStays(InMemoryWorkflows):
    def _next_epoch(self, subject: str) -> int:
        return 1


class LeaseIsNotLookedAt(InMemoryWorkflows):
    _refuse_lost_lease = _nothing


class LeaseIsNotLookedAtByRuns(InMemoryWorkflows):
    def _refuse_lost_lease(self, method: str) -> None:
        if "run" not in method:
            super()._refuse_lost_lease(method)


class LeaseIsNeededToRead(InMemoryWorkflows):
    def _refuse_lost_lease(self, method: str) -> None:
        super()._refuse_lost_lease("save_" + method)


class LeaseOfAllThreads(InMemoryWorkflows):
    def __init__(self) -> None:
        super().__init__()
        self._held: Any = SimpleNamespace()


class ReleaseDoesNothing(InMemoryWorkflows):
    release = _nothing


class ReleasesWhatIsOfOthers(InMemoryWorkflows):
    def release(self, leases: Any) -> None:
        super().release([self._leases.get(lease.subject, lease) for lease in leases])


class LostLeaseIsRenewed(InMemoryWorkflows):
    def renew(self, lease: Any, until: datetime) -> Any:
        return super().renew(self._leases.get(lease.subject, lease), until)


class NothingIsForgotten(InMemoryWorkflows):
    forget_leases = _nothing


class VersionsOfAllRuns(InMemoryWorkflows):
    def run_versions(self, run_ids: Any) -> Any:
        return {run.run_id: run.version for run in self._runs.values()}


class VersionsStay(InMemoryWorkflows):
    def run_versions(self, run_ids: Any) -> Any:
        return dict.fromkeys(super().run_versions(run_ids), 1)


class StatusesOfAllRuns(InMemoryWorkflows):
    def run_statuses(self, run_ids: Any) -> Any:
        return {run.run_id: run.status for run in self._runs.values()}


class StatusesStay(InMemoryWorkflows):
    def run_statuses(self, run_ids: Any) -> Any:
        return dict.fromkeys(super().run_statuses(run_ids), RunStatus.PENDING)


class RunOfAnyVersion(InMemoryWorkflows):
    _refuse_other_version_than = _nothing


class RunOfALaterVersion(InMemoryWorkflows):
    def _refuse_other_version_than(self, version: int, run: Run) -> None:
        owner = self._workflows.get(run.workflow_id)
        super()._refuse_other_version_than(max(version, owner.version if owner else 0), run)


class RunIdIsNotUnique(InMemoryWorkflows):
    _refuse_taken_run_id = _nothing
    _refuse_taken_airflow_id = _nothing


class AirflowIdIsNotUnique(InMemoryWorkflows):
    _refuse_taken_airflow_id = _nothing


class AirflowIdIsUniqueOverAllDags(InMemoryWorkflows):
    def _refuse_taken_airflow_id(self, run: Run) -> None:
        for held in self._runs.values():
            super()._refuse_taken_airflow_id(evolve(run, dag_id=held.dag_id))


class RunVersionIsNotChecked(InMemoryWorkflows):
    def _refuse_other_run(self, run: Run) -> None:
        stored = self._runs.get(run.run_id)
        super()._refuse_other_run(evolve(run, version=stored.version) if stored else run)


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


class OddKeyIsTaken(InMemoryWorkflows):
    _refuse_odd_key = _nothing


class TotalOfThePage(InMemoryWorkflows):
    def _page(self, *arguments: Any) -> Any:
        page = super()._page(*arguments)
        return evolve(page, total=len(page.items))


class AnEmptyPageAtTheEnd(InMemoryWorkflows):
    def _page(self, ordered: Any, page: PageRequest, key: Any, is_after: Any) -> Any:
        found = super()._page(ordered, page, key, is_after)
        return evolve(found, next_after=key(found.items[-1])) if len(found.items) == page.limit else found


class OffsetIsIgnored(InMemoryWorkflows):
    def _page(self, ordered: Any, page: PageRequest, key: Any, is_after: Any) -> Any:
        return super()._page(ordered, evolve(page, offset=0), key, is_after)


class KeyIsRepeated(InMemoryWorkflows):
    def _page(self, ordered: Any, page: PageRequest, key: Any, is_after: Any) -> Any:
        return super()._page(ordered, page, key, lambda one, after: one == after or is_after(one, after))


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
    def _is_run_to_look_at(self, run: Run) -> bool:
        return run.submission is Submission.SUBMITTED


class RunsOnTheirWayAreLookedAt(InMemoryWorkflows):
    def _is_run_to_look_at(self, run: Run) -> bool:
        return not run.settled


class NeverObservedLast(InMemoryWorkflows):
    def _run_looking_order(self, run: Run) -> Any:
        first, *rest = super()._run_looking_order(run)
        return (not first, *rest)


class NeverSentLast(InMemoryWorkflows):
    def _sending_order(self, run: Run) -> Any:
        return (run.sent_at is None, *super()._sending_order(run)[1:])


class NeverAskedLast(InMemoryWorkflows):
    def _stopping_order(self, run: Run) -> Any:
        first, *rest = super()._stopping_order(run)
        return (not first, *rest)


class DatesOfAllWorkflows(InMemoryWorkflows):
    def _dated(self, workflow_id: Any, first: Any, last: Any) -> list[Run]:
        return [run for one in self._workflows for run in super(DatesOfAllWorkflows, self)._dated(one, first, last)]


class LastDateIsLeftOut(InMemoryWorkflows):
    def _dated(self, workflow_id: Any, first: Any, last: Any) -> list[Run]:
        return [run for run in super()._dated(workflow_id, first, last) if run.run_date < last]


class DatedByIdOnly(InMemoryWorkflows):
    def _dated_order(self, run: Run) -> Any:
        return run.run_date, run.run_id


class BackfillOfTheRetired(InMemoryWorkflows):
    _refuse_backfill_of_no_workflow = _nothing


class OtherDatesAreNotNoticed(InMemoryWorkflows):
    _refuse_other_dates = _nothing


class BackfillIdIsNotUnique(InMemoryWorkflows):
    _refuse_taken_backfill_id = _nothing


class HalfABackfill(InMemoryWorkflows):
    def add_backfill(self, backfill: Any, runs: Any, *, dated: int, act: Any = None) -> None:
        super().add_backfill(backfill, runs[:0], dated=dated, act=act)
        for run in runs:
            self.add_run(run)


class BackfillVersionIsNotChecked(InMemoryWorkflows):
    def _refuse_other_backfill(self, backfill: Any) -> None:
        stored = self._backfills.get(backfill.backfill_id)
        super()._refuse_other_backfill(evolve(backfill, version=stored.version) if stored else backfill)


class BackfillMovesHouse(InMemoryWorkflows):
    def _refuse_other_backfill(self, backfill: Any) -> None:
        stored = self._backfills.get(backfill.backfill_id)
        super()._refuse_other_backfill(evolve(backfill, workflow_id=stored.workflow_id) if stored else backfill)


class HalfASave(InMemoryWorkflows):
    def save_backfill(self, backfill: Any, runs: Any = (), *, act: Any = None) -> Any:
        saved, _ = super().save_backfill(backfill, act=act)
        return saved, tuple(map(self.save_run, runs))


class OldestBackfillFirst(InMemoryWorkflows):
    def _backfill_key(self, backfill: Any) -> tuple[str, ...]:
        return (backfill.backfill_id,)


class PausedBackfillIsActive(InMemoryWorkflows):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        wish = evolve(backfill.wish, wanted=Wanted.RUN) if backfill.wanted is Wanted.PAUSE else backfill.wish
        return super()._is_active(evolve(backfill, wish=wish), slots)


class FullBackfillIsActive(InMemoryWorkflows):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        return super()._is_active(evolve(backfill, max_active=1000), slots)


class StopsAreForgotten(InMemoryWorkflows):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        return backfill.wanted is not Wanted.STOP and super()._is_active(backfill, slots)


class UnknownSlotsAreForgotten(InMemoryWorkflows):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        rest = [run for run in slots if run.submission is not Submission.SENDING]
        return super()._is_active(backfill, rest)


class NewestBackfillIsServedFirst(InMemoryWorkflows):
    def _active_order(self, backfill: Any) -> Any:
        return -backfill.updated_at.timestamp(), backfill.backfill_id


class SlotsInAnyOrder(InMemoryWorkflows):
    def _slots(self, backfill_id: str) -> list[Run]:
        return sorted(super()._slots(backfill_id), key=lambda run: run.run_id)


class OneObservationIsKept(InMemoryWorkflows):
    def save_observations(self, observations: Any) -> None:
        super().save_observations(observations[:1])


class FirstObservationStays(InMemoryWorkflows):
    def save_observations(self, observations: Any) -> None:
        super().save_observations([seen for seen in observations if seen.workflow_id not in self._observations])


class OlderObservationCounts(InMemoryWorkflows):
    def _is_news(self, seen: Any) -> bool:
        return True


class ALookMayGoBack(InMemoryWorkflows):
    def _is_news(self, seen: Any) -> bool:
        before = self._observations.get(seen.workflow_id)
        return before is None or before.listed_at is None or (seen.listed_at or before.listed_at) >= before.listed_at


class EquallyNewIsNoNews(InMemoryWorkflows):
    def _is_news(self, seen: Any) -> bool:
        before = self._observations.get(seen.workflow_id)
        is_as_new = before is not None and (before.listed_at, before.looked_at) == (seen.listed_at, seen.looked_at)
        return super()._is_news(seen) and not is_as_new


class EveryObservationIsTold(InMemoryWorkflows):
    def observations(self, workflow_ids: Any) -> Any:
        return super().observations(self._workflows)


class FirstStateStays(InMemoryWorkflows):
    def save_airflow_state(self, state: Any) -> None:
        super().save_airflow_state(state if self.airflow_state().reached_at is None else self.airflow_state())


class DagsOfTheGoneAreTold(InMemoryWorkflows):
    def workflows_of_dags(self, dag_ids: Any) -> Any:
        return {held.dag_id: held for held in self._workflows.values() if held.dag_id in set(dag_ids)}


class EverythingIsLookedAt(InMemoryWorkflows):
    def _is_to_look_at(self, workflow: Workflow) -> bool:
        return True


class WhatIsListedIsAsOldAsWhatIsNot(InMemoryWorkflows):
    def _looking_order(self, workflow: Workflow, listed_before: Any) -> Any:
        return (True, *super()._looking_order(workflow, listed_before)[1:])


class NeverLookedAtLast(InMemoryWorkflows):
    def _looking_order(self, workflow: Workflow, listed_before: Any) -> Any:
        known, looked, *rest = super()._looking_order(workflow, listed_before)
        return (known, not looked, *rest)


class LimitIsIgnored(InMemoryWorkflows):
    def _first(self, ordered: Any, limit: int) -> Any:
        return super()._first(ordered, limit + 1)


class MarksGoBack(InMemoryWorkflows):
    def _is_progress(self, until: Any) -> bool:
        return True


class FirstMarkStays(InMemoryWorkflows):
    def _is_progress(self, until: Any) -> bool:
        return self._observed_until is None


class EntitiesAreShared(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        return entity


class ParamsAreText(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        kept = super()._kept(entity)
        return (
            evolve(kept, params=json.loads(json.dumps(kept.params), parse_float=str))
            if hasattr(kept, "params")
            else kept
        )


class ReasonIsForgotten(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        kept = super()._kept(entity)
        pause = getattr(kept, "pause", None)
        return evolve(kept, pause=evolve(pause, reason=None)) if pause else kept


class GoneIsCounted(InMemoryWorkflows):
    def _is_counted(self, _workflow: Any) -> bool:
        return True


class LeavingIsNotCounted(InMemoryWorkflows):
    def _is_counted(self, workflow: Any) -> bool:
        return not workflow.phase.has_left


class EndedRunsAreCounted(InMemoryWorkflows):
    def _counts_as_active(self, _run: Any) -> bool:
        return True


class DeafToItsOutage(InMemoryWorkflows):
    def check(self) -> None:
        pass


class KeysAreNotKept(InMemoryWorkflows):
    _keep_key = _nothing


class KeysAreOverwritten(InMemoryWorkflows):
    _refuse_taken_key = _nothing


class KeysOfRefusalsAreKept(InMemoryWorkflows):
    @contextmanager
    def _acting(self, method: str, act: Any) -> Iterator[None]:
        with self._transaction(method):
            self._refuse_taken_key(act)
            self._keep_key(act)
            yield


class KeysAreCheckedAfterTheChange(InMemoryWorkflows):
    @contextmanager
    def _acting(self, method: str, act: Any) -> Iterator[None]:
        with self._transaction(method):
            yield
            self._refuse_taken_key(act)
            self._keep_key(act)


class KeysAreKeptBeforeAndApart(InMemoryWorkflows):
    @contextmanager
    def _acting(self, method: str, act: Any) -> Iterator[None]:
        self._refuse_taken_key(act)
        sleep(0.01)  # what a database may take between looking and writing
        with super()._acting(method, None):
            yield
            self._keep_key(act)


class KeysAreOfEverybody(InMemoryWorkflows):
    def _keep_key(self, act: Any) -> None:
        super()._keep_key(act and evolve(act, caller=evolve(act.caller, name="anybody")))

    def _refuse_taken_key(self, act: Any) -> None:
        super()._refuse_taken_key(act and evolve(act, caller=evolve(act.caller, name="anybody")))

    def key(self, scope: str, text: str) -> Any:
        found = super().key("anybody", text)
        return found and evolve(found, scope=scope)


class KeysHaveNoCase(InMemoryWorkflows):
    def key(self, scope: str, text: str) -> Any:
        return super().key(scope, text.lower())


class TheFingerprintIsForgotten(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        kept = super()._kept(entity)
        return evolve(kept, fingerprint="") if hasattr(kept, "fingerprint") else kept


class TheLastAnswerIsKept(InMemoryWorkflows):
    def _answered(self, record: Any, answer: str) -> Any:
        return evolve(record, answer=answer)


class TheAnswerIsMine(InMemoryWorkflows):
    def keep_answer(self, scope: str, text: str, answer: str) -> str | None:
        return answer if super().keep_answer(scope, text, answer) else None


class AnswersToNothing(InMemoryWorkflows):
    def keep_answer(self, scope: str, text: str, answer: str) -> str | None:
        return super().keep_answer(scope, text, answer) or answer


class AnswersAreTidied(InMemoryWorkflows):
    def _answered(self, record: Any, answer: str) -> Any:
        return super()._answered(record, json.dumps(json.loads(answer)))


class UnansweredKeysStay(InMemoryWorkflows):
    def _is_over(self, record: Any, before: Any) -> bool:
        return record.answer is not None and super()._is_over(record, before)


class KeysOfThisMomentGo(InMemoryWorkflows):
    def _is_over(self, record: Any, before: Any) -> bool:
        return bool(record.at <= before)


class AllOldKeysGo(InMemoryWorkflows):
    def forget_keys(self, before: Any, limit: int) -> int:
        return super().forget_keys(before, 1_000_000)


class NothingIsAudited(InMemoryWorkflows):
    _keep_event = _nothing


class RefusalsAreAudited(InMemoryWorkflows):
    @contextmanager
    def _acting(self, method: str, act: Any) -> Iterator[None]:
        if not self._down:
            self._keep_event(act)
        with super()._acting(method, act):
            yield
        if not self._down and act is not None:
            self._audit.pop()


class TakenKeysAreAudited(InMemoryWorkflows):
    def _refuse_taken_key(self, act: Any) -> None:
        try:
            super()._refuse_taken_key(act)
        except KeyInUse:
            self._keep_event(act)
            raise


class OnlyKeysAreAudited(InMemoryWorkflows):
    def _keep_event(self, act: Any) -> None:
        super()._keep_event(act if act and act.caller.key else None)


class EverythingIsAuditedTwice(InMemoryWorkflows):
    def _keep_event(self, act: Any) -> None:
        super()._keep_event(act)
        super()._keep_event(act)


class NobodyKnowsFromWhere(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        kept = super()._kept(entity)
        return evolve(kept, address=None) if hasattr(kept, "address") else kept


class EverythingCameByHttp(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        kept = super()._kept(entity)
        return evolve(kept, via=Via.HTTP) if hasattr(kept, "via") else kept


class WhatWasIsForgotten(InMemoryWorkflows):
    def _kept(self, entity: Any) -> Any:
        kept = super()._kept(entity)
        return evolve(kept, before=None) if hasattr(kept, "before") else kept


class AuditIsInTheOrderOfWriting(InMemoryWorkflows):
    def _audit_key(self, event: Any) -> tuple[str, ...]:
        return moment_key(event.at), f"{[one.id for one in self._audit].index(event.id):09}"


class AuditIsById(InMemoryWorkflows):
    def _audit_key(self, event: Any) -> tuple[str, ...]:
        return (str(event.id),)


class AuditOfAnyCursor(InMemoryWorkflows):
    _refuse_odd_key = _nothing


def _not_told(name: str) -> type[InMemoryWorkflows]:
    """The fake whose audit pays no attention to this filter."""

    def told(self: Any, event: Any, where: Any) -> bool:
        return InMemoryWorkflows._is_told(self, event, evolve(where, **{name: None}))

    return type(f"AuditOfAny{name.title().replace('_', '')}", (InMemoryWorkflows,), {"_is_told": told})


AuditOfAnyName = _not_told("dataset_name")
AuditOfAnyAction = _not_told("action")
AuditOfAnybody = _not_told("who")
AuditOfAnyBeginning = _not_told("since")
AuditOfAnyEnd = _not_told("until")


class AuditUntilIncluded(InMemoryWorkflows):
    def _is_told(self, event: Any, where: Any) -> bool:
        until = where.until and where.until + timedelta(microseconds=1)
        return super()._is_told(event, evolve(where, until=until))


class AuditSinceExcluded(InMemoryWorkflows):
    def _is_told(self, event: Any, where: Any) -> bool:
        return event.at != where.since and super()._is_told(event, where)


class EverythingIsVisible(InMemoryWorkflows):
    def _sees(self, visible: Any, workflow: Workflow) -> bool:
        return True


class OwnedIsHidden(InMemoryWorkflows):
    def _sees(self, visible: Any, workflow: Workflow) -> bool:
        return super()._sees(visible and evolve(visible, owner=None), workflow)


class TeamsIgnoreCase(InMemoryWorkflows):
    def _sees(self, visible: Any, workflow: Workflow) -> bool:
        teams = {grant.team.lower() for grant in visible.grants if grant.team} if visible else set()
        return super()._sees(visible, workflow) or (workflow.team or "").lower() in teams


class VisibleByName(InMemoryWorkflows):
    """Whoever has the name now decides."""

    def _sees(self, visible: Any, workflow: Workflow) -> bool:
        now = next((one for one in self._live() if one.dataset_name == workflow.dataset_name), workflow)
        return super()._sees(visible, now)


class AuditOfWhoeverHasTheName(InMemoryWorkflows):
    def _sees_name(self, visible: Any, event: Any) -> bool:
        return visible is None or any(
            self._sees(visible, one) for one in self._workflows.values() if one.dataset_name == event.dataset_name
        )


class AuditOfNoNameIsVisible(InMemoryWorkflows):
    def _sees_name(self, visible: Any, event: Any) -> bool:
        return event.dataset_name is None or super()._sees_name(visible, event)


BROKEN: list[type[InMemoryWorkflows]] = [
    kind for kind in list(vars().values()) if isinstance(kind, type) and issubclass(kind, InMemoryWorkflows)
]
BROKEN.remove(InMemoryWorkflows)


class TestBroken(WorkflowContract):
    """The suite, held against each of them in turn by ``until_red.py``."""

    kinds: ClassVar[list[type[InMemoryWorkflows]]] = [InMemoryWorkflows, *BROKEN]
    kind: type[InMemoryWorkflows]

    @pytest.fixture
    def port(self) -> InMemoryWorkflows:
        return self.kind()

    @pytest.fixture
    def behind(self, port: InMemoryWorkflows) -> Any:
        return BehindMemory(port)

    @pytest.fixture
    def unreachable(self) -> InMemoryWorkflows:
        fake = self.kind()
        fake.go_down()
        return fake
