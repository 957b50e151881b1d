"""Who has changed what."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.api import AuditFilters, PauseRequest
from workflow_core.domain.audit import Action
from workflow_core.domain.caller import Via
from workflow_core.testing.api.subject import CALLER, NAME, ApiSubject, Twins

if TYPE_CHECKING:
    from workflow_core.api import AuditItem, Listing, WorkflowApi

OTHER = "lake.sales.table-1"


class AuditedRules(ApiSubject):
    """Listing changes."""

    def test_changes_are_told_latest_first(self, twins: Twins) -> None:
        """What was done to what, by whom, and what it changed."""
        run_id = self._changed(twins)
        pause, run, first, second = _audit(twins, AuditFilters()).items
        assert [pause.action, run.action, first.action, second.action] == [
            Action.PAUSE,
            Action.RUN,
            Action.REGISTER,
            Action.REGISTER,
        ]
        assert pause.before == {"status": "active", "pause_reason": None}
        assert pause.after == {"status": "paused", "pause_reason": "ünï 🙂"}
        assert (run.run_id, run.dataset_name, run.before, run.who) == (run_id, NAME, None, CALLER.name)
        assert run.after is not None
        assert run.after["status"] == "PENDING"
        assert (first.dataset_name, second.dataset_name) == (OTHER, NAME)

    def test_filters_of_changes(self, twins: Twins) -> None:
        """Each by itself; from a moment on, until before another."""
        self._changed(twins)
        minute = _audit(twins, AuditFilters()).items[1].at
        for filters, number in (
            (AuditFilters(dataset_name=OTHER), 1),
            (AuditFilters(action=Action.REGISTER), 2),
            (AuditFilters(who=CALLER.name), 4),
            (AuditFilters(who="somebody else"), 0),
            (AuditFilters(since=minute), 2),
            (AuditFilters(until=minute), 2),
        ):
            assert _audit(twins, filters).total == number, filters

    def test_pages_of_changes(self, twins: Twins) -> None:
        """By cursor and by offset."""
        self._changed(twins)
        every = _audit(twins, AuditFilters()).items
        first = _audit(twins, AuditFilters(limit=1))
        assert (first.items, first.total, first.next_cursor) == (every[:1], 4, "there")
        assert _audit(twins, AuditFilters(offset=1, limit=2)).items == every[1:3]
        # a cursor has an id in it: each of the two systems has its own
        second = twins.answer(lambda api: _same(api.audit(AuditFilters(limit=1, cursor=_first_cursor(api)))))
        assert second.items == every[1:2]

    def test_wrong_filters_of_changes(self, twins: Twins) -> None:
        """A name that is none, a cursor of another list, moments the wrong way round."""
        self._changed(twins)
        moment = _audit(twins, AuditFilters()).items[0].at
        for filters in (
            AuditFilters(dataset_name="one"),
            AuditFilters(cursor="x"),
            AuditFilters(since=moment, until=moment.replace(year=2000)),
        ):
            twins.error(partial(_refused, filters=filters))

    @staticmethod
    def _changed(twins: Twins) -> str:
        """Two workflows are registered, one of them is run a minute later, and paused after another; the run's id."""
        twins.register()
        twins.each(lambda world: world.clock.sleep(1))
        twins.register(OTHER)
        run_id = twins.run(after=60)
        twins.each(lambda world: world.clock.sleep(60))
        twins.answer(lambda api: api.pause(NAME, PauseRequest(reason="ünï 🙂")))
        return run_id


def _audit(twins: Twins, filters: AuditFilters) -> Listing[AuditItem]:
    return twins.answer(lambda api: _same(api.audit(filters)))


def _same(found: Listing[AuditItem]) -> Listing[AuditItem]:
    """What is the same in two systems: not the ids, nor the way by which it came."""
    same = {"id": "", "via": Via.LIBRARY, "address": None, "request_id": None}
    items = tuple(item.model_copy(update=same) for item in found.items)
    return evolve(found, items=items, next_cursor="there" if found.next_cursor else None)


def _refused(api: WorkflowApi, filters: AuditFilters) -> object:
    return api.audit(filters)


def _first_cursor(api: WorkflowApi) -> str | None:
    return api.audit(AuditFilters(limit=1)).next_cursor
