"""Rules for backfills: start, status, lists, control."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from workflow_core import errors
from workflow_core.api import BackfillFilters, BackfillReasonRequest, BackfillRequest, RunRequest
from workflow_core.domain.backfill import BackfillStatus, OnFailure, Reprocess
from workflow_core.domain.run import RunStatus
from workflow_core.testing.api.subject import CALLER, NAME, ApiSubject, Twins

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.api import BackfillAnswer, BackfillItem, WorkflowApi

DEC_30, DEC_31 = date(2025, 12, 30), date(2025, 12, 31)
INVALID: Final[tuple[dict[str, Any], ...]] = (
    {"end_date": date(2025, 12, 28)},
    {"end_date": date(2026, 1, 2)},
    {"start_date": date(1, 1, 1)},
    {"start_date": date(2020, 1, 1)},
    {"max_active": 2},
    {"max_active": -1, "parallel": True},
    {"params": {"date": "2025-12-30"}},
    {"params": {"unknown": 1, "limit": 11}},
)
BY_ID: Final[tuple[Callable[[WorkflowApi, str], object], ...]] = (
    lambda api, backfill_id: api.backfill_status(backfill_id),
    lambda api, backfill_id: api.pause_backfill(backfill_id),
    lambda api, backfill_id: api.resume_backfill(backfill_id),
    lambda api, backfill_id: api.stop_backfill(backfill_id),
)


def a_request(**changes: Any) -> BackfillRequest:
    """A request for the last three days of 2025 with these ``changes``."""
    return BackfillRequest(**{"start_date": date(2025, 12, 29), "end_date": DEC_31, **changes})


def _start(api: WorkflowApi, *, request: BackfillRequest) -> BackfillAnswer:
    return api.backfill(NAME, request)


def _stop(api: WorkflowApi, *, backfill_id: str, request: BackfillReasonRequest | None) -> BackfillItem:
    return api.stop_backfill(backfill_id, request)


class BackfillRules(ApiSubject):
    """Backfills."""

    def backfill(self, twins: Twins, **changes: Any) -> BackfillAnswer:
        """Start a backfill in both worlds."""
        return twins.answer(lambda api: api.backfill(NAME, a_request(**changes)))

    def test_a_backfill_is_accepted(self, twins: Twins) -> None:
        """The answer contains the id and the run ids (specification, section 3.2)."""
        twins.register()
        answer = self.backfill(twins, parallel=True, params={"region": "数据 🙂"})
        assert answer.backfill_id == f"{NAME}_backfill_20251229_20251231"
        assert answer.run_ids == tuple(f"{answer.backfill_id}_202512{day}" for day in (29, 30, 31))
        assert (answer.status, answer.total_runs) == (BackfillStatus.PENDING, 3)
        status = twins.answer(lambda api: api.status(answer.run_ids[1]))
        assert status.params == {"region": "数据 🙂", "date": "2025-12-30"}

    def test_every_option_is_stored(self, twins: Twins) -> None:
        """The status contains each option of the request."""
        twins.register()
        options: dict[str, Any] = {
            "params": {"limit": 20},
            "parallel": True,
            "max_active": 2,
            "reprocess": Reprocess.ALL,
            "run_backwards": True,
            "on_failure": OnFailure.STOP,
        }
        backfill_id = self.backfill(twins, **options).backfill_id
        status = twins.answer(lambda api: api.backfill_status(backfill_id)).model_dump()
        assert {name: status[name] for name in options} == options

    def test_a_dry_run_starts_no_backfill(self, twins: Twins) -> None:
        """The answer lists the runs that would start and the dates that would be skipped."""
        twins.register()
        twins.answer(lambda api: api.run(NAME, RunRequest(params={"date": "2025-12-30"})))
        planned = self.backfill(twins, dry_run=True)
        assert planned.dry_run
        assert [run.date.day for run in planned.runs] == [29, 31]
        assert [skipped.date for skipped in planned.skipped] == [DEC_30]
        assert type(twins.error(lambda api: api.backfill_status(planned.backfill_id))) is errors.BackfillNotFound

    def test_a_skipped_date_without_success_fails_the_backfill(self, twins: Twins) -> None:
        """The answer has a warning, and the status and the list show the failure."""
        twins.register()
        run_id = twins.answer(lambda api: api.run(NAME, RunRequest(params={"date": "2025-12-30"}))).run_id
        twins.answer(lambda api: api.stop(run_id))
        for _ in range(15):
            twins.each(lambda world: world.clock.sleep(2))
            twins.each(lambda world: world.sweeper.sweep())
        for dry_run in (True, False):
            answer = self.backfill(twins, start_date=DEC_30, end_date=DEC_30, dry_run=dry_run)
            assert (answer.status, answer.total_runs) == (BackfillStatus.FAILED, 0)
            assert [(skipped.run_id, skipped.status) for skipped in answer.skipped] == [(run_id, RunStatus.STOPPED)]
            (warning,) = answer.warnings
            assert warning.startswith('0 of 1 dates will run: 1 did not succeed (1 STOPPED); use "reprocess": "failed"')
        status = twins.answer(lambda api: api.backfill_status(answer.backfill_id))
        [item] = twins.answer(lambda api: api.backfills(NAME)).items
        assert (status.status, status.skipped) == (BackfillStatus.FAILED, answer.skipped)
        assert (item.status, item.skipped_counts) == (BackfillStatus.FAILED, {"STOPPED": 1})

    def test_the_status_of_a_backfill_is_polled_to_its_end(self, twins: Twins) -> None:
        """Every poll returns the same status, with every date, until the backfill has succeeded."""
        twins.register()
        backfill_id = self.backfill(twins, parallel=True, max_active=2).backfill_id
        for _ in range(15):
            status = twins.answer(lambda api: api.backfill_status(backfill_id))
            twins.each(lambda world: world.clock.sleep(1))
            twins.each(lambda world: world.sweeper.sweep())
        assert (status.status, status.percent, status.eta) == (BackfillStatus.SUCCESS, 100, None)
        assert {run.status for run in status.runs} == {RunStatus.SUCCESS}
        assert all(run.started_at and run.ended_at for run in status.runs)

    def test_pages_of_backfills(self, twins: Twins) -> None:
        """Backfills are listed latest first and paged by cursor and offset."""
        twins.register()
        backfill_ids = []
        for day in (29, 30, 31):
            twins.each(lambda world: world.clock.sleep(1))
            run_date = date(2025, 12, day)
            backfill_ids.append(self.backfill(twins, start_date=run_date, end_date=run_date).backfill_id)
        first = twins.answer(lambda api: api.backfills(NAME, BackfillFilters(limit=2)))
        assert first.next_cursor is not None
        rest = twins.answer(lambda api: api.backfills(NAME, BackfillFilters(limit=2, cursor=first.next_cursor)))
        assert [item.backfill_id for item in (*first.items, *rest.items)] == backfill_ids[::-1]
        assert (first.total, rest.next_cursor) == (3, None)
        assert twins.answer(lambda api: api.backfills(NAME, BackfillFilters(offset=2))).items == rest.items
        assert twins.answer(lambda api: api.backfills(NAME)).total == 3

    def test_a_backfill_is_paused_and_resumed(self, twins: Twins) -> None:
        """A reason is optional, and a second pause keeps the first reason."""
        twins.register()
        backfill_id = self.backfill(twins).backfill_id
        reason = BackfillReasonRequest(reason="Wartung 🙂")
        paused = twins.answer(lambda api: api.pause_backfill(backfill_id, reason))
        assert (paused.status, paused.reason) == (BackfillStatus.PAUSED, "Wartung 🙂")
        assert twins.answer(lambda api: api.pause_backfill(backfill_id)).reason == "Wartung 🙂"
        twins.each(lambda world: world.clock.sleep(1))
        resumed = twins.answer(lambda api: api.resume_backfill(backfill_id))
        assert (resumed.status, resumed.reason, resumed.changed_by) == (BackfillStatus.PENDING, None, CALLER.name)
        assert twins.answer(lambda api: api.pause_backfill(backfill_id)).reason is None

    def test_a_backfill_is_stopped(self, twins: Twins) -> None:
        """A reason is optional; runs that were not submitted end at once, and a second stop changes nothing."""
        twins.register()
        for day, request in (
            (26, None),
            (28, BackfillReasonRequest()),
            (30, BackfillReasonRequest(reason="Schluss 🙂")),
        ):
            dates = {"start_date": date(2025, 12, day), "end_date": date(2025, 12, day + 1)}
            key = self.backfill(twins, **dates).backfill_id
            stopped = twins.answer(partial(_stop, backfill_id=key, request=request))
            assert (stopped.status, stopped.counts["STOPPED"]) == (BackfillStatus.STOPPING, 1)
            assert stopped.reason == (request.reason if request else None)
            second = BackfillReasonRequest(reason="again")
            assert twins.answer(partial(_stop, backfill_id=key, request=second)).reason == stopped.reason
            error = twins.error(lambda api, key=key: api.pause_backfill(key))  # type: ignore[misc]
            assert type(error) is errors.BackfillNotActive

    def test_invalid_input_is_refused(self, twins: Twins) -> None:
        """Every problem names its field."""
        twins.register()
        for changes in INVALID:
            error = twins.error(partial(_start, request=a_request(**changes)))
            assert type(error) is errors.InvalidRequest
            assert all(problem.field for problem in error.problems)

    @pytest.mark.parametrize(
        "backfill_id", ["", "..", "a/b", "%2e", "a b", "ü", "a\0", "x" * 251, "a.b_backfill"], ids=ascii
    )
    def test_malformed_backfill_ids_are_refused_or_not_found(self, twins: Twins, backfill_id: str) -> None:
        """Every method with a backfill id refuses or does not find it."""
        for ask in BY_ID:
            error = twins.error(lambda api, ask=ask: ask(api, backfill_id))  # type: ignore[misc]
            assert isinstance(error, errors.InvalidRequest | errors.BackfillNotFound)

    @pytest.mark.parametrize("name", ["no.such", "one", "a/b.c", ""])
    def test_malformed_names_have_no_backfills(self, twins: Twins, name: str) -> None:
        """A list and a start of backfills both raise an error."""
        for error in (
            twins.error(lambda api: api.backfills(name)),
            twins.error(lambda api: api.backfill(name, a_request())),
        ):
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowNotFound)

    def test_a_backfill_needs_an_active_workflow_and_airflow(self, twins: Twins) -> None:
        """A backfill is refused while the workflow is paused or Airflow is unavailable."""
        twins.register()
        backfill_id = self.backfill(twins).backfill_id
        twins.answer(lambda api: api.pause_backfill(backfill_id))
        twins.answer(lambda api: api.pause(NAME))
        for ask in (lambda api: api.backfill(NAME, a_request()), lambda api: api.resume_backfill(backfill_id)):
            assert type(twins.error(ask)) is errors.WorkflowPaused
        twins.answer(lambda api: api.unpause(NAME))
        twins.each(lambda world: world.airflow.go_down())
        assert type(twins.error(lambda api: api.backfill(NAME, a_request()))) is errors.AirflowUnavailable
