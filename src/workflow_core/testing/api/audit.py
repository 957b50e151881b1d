"""Rules for the audit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.api import AuditFilters, PauseRequest
from workflow_core.domain.act import Action
from workflow_core.domain.caller import Via
from workflow_core.testing.api.subject import CALLER, NAME, ApiSubject, Twins

if TYPE_CHECKING:
    from workflow_core.api import AuditItem, Listing, WorkflowApi

OTHER = "lake.sales.table-1"


class AuditRules(ApiSubject):
    """Lists of audit events."""

    def test_events_are_listed_latest_first(self, twins: Twins) -> None:
        """Each event has its action, workflow, caller, and the state before and after."""
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

    def test_filters_of_events(self, twins: Twins) -> None:
        """Each filter selects its events; ``since`` is inclusive and ``until`` exclusive."""
        self._changed(twins)
        minute = _audit(twins, AuditFilters()).items[1].at
        for filters, number in (
            (AuditFilters(dataset_name=OTHER), 1),
            (AuditFilters(action=Action.REGISTER), 2),
            (AuditFilters(who=CALLER.name), 4),
            (AuditFilters(who="other@example.com"), 0),
            (AuditFilters(since=minute), 2),
            (AuditFilters(until=minute), 2),
        ):
            assert _audit(twins, filters).total == number, filters

    def test_pages_of_events(self, twins: Twins) -> None:
        """Events are paged by cursor and by offset."""
        self._changed(twins)
        every = _audit(twins, AuditFilters()).items
        first = _audit(twins, AuditFilters(limit=1))
        assert (first.items, first.total, first.next_cursor) == (every[:1], 4, "there")
        assert _audit(twins, AuditFilters(offset=1, limit=2)).items == every[1:3]
        # a cursor contains an id, and the ids differ between the two systems
        second = twins.answer(lambda api: _comparable(api.audit(AuditFilters(limit=1, cursor=_first_cursor(api)))))
        assert second.items == every[1:2]

    def test_invalid_filters_of_events_are_refused(self, twins: Twins) -> None:
        """A malformed name, a malformed cursor and a reversed time range are refused."""
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
        """Register two workflows, run one a minute later, pause it after another minute, and return the run's id."""
        twins.register()
        twins.each(lambda world: world.clock.sleep(1))
        twins.register(OTHER)
        run_id = twins.run(after=60)
        twins.each(lambda world: world.clock.sleep(60))
        twins.answer(lambda api: api.pause(NAME, PauseRequest(reason="ünï 🙂")))
        return run_id


def _audit(twins: Twins, filters: AuditFilters) -> Listing[AuditItem]:
    return twins.answer(lambda api: _comparable(api.audit(filters)))


def _comparable(page: Listing[AuditItem]) -> Listing[AuditItem]:
    """The page without the values that differ between two systems: ids, and how the request arrived."""
    replaced = {"id": "", "via": Via.LIBRARY, "address": None, "request_id": None}
    items = tuple(item.model_copy(update=replaced) for item in page.items)
    return evolve(page, items=items, next_cursor="there" if page.next_cursor else None)


def _refused(api: WorkflowApi, filters: AuditFilters) -> object:
    return api.audit(filters)


def _first_cursor(api: WorkflowApi) -> str | None:
    return api.audit(AuditFilters(limit=1)).next_cursor
