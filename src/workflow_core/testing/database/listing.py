"""The rules for lists of workflows: order, filters, pages, and unsettled workflows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import Pause, Phase, SourceType, WorkflowStatus
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_workflow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workflow_core.ports.database import Database

ANY = WorkflowFilter()
PAUSE = Pause(by="paula", at=AT)
IN_ORDER = ["B.a", "a-b.x", "a.0", "a.B", "a._", "a.a", "a.aa", "a.b.c", "a0.b", "b.a"]
"""Names in code-point order, which no language's collation has: '-' < '.' < '0' < 'B' < '_' < 'a'."""


class ListingRules(DatabaseSubject):
    """The rules for lists of workflows."""

    def test_workflows_are_listed_by_name(self, database: Database) -> None:
        """The order is that of code points, independent of the collation of the database."""
        _add(database, reversed(IN_ORDER))
        assert _names(database) == IN_ORDER

    def test_listed_workflows_are_complete(self, database: Database) -> None:
        """An item of a list is the same as the one read by name."""
        workflow = a_workflow(pause=PAUSE)
        database.workflows.add_workflow(workflow)
        assert database.workflows.list_workflows(ANY, PageRequest()).items == (workflow,)

    def test_an_empty_list_is_one_empty_page(self, database: Database) -> None:
        """An empty list is one page without items, with total 0 and without a next key."""
        page = database.workflows.list_workflows(ANY, PageRequest())
        assert (page.items, page.total, page.next_after) == ((), 0, None)

    @pytest.mark.parametrize(
        ("status", "names"),
        [
            (None, ["a.failed", "a.failed-paused", "a.new", "a.new-paused", "a.served", "a.served-paused"]),
            (WorkflowStatus.ACTIVE, ["a.new", "a.served"]),
            (WorkflowStatus.PAUSED, ["a.new-paused", "a.served-paused"]),
            (WorkflowStatus.DISABLED, ["a.failed", "a.failed-paused"]),
        ],
    )
    def test_the_status_filter_is_the_derived_status(
        self, database: Database, status: WorkflowStatus | None, names: list[str]
    ) -> None:
        """Workflows that Airflow cannot build are disabled, paused or not; the others are paused or active."""
        for name, phase in (("new", Phase.REGISTERING), ("served", Phase.SERVED), ("failed", Phase.FAILED)):
            database.workflows.add_workflow(a_workflow(f"a.{name}", phase=phase))
            database.workflows.add_workflow(a_workflow(f"a.{name}-paused", phase=phase, pause=PAUSE))
        page = database.workflows.list_workflows(WorkflowFilter(status=status), PageRequest())
        assert [workflow.dataset_name for workflow in page.items] == names
        assert {workflow.status for workflow in page.items} == ({status} if status else set(WorkflowStatus))
        assert page.total == len(names)

    def test_the_source_filter(self, database: Database) -> None:
        """Only workflows of the source type are listed."""
        database.workflows.add_workflow(a_workflow("a.manual"))
        database.workflows.add_workflow(a_workflow("a.code", source_type=SourceType.CODE))
        assert _names(database, source_type=SourceType.CODE) == ["a.code"]
        assert _names(database, source_type=SourceType.MANUAL) == ["a.manual"]

    def test_the_owner_filter_is_exact(self, database: Database) -> None:
        """An owner is compared as a whole, with its case; no character is a wildcard."""
        database.workflows.add_workflow(a_workflow("a.a", owner="data@example.com"))
        database.workflows.add_workflow(a_workflow("a.b", owner="Data@example.com"))
        database.workflows.add_workflow(a_workflow("a.c", owner="100%_d'ü"))
        assert _names(database, owner="data@example.com") == ["a.a"]
        assert _names(database, owner="100%_d'ü") == ["a.c"]
        assert [_names(database, owner=owner) for owner in ("data", "%", "", "____@example.com")] == [[]] * 4

    def test_filters_add_up(self, database: Database) -> None:
        """All given filters must hold."""
        database.workflows.add_workflow(a_workflow("a.a", owner="x", pause=PAUSE))
        database.workflows.add_workflow(a_workflow("a.b", owner="x", pause=PAUSE, source_type=SourceType.CODE))
        database.workflows.add_workflow(a_workflow("a.c", owner="x", source_type=SourceType.CODE))
        database.workflows.add_workflow(a_workflow("a.d", owner="y", pause=PAUSE, source_type=SourceType.CODE))
        assert _names(database, owner="x", status=WorkflowStatus.PAUSED, source_type=SourceType.CODE) == ["a.b"]

    @pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
    def test_pages_by_key_join_to_the_whole(self, database: Database, limit: int) -> None:
        """Pages that follow each other's keys contain every workflow once, in order, each with the same total."""
        _add(database, IN_ORDER)
        page = database.workflows.list_workflows(ANY, PageRequest(limit=limit))
        names, pages = [workflow.dataset_name for workflow in page.items], 1
        while page.next_after is not None:
            assert (len(page.items), page.total) == (limit, len(IN_ORDER))
            assert page.next_after == (names[-1],)
            page = database.workflows.list_workflows(ANY, PageRequest(limit=limit, after=page.next_after))
            names += [workflow.dataset_name for workflow in page.items]
            pages += 1
            assert pages <= len(IN_ORDER), "the pages do not end"
        assert (names, page.total) == (IN_ORDER, len(IN_ORDER))
        assert pages == -(-len(IN_ORDER) // limit), "the last page that has items is known to be the last"

    def test_pages_by_key_stay_in_place(self, database: Database) -> None:
        """Workflows added or removed before the key do not move the page, and the workflow of the key may be gone."""
        _add(database, ["a.b", "a.c", "a.d"])
        after = database.workflows.list_workflows(ANY, PageRequest(limit=1)).next_after
        gone = database.workflows.workflow("a.b")
        assert gone is not None
        database.workflows.save_workflow(evolve(gone, phase=Phase.LEAVING))
        _add(database, ["a.a"])
        page = database.workflows.list_workflows(ANY, PageRequest(limit=5, after=after))
        assert [workflow.dataset_name for workflow in page.items] == ["a.c", "a.d"]

    def test_pages_by_offset(self, database: Database) -> None:
        """An offset skips that many; beyond the end there is an empty last page with the true total."""
        _add(database, IN_ORDER)
        middle = database.workflows.list_workflows(ANY, PageRequest(limit=3, offset=4))
        assert [workflow.dataset_name for workflow in middle.items] == IN_ORDER[4:7]
        assert middle.next_after == (IN_ORDER[6],)
        beyond = database.workflows.list_workflows(ANY, PageRequest(limit=3, offset=100))
        assert (beyond.items, beyond.total, beyond.next_after) == ((), len(IN_ORDER), None)

    def test_an_offset_counts_from_the_key(self, database: Database) -> None:
        """With both, the offset skips items after the key."""
        _add(database, IN_ORDER)
        page = database.workflows.list_workflows(ANY, PageRequest(limit=2, offset=1, after=(IN_ORDER[2],)))
        assert [workflow.dataset_name for workflow in page.items] == IN_ORDER[4:6]

    def test_the_total_is_of_the_filter(self, database: Database) -> None:
        """The total counts what the filter lets through, on whichever page."""
        _add(database, IN_ORDER)
        database.workflows.add_workflow(a_workflow("x.y", owner="other"))
        where = WorkflowFilter(owner="data@example.com")
        page = database.workflows.list_workflows(where, PageRequest(limit=1, offset=2))
        assert page.total == len(IN_ORDER)

    @pytest.mark.parametrize(
        ("phase", "pause", "airflow_paused", "unsettled"),
        [
            (Phase.REGISTERING, None, None, True),
            (Phase.REGISTERING, None, False, True),
            (Phase.REGISTERING, PAUSE, True, True),
            (Phase.SERVED, None, None, True),
            (Phase.SERVED, PAUSE, None, True),
            (Phase.SERVED, None, True, True),
            (Phase.SERVED, PAUSE, False, True),
            (Phase.SERVED, None, False, False),
            (Phase.SERVED, PAUSE, True, False),
            (Phase.FAILED, None, None, False),
            (Phase.FAILED, PAUSE, False, False),
            (Phase.FAILED, None, True, False),
            (Phase.UNREGISTERING, None, False, True),
            (Phase.LEAVING, PAUSE, True, True),
            (Phase.GONE, None, False, False),
        ],
    )
    def test_unsettled_is_what_the_entity_says(
        self,
        database: Database,
        phase: Phase,
        pause: Pause | None,
        airflow_paused: bool | None,  # noqa: FBT001 - a parameter of the test
        unsettled: bool,  # noqa: FBT001 - likewise
    ) -> None:
        """Listed is what comes or goes, and what is served with another pause state than the wanted one."""
        workflow = a_workflow(phase=phase, pause=pause, airflow_paused=airflow_paused)
        assert workflow.is_settled is not unsettled
        database.workflows.add_workflow(workflow)
        assert list(database.workflows.unsettled_workflows(10)) == ([workflow] if unsettled else [])

    def test_unsettled_workflows_longest_unchanged_first(self, database: Database) -> None:
        """The order is that of the last change, then of the name, and the limit cuts off the latest."""
        for name, minutes in (("a.c", 2), ("a.d", 1), ("a.b", 3), ("a.a", 2)):
            database.workflows.add_workflow(a_workflow(name, updated_at=AT + timedelta(minutes=minutes)))
        listed = [workflow.dataset_name for workflow in database.workflows.unsettled_workflows(3)]
        assert listed == ["a.d", "a.a", "a.c"]

    def test_workflows_never_attempted_come_first(self, database: Database) -> None:
        """Workflows never attempted come first, then those attempted longest ago, then those unchanged longest, then
        by name; the limit cuts off the last ones.
        """
        tried = {"a.a": 2, "a.b": None, "a.c": 1, "a.d": 2, "a.e": None, "a.f": 3, "a.g": 2}
        unchanged = {"a.e": -2, "a.d": -1}
        for name, minutes in tried.items():
            changed = AT + timedelta(minutes=unchanged.get(name, 0))
            workflow = a_workflow(name, phase=Phase.REGISTERING, updated_at=changed)
            database.workflows.add_workflow(workflow)
            if minutes is not None:
                database.workflows.record_attempt([workflow], AT + timedelta(minutes=minutes))
        names = [workflow.dataset_name for workflow in database.workflows.unsettled_workflows(6)]
        assert names == ["a.e", "a.b", "a.c", "a.d", "a.a", "a.g"]

    def test_the_last_attempt_counts(self, database: Database) -> None:
        """The last attempt counts; the version of the workflow is unchanged."""
        workflows = [a_workflow(name, phase=Phase.REGISTERING) for name in ("a.a", "a.b")]
        for workflow in workflows:
            database.workflows.add_workflow(workflow)
        database.workflows.record_attempt(workflows, AT)
        database.workflows.record_attempt(workflows[:1], AT + timedelta(microseconds=1))
        database.workflows.record_attempt([], AT + timedelta(1))
        database.workflows.record_attempt([a_workflow("a.c")], AT)
        assert list(database.workflows.unsettled_workflows(10)) == workflows[::-1]


def _add(database: Database, names: Iterable[str]) -> None:
    for name in names:
        database.workflows.add_workflow(a_workflow(name, yaml=f"version: v1\nname: {name}\n"))


def _names(database: Database, **where: Any) -> list[str]:
    return [
        workflow.dataset_name
        for workflow in database.workflows.list_workflows(WorkflowFilter(**where), PageRequest()).items
    ]
