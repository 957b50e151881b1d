"""The port for backfills, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from tests.contract.broken_ports.harness import nothing
from workflow_core.domain.backfill import DesiredState
from workflow_core.domain.run import Submission
from workflow_core.fakes.backfills import InMemoryBackfills
from workflow_core.fakes.workflows import InMemoryWorkflows

if TYPE_CHECKING:
    from workflow_core.domain.run import Run


class BackfillOfTheRetired(InMemoryBackfills):
    _refuse_backfill_of_no_workflow = nothing


class OtherDatesAreNotNoticed(InMemoryBackfills):
    _refuse_other_dates = nothing


class BackfillIdIsNotUnique(InMemoryBackfills):
    _refuse_taken_backfill_id = nothing


class HalfABackfill(InMemoryBackfills):
    def add_backfill(self, backfill: Any, runs: Any, *, dated: int, act: Any = None) -> None:
        super().add_backfill(backfill, runs[:0], dated=dated, act=act)
        for run in runs:
            InMemoryWorkflows(self._store).add_run(run)


class BackfillVersionIsNotChecked(InMemoryBackfills):
    def _refuse_other_backfill(self, backfill: Any) -> None:
        stored = self._store.backfills.get(backfill.backfill_id)
        super()._refuse_other_backfill(evolve(backfill, version=stored.version) if stored else backfill)


class BackfillMovesHouse(InMemoryBackfills):
    def _refuse_other_backfill(self, backfill: Any) -> None:
        stored = self._store.backfills.get(backfill.backfill_id)
        super()._refuse_other_backfill(evolve(backfill, workflow_id=stored.workflow_id) if stored else backfill)


class HalfASave(InMemoryBackfills):
    def save_backfill(self, backfill: Any, runs: Any = (), *, act: Any = None) -> Any:
        saved, _ = super().save_backfill(backfill, act=act)
        return saved, tuple(map(InMemoryWorkflows(self._store).save_run, runs))


class OldestBackfillFirst(InMemoryBackfills):
    def _backfill_key(self, backfill: Any) -> tuple[str, ...]:
        return (backfill.backfill_id,)


class PausedBackfillIsActive(InMemoryBackfills):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        wish = (
            evolve(backfill.state_request, desired_state=DesiredState.RUN)
            if backfill.desired_state is DesiredState.PAUSE
            else backfill.state_request
        )
        return super()._is_active(evolve(backfill, state_request=wish), slots)


class FullBackfillIsActive(InMemoryBackfills):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        return super()._is_active(evolve(backfill, max_active=1000), slots)


class StopsAreForgotten(InMemoryBackfills):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        return backfill.desired_state is not DesiredState.STOP and super()._is_active(backfill, slots)


class UnknownSlotsAreForgotten(InMemoryBackfills):
    def _is_active(self, backfill: Any, slots: Any) -> bool:
        rest = [run for run in slots if run.submission is not Submission.SENDING]
        return super()._is_active(backfill, rest)


class NewestBackfillIsServedFirst(InMemoryBackfills):
    def _active_order(self, backfill: Any) -> Any:
        return -backfill.updated_at.timestamp(), backfill.backfill_id


class SlotsInAnyOrder(InMemoryBackfills):
    def _slots(self, backfill_id: str) -> list[Run]:
        return sorted(super()._slots(backfill_id), key=lambda run: run.run_id)
