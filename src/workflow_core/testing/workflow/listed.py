"""Lists of workflows: order, filters, pages, and what is unsettled."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import Pause, Phase, SourceType, WorkflowStatus
from workflow_core.testing.entities import AT, a_workflow
from workflow_core.testing.workflow.subject import WorkflowSubject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workflow_core.ports.workflow import WorkflowPort

ANY = WorkflowFilter()
PAUSE = Pause(by="paula", at=AT)
IN_ORDER = ["B.a", "a-b.x", "a.0", "a.B", "a._", "a.a", "a.aa", "a.b.c", "a0.b", "b.a"]
"""Names in code-point order, which no language's collation has: '-' < '.' < '0' < 'B' < '_' < 'a'."""


class ListedWorkflowRules(WorkflowSubject):
    """What holds for many workflows."""

    def test_workflows_are_listed_by_name(self, port: WorkflowPort) -> None:
        """The order is that of code points, whatever the collation of the database."""
        _add(port, reversed(IN_ORDER))
        assert _names(port) == IN_ORDER

    def test_listed_workflows_are_complete(self, port: WorkflowPort) -> None:
        """An item of a list is the same as the one read by name."""
        workflow = a_workflow(pause=PAUSE)
        port.add_workflow(workflow)
        assert port.workflows(ANY, PageRequest()).items == (workflow,)

    def test_an_empty_list_is_one_empty_page(self, port: WorkflowPort) -> None:
        """No workflows: no items, none in all, nothing to go on after."""
        page = port.workflows(ANY, PageRequest())
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
        self, port: WorkflowPort, status: WorkflowStatus | None, names: list[str]
    ) -> None:
        """Disabled is what Airflow cannot build, paused or not; paused and active are the rest."""
        for name, phase in (("new", Phase.REGISTERING), ("served", Phase.SERVED), ("failed", Phase.FAILED)):
            port.add_workflow(a_workflow(f"a.{name}", phase=phase))
            port.add_workflow(a_workflow(f"a.{name}-paused", phase=phase, pause=PAUSE))
        page = port.workflows(WorkflowFilter(status=status), PageRequest())
        assert [workflow.dataset_name for workflow in page.items] == names
        assert {workflow.status for workflow in page.items} == ({status} if status else set(WorkflowStatus))
        assert page.total == len(names)

    def test_the_source_filter(self, port: WorkflowPort) -> None:
        """Only workflows of the source type are listed."""
        port.add_workflow(a_workflow("a.manual"))
        port.add_workflow(a_workflow("a.code", source_type=SourceType.CODE))
        assert _names(port, source_type=SourceType.CODE) == ["a.code"]
        assert _names(port, source_type=SourceType.MANUAL) == ["a.manual"]

    def test_the_owner_filter_is_exact(self, port: WorkflowPort) -> None:
        """An owner is compared as a whole, with its case; no character is a wildcard."""
        port.add_workflow(a_workflow("a.a", owner="data@example.com"))
        port.add_workflow(a_workflow("a.b", owner="Data@example.com"))
        port.add_workflow(a_workflow("a.c", owner="100%_d'ü"))
        assert _names(port, owner="data@example.com") == ["a.a"]
        assert _names(port, owner="100%_d'ü") == ["a.c"]
        assert [_names(port, owner=owner) for owner in ("data", "%", "", "____@example.com")] == [[]] * 4

    def test_filters_add_up(self, port: WorkflowPort) -> None:
        """All given filters must hold."""
        port.add_workflow(a_workflow("a.a", owner="x", pause=PAUSE))
        port.add_workflow(a_workflow("a.b", owner="x", pause=PAUSE, source_type=SourceType.CODE))
        port.add_workflow(a_workflow("a.c", owner="x", source_type=SourceType.CODE))
        port.add_workflow(a_workflow("a.d", owner="y", pause=PAUSE, source_type=SourceType.CODE))
        assert _names(port, owner="x", status=WorkflowStatus.PAUSED, source_type=SourceType.CODE) == ["a.b"]

    @pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
    def test_pages_by_key_join_to_the_whole(self, port: WorkflowPort, limit: int) -> None:
        """Going on after each page's key gives every workflow once, in order, and says in all how many there are."""
        _add(port, IN_ORDER)
        page = port.workflows(ANY, PageRequest(limit=limit))
        names, pages = [workflow.dataset_name for workflow in page.items], 1
        while page.next_after is not None:
            assert (len(page.items), page.total) == (limit, len(IN_ORDER))
            assert page.next_after == (names[-1],)
            page = port.workflows(ANY, PageRequest(limit=limit, after=page.next_after))
            names += [workflow.dataset_name for workflow in page.items]
            pages += 1
            assert pages <= len(IN_ORDER), "the pages do not end"
        assert (names, page.total) == (IN_ORDER, len(IN_ORDER))
        assert pages == -(-len(IN_ORDER) // limit), "the last page that has items is known to be the last"

    def test_pages_by_key_stay_in_place(self, port: WorkflowPort) -> None:
        """A workflow that comes or goes before the key moves nothing, and the key itself need not exist any more."""
        _add(port, ["a.b", "a.c", "a.d"])
        after = port.workflows(ANY, PageRequest(limit=1)).next_after
        gone = port.workflow("a.b")
        assert gone is not None
        port.save_workflow(evolve(gone, phase=Phase.LEAVING))
        _add(port, ["a.a"])
        page = port.workflows(ANY, PageRequest(limit=5, after=after))
        assert [workflow.dataset_name for workflow in page.items] == ["a.c", "a.d"]

    def test_pages_by_offset(self, port: WorkflowPort) -> None:
        """An offset skips that many; beyond the end there is an empty last page with the true total."""
        _add(port, IN_ORDER)
        middle = port.workflows(ANY, PageRequest(limit=3, offset=4))
        assert [workflow.dataset_name for workflow in middle.items] == IN_ORDER[4:7]
        assert middle.next_after == (IN_ORDER[6],)
        beyond = port.workflows(ANY, PageRequest(limit=3, offset=100))
        assert (beyond.items, beyond.total, beyond.next_after) == ((), len(IN_ORDER), None)

    def test_an_offset_counts_from_the_key(self, port: WorkflowPort) -> None:
        """With both, the offset skips items after the key."""
        _add(port, IN_ORDER)
        page = port.workflows(ANY, PageRequest(limit=2, offset=1, after=(IN_ORDER[2],)))
        assert [workflow.dataset_name for workflow in page.items] == IN_ORDER[4:6]

    def test_the_total_is_of_the_filter(self, port: WorkflowPort) -> None:
        """The total counts what the filter lets through, on whichever page."""
        _add(port, IN_ORDER)
        port.add_workflow(a_workflow("x.y", owner="other"))
        where = WorkflowFilter(owner="data@example.com")
        page = port.workflows(where, PageRequest(limit=1, offset=2))
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
        port: WorkflowPort,
        phase: Phase,
        pause: Pause | None,
        airflow_paused: bool | None,  # noqa: FBT001 - a parameter of the test
        unsettled: bool,  # noqa: FBT001 - likewise
    ) -> None:
        """Listed is what comes or goes, and what is served with another pause state than the wanted one."""
        workflow = a_workflow(phase=phase, pause=pause, airflow_paused=airflow_paused)
        assert workflow.settled is not unsettled
        port.add_workflow(workflow)
        assert list(port.unsettled_workflows(10)) == ([workflow] if unsettled else [])

    def test_unsettled_workflows_longest_unchanged_first(self, port: WorkflowPort) -> None:
        """The order is that of the last change, then of the name, and the limit cuts off the latest."""
        for name, minutes in (("a.c", 2), ("a.d", 1), ("a.b", 3), ("a.a", 2)):
            port.add_workflow(a_workflow(name, updated_at=AT + timedelta(minutes=minutes)))
        listed = [workflow.dataset_name for workflow in port.unsettled_workflows(3)]
        assert listed == ["a.d", "a.a", "a.c"]


def _add(port: WorkflowPort, names: Iterable[str]) -> None:
    for name in names:
        port.add_workflow(a_workflow(name, yaml=f"version: v1\nname: {name}\n"))


def _names(port: WorkflowPort, **where: Any) -> list[str]:
    return [workflow.dataset_name for workflow in port.workflows(WorkflowFilter(**where), PageRequest()).items]
