"""Rules for the lists of workflows and runs: filters, limits, pages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from workflow_core.api import HistoryFilters, WorkflowFilters
from workflow_core.domain.run import RunType
from workflow_core.domain.workflow import SourceType, WorkflowStatus
from workflow_core.testing.api.subject import NAME, YAML, ApiSubject, ApiWorld, Twins

if TYPE_CHECKING:
    from workflow_core.api import HistoryItem, Listing, WorkflowItem

NAMES = tuple(f"lake.sales.table-{index}" for index in range(3))
ODD = "ö+&=%20 ?#/\\\"'@example.com"


class ListRules(ApiSubject):
    """Lists of workflows and runs."""

    def test_an_empty_system_has_empty_lists(self, twins: Twins) -> None:
        """Both lists are empty and have no next page."""
        for page in (twins.answer(lambda api: api.workflows()), twins.answer(lambda api: api.history())):
            assert (page.items, page.total, page.next_cursor) == ((), 0, None)

    def test_a_workflow_is_listed_with_its_runs(self, twins: Twins) -> None:
        """The item contains the last run and the next fire time."""
        twins.register()
        run_id = twins.run()
        (item,) = twins.answer(lambda api: api.workflows()).items
        assert item.last_run is not None
        assert item.last_run.run_id == run_id
        assert item.next_run == datetime(2026, 1, 1, 11, tzinfo=UTC)

    def test_pages_of_workflows(self, twins: Twins) -> None:
        """The pages contain each workflow once, in order, and each page contains the total."""
        for name in NAMES:
            twins.register(name)
        listed: list[str] = []
        filters = WorkflowFilters(limit=2)
        while True:
            page = self._workflows(twins, filters)
            assert page.total == len(NAMES)
            listed += [item.dataset_name for item in page.items]
            if page.next_cursor is None:
                break
            filters = WorkflowFilters(limit=2, cursor=page.next_cursor)
        assert listed == sorted(NAMES)

    def test_pages_of_runs(self, twins: Twins) -> None:
        """Runs are listed latest first, and the filters apply to each page."""
        twins.register()
        twins.register(NAMES[0])
        started = [twins.run(after=1) for _ in range(3)]
        twins.answer(lambda api: api.run(NAMES[0]))
        listed: list[str] = []
        cursor: str | None = None
        while True:
            filters = HistoryFilters(limit=2, dataset_name=NAME, cursor=cursor)
            page = self._history(twins, filters)
            assert page.total == len(started)
            listed += [item.run_id for item in page.items]
            if (cursor := page.next_cursor) is None:
                break
        assert listed == started[::-1]

    def test_an_offset_skips_items(self, twins: Twins) -> None:
        """A list starts after the offset; an offset past the end returns an empty page."""
        for name in NAMES:
            twins.register(name)
        page = self._workflows(twins, WorkflowFilters(limit=2, offset=2))
        assert [item.dataset_name for item in page.items] == sorted(NAMES)[2:]
        beyond = self._workflows(twins, WorkflowFilters(offset=2**31 - 1))
        assert (beyond.items, beyond.total) == ((), len(NAMES))

    def test_the_smallest_and_the_largest_limit(self, twins: Twins) -> None:
        """A limit of 1 returns one item, and a limit of 500 all items."""
        for name in NAMES:
            twins.register(name)
        assert len(self._workflows(twins, WorkflowFilters(limit=1)).items) == 1
        assert len(self._workflows(twins, WorkflowFilters(limit=500)).items) == len(NAMES)

    def test_filters_of_workflows(self, twins: Twins) -> None:
        """Workflows are filtered by status, source and owner; an owner may contain any characters."""
        twins.register()
        twins.register(
            NAMES[0], YAML.replace("data@example.com", '"' + ODD.replace("\\", "\\\\").replace('"', '\\"') + '"')
        )
        twins.answer(lambda api: api.pause(NAME))
        assert self._names(twins, WorkflowFilters(status=WorkflowStatus.PAUSED)) == [NAME]
        assert self._names(twins, WorkflowFilters(owner=ODD)) == [NAMES[0]]
        assert self._names(twins, WorkflowFilters(source_type=SourceType.CODE)) == []
        assert self._names(twins, WorkflowFilters(source_type=SourceType.MANUAL)) == [NAME, NAMES[0]]

    def test_filters_of_runs(self, twins: Twins) -> None:
        """Runs are filtered by workflow and by days in UTC."""
        twins.register()
        run_id = twins.run()
        day, other = date(2026, 1, 1), date(2026, 1, 2)
        for filters in (HistoryFilters(start_date=day, end_date=day), HistoryFilters(dataset_name=NAME)):
            assert [item.run_id for item in self._history(twins, filters).items] == [run_id]
        for filters in (HistoryFilters(start_date=other), HistoryFilters(dataset_name=NAMES[0])):
            assert self._history(twins, filters).total == 0

    def test_scheduled_runs_are_in_the_history(self, twins: Twins) -> None:
        """A run that Airflow's scheduler started is listed with its type."""
        twins.register()

        def scheduled(world: ApiWorld) -> None:
            moment = world.clock.now()
            world.airflow.add_run(
                "iceberg_analytics_daily_clicks",
                "scheduled__x",
                run_type=RunType.SCHEDULED,
                triggered_by="scheduler",
                logical_date=moment,
            )
            world.clock.sleep(60)
            world.sweeper.sweep()

        twins.each(scheduled)
        (item,) = self._history(twins, HistoryFilters()).items
        assert item.run_type is RunType.SCHEDULED

    @staticmethod
    def _workflows(twins: Twins, filters: WorkflowFilters) -> Listing[WorkflowItem]:
        return twins.answer(lambda api: api.workflows(filters))

    @staticmethod
    def _history(twins: Twins, filters: HistoryFilters) -> Listing[HistoryItem]:
        return twins.answer(lambda api: api.history(filters))

    def _names(self, twins: Twins, filters: WorkflowFilters) -> list[str]:
        return [item.dataset_name for item in self._workflows(twins, filters).items]
