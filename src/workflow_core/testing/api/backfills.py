"""Backfills: made, watched, listed, steered."""

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
WRONG: Final[tuple[dict[str, Any], ...]] = (
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
    """The last three days of 2025, unless ``changes`` say otherwise."""
    return BackfillRequest(**{"start_date": date(2025, 12, 29), "end_date": DEC_31, **changes})


def _start(api: WorkflowApi, *, request: BackfillRequest) -> BackfillAnswer:
    return api.backfill(NAME, request)


def _stop(api: WorkflowApi, *, backfill_id: str, request: BackfillReasonRequest | None) -> BackfillItem:
    return api.stop_backfill(backfill_id, request)


class BackfillRules(ApiSubject):
    """What holds for backfills."""

    def backfill(self, twins: Twins, **changes: Any) -> BackfillAnswer:
        """Make one in both."""
        return twins.answer(lambda api: api.backfill(NAME, a_request(**changes)))

    def test_a_backfill_is_accepted(self, twins: Twins) -> None:
        """With the id and the runs of section 3.2."""
        twins.register()
        answer = self.backfill(twins, parallel=True, params={"region": "数据 🙂"})
        assert answer.backfill_id == f"{NAME}_backfill_20251229_20251231"
        assert answer.run_ids == tuple(f"{answer.backfill_id}_202512{day}" for day in (29, 30, 31))
        assert (answer.status, answer.total_runs) == (BackfillStatus.PENDING, 3)
        status = twins.answer(lambda api: api.status(answer.run_ids[1]))
        assert status.params == {"region": "数据 🙂", "date": "2025-12-30"}

    def test_every_wish_arrives(self, twins: Twins) -> None:
        """And is told again."""
        twins.register()
        wishes: dict[str, Any] = {
            "params": {"limit": 20},
            "parallel": True,
            "max_active": 2,
            "reprocess": Reprocess.ALL,
            "run_backwards": True,
            "on_failure": OnFailure.STOP,
        }
        backfill_id = self.backfill(twins, **wishes).backfill_id
        told = twins.answer(lambda api: api.backfill_status(backfill_id)).model_dump()
        assert {name: told[name] for name in wishes} == wishes

    def test_a_dry_run_makes_nothing(self, twins: Twins) -> None:
        """It says what would be made, and what would be skipped."""
        twins.register()
        twins.answer(lambda api: api.run(NAME, RunRequest(params={"date": "2025-12-30"})))
        planned = self.backfill(twins, dry_run=True)
        assert planned.dry_run
        assert [run.date.day for run in planned.runs] == [29, 31]
        assert [one.date for one in planned.skipped] == [DEC_30]
        assert type(twins.error(lambda api: api.backfill_status(planned.backfill_id))) is errors.BackfillNotFound

    def test_a_skipped_date_that_did_not_succeed_is_told(self, twins: Twins) -> None:
        """A warning when the backfill is accepted, and no success: in each look, and in the list."""
        twins.register()
        run_id = twins.answer(lambda api: api.run(NAME, RunRequest(params={"date": "2025-12-30"}))).run_id
        twins.answer(lambda api: api.stop(run_id))
        for _ in range(15):
            twins.each(lambda world: world.clock.sleep(2))
            twins.each(lambda world: world.service.sweep())
        for dry_run in (True, False):
            answer = self.backfill(twins, start_date=DEC_30, end_date=DEC_30, dry_run=dry_run)
            assert (answer.status, answer.total_runs) == (BackfillStatus.FAILED, 0)
            assert [(one.run_id, one.status) for one in answer.skipped] == [(run_id, RunStatus.STOPPED)]
            (warning,) = answer.warnings
            assert warning.startswith('0 of 1 dates will run: 1 did not succeed (1 STOPPED); use "reprocess": "failed"')
        status = twins.answer(lambda api: api.backfill_status(answer.backfill_id))
        [item] = twins.answer(lambda api: api.backfills(NAME)).items
        assert (status.status, status.skipped) == (BackfillStatus.FAILED, answer.skipped)
        assert (item.status, item.skipped_counts) == (BackfillStatus.FAILED, {"STOPPED": 1})

    def test_a_backfill_is_followed_to_its_end(self, twins: Twins) -> None:
        """Each look is the same, with every date, and the end."""
        twins.register()
        backfill_id = self.backfill(twins, parallel=True, max_active=2).backfill_id
        for _ in range(15):
            found = twins.answer(lambda api: api.backfill_status(backfill_id))
            twins.each(lambda world: world.clock.sleep(1))
            twins.each(lambda world: world.service.sweep())
        assert (found.status, found.percent, found.eta) == (BackfillStatus.SUCCESS, 100, None)
        assert {run.status for run in found.runs} == {RunStatus.SUCCESS}
        assert all(run.started_at and run.ended_at for run in found.runs)

    def test_pages_of_backfills(self, twins: Twins) -> None:
        """Latest first, cursor by cursor."""
        twins.register()
        made = []
        for day in (29, 30, 31):
            twins.each(lambda world: world.clock.sleep(1))
            one = date(2025, 12, day)
            made.append(self.backfill(twins, start_date=one, end_date=one).backfill_id)
        first = twins.answer(lambda api: api.backfills(NAME, BackfillFilters(limit=2)))
        assert first.next_cursor is not None
        rest = twins.answer(lambda api: api.backfills(NAME, BackfillFilters(limit=2, cursor=first.next_cursor)))
        assert [item.backfill_id for item in (*first.items, *rest.items)] == made[::-1]
        assert (first.total, rest.next_cursor) == (3, None)
        assert twins.answer(lambda api: api.backfills(NAME, BackfillFilters(offset=2))).items == rest.items
        assert twins.answer(lambda api: api.backfills(NAME)).total == 3

    def test_pause_and_resume(self, twins: Twins) -> None:
        """With a reason, without one, and twice; the first reason stays."""
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
        """With a reason or without one; what was not sent has ended by that, and a second stop changes nothing."""
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
            again = BackfillReasonRequest(reason="again")
            assert twins.answer(partial(_stop, backfill_id=key, request=again)).reason == stopped.reason
            error = twins.error(lambda api, key=key: api.pause_backfill(key))  # type: ignore[misc]
            assert type(error) is errors.BackfillNotActive

    def test_wrong_input(self, twins: Twins) -> None:
        """Names its field."""
        twins.register()
        for changes in WRONG:
            error = twins.error(partial(_start, request=a_request(**changes)))
            assert type(error) is errors.InvalidRequest
            assert all(problem.field for problem in error.problems)

    @pytest.mark.parametrize(
        "backfill_id", ["", "..", "a/b", "%2e", "a b", "ü", "a\0", "x" * 251, "a.b_backfill"], ids=ascii
    )
    def test_malformed_backfill_ids_are_refused_or_not_found(self, twins: Twins, backfill_id: str) -> None:
        """Is refused or not found, by every call that takes an id."""
        for ask in BY_ID:
            error = twins.error(lambda api, ask=ask: ask(api, backfill_id))  # type: ignore[misc]
            assert isinstance(error, errors.InvalidRequest | errors.BackfillNotFound)

    @pytest.mark.parametrize("name", ["no.such", "one", "a/b.c", ""])
    def test_malformed_names_have_no_backfills(self, twins: Twins, name: str) -> None:
        """Has no backfills and gets none."""
        for error in (
            twins.error(lambda api: api.backfills(name)),
            twins.error(lambda api: api.backfill(name, a_request())),
        ):
            assert isinstance(error, errors.InvalidRequest | errors.WorkflowNotFound)

    def test_what_does_not_allow_a_backfill(self, twins: Twins) -> None:
        """A paused workflow, and Airflow away."""
        twins.register()
        backfill_id = self.backfill(twins).backfill_id
        twins.answer(lambda api: api.pause_backfill(backfill_id))
        twins.answer(lambda api: api.pause(NAME))
        for ask in (lambda api: api.backfill(NAME, a_request()), lambda api: api.resume_backfill(backfill_id)):
            assert type(twins.error(ask)) is errors.WorkflowPaused
        twins.answer(lambda api: api.unpause(NAME))
        twins.each(lambda world: world.airflow.go_down())
        assert type(twins.error(lambda api: api.backfill(NAME, a_request()))) is errors.AirflowUnavailable
