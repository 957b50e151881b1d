"""The rules for visibility: lists, counts and pages contain only visible entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve

from workflow_core.domain.access import Grant, Role
from workflow_core.domain.audit import AuditFilter
from workflow_core.domain.authorization import Visibility
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import YAML, a_backfill, a_run, a_workflow, an_act

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database

TEAMS: Final[dict[str, str | None]] = {"a.one": "ads", "a.two": "Ads", "A.one": "ads", "a_ne": None, "b.one": "data"}
"""Names and teams that differ in little."""


def _of_team(dataset_name: str, team: str | None, *, owner: str = "data@example.com") -> Workflow:
    line = "" if team is None else f"team: {team}\n"
    return a_workflow(
        dataset_name, yaml=YAML.format(name=dataset_name, owner=owner).replace('team: "@data-eng"\n', line), owner=owner
    )


def _seeing(*grants: tuple[str | None, str | None], owner: str | None = None) -> Visibility:
    made = tuple(Grant(role=Role.VIEWER, team=team, names=names) for team, names in grants)
    return Visibility(grants=made, owner=owner)


class VisibilityRules(DatabaseSubject):
    """The rules for callers that may not see everything."""

    @pytest.mark.parametrize(
        ("visible", "names"),
        [
            (None, ["A.one", "a.one", "a.two", "a_ne", "b.one"]),
            (_seeing(), []),
            (_seeing((None, None)), ["A.one", "a.one", "a.two", "a_ne", "b.one"]),
            (_seeing(("ads", None)), ["A.one", "a.one"]),
            (_seeing((None, "a.*")), ["a.one", "a.two"]),
            (_seeing((None, "a_*")), ["a_ne"]),
            (_seeing((None, "*.one")), ["A.one", "a.one", "b.one"]),
            (_seeing((None, "a*e")), ["a.one", "a_ne"]),
            (_seeing((None, "a.one")), ["a.one"]),
            (_seeing((None, "a")), []),
            (_seeing((None, "*n*")), ["A.one", "a.one", "a_ne", "b.one"]),
            (_seeing(("ads", "a.*")), ["a.one"]),
            (_seeing(("ads", None), ("data", None)), ["A.one", "a.one", "b.one"]),
            (_seeing(owner="owner@example.com"), ["b.one"]),
            (_seeing((None, "a.two"), owner="owner@example.com"), ["a.two", "b.one"]),
            (_seeing(owner="Owner@example.com"), []),
        ],
    )
    def test_a_list_holds_what_is_visible(
        self, database: Database, visible: Visibility | None, names: list[str]
    ) -> None:
        """Visibility by team, by pattern and by owner compares exactly; totals and pages cover only visible workflows."""
        for name, team in TEAMS.items():
            owner = "owner@example.com" if name == "b.one" else "data@example.com"
            database.workflows.add_workflow(_of_team(name, team, owner=owner))
        where = WorkflowFilter(visible=visible)
        found = database.workflows.list_workflows(where, PageRequest())
        assert ([one.dataset_name for one in found.items], found.total) == (names, len(names))
        first = database.workflows.list_workflows(where, PageRequest(limit=1))
        assert (first.total, first.next_after) == (len(names), (names[0],) if len(names) > 1 else None)

    def test_runs_are_those_of_visible_workflows(self, database: Database) -> None:
        """The workflow of a run decides, not the current holder of its name."""
        here, other, before = _of_team("a.one", "ads"), _of_team("b.one", "data"), _of_team("a.one", "data")
        database.workflows.add_workflow(before)
        database.workflows.add_run(a_run(before, run_id="before", status=RunStatus.SUCCESS))
        database.workflows.save_workflow(evolve(before, phase=Phase.GONE))
        for workflow, run_id in ((here, "mine"), (other, "other")):
            database.workflows.add_workflow(workflow)
            database.workflows.add_run(a_run(workflow, run_id=run_id))
        for visible, runs in (
            (_seeing(("ads", None)), ["mine"]),
            (_seeing(("data", None)), ["other", "before"]),
            (_seeing(), []),
        ):
            page = database.workflows.history(HistoryFilter(visible=visible), PageRequest())
            assert ([run.run_id for run in page.items], page.total) == (runs, len(runs))

    def test_backfills_are_those_of_visible_workflows(self, database: Database) -> None:
        """The workflow of a backfill decides, not the current holder of its name."""
        workflow = _of_team("a.one", "ads")
        database.workflows.add_workflow(workflow)
        backfill = a_backfill(workflow)
        database.backfills.add_backfill(backfill, [], dated=0)
        for visible, count in ((_seeing(("ads", None)), 1), (_seeing(("data", None)), 0), (None, 1)):
            page = database.backfills.list_backfills("a.one", PageRequest(), visible=visible)
            assert (len(page.items), page.total) == (count, count)

    def test_the_audit_is_of_visible_names(self, database: Database) -> None:
        """Events without a workflow, and events of a name that an invisible workflow had, are left out."""
        database.workflows.add_workflow(_of_team("a.one", "ads"))
        database.workflows.add_workflow(_of_team("b.one", "data"))
        for name in ("a.one", "b.one", "c.unknown", None):
            database.audit.append(an_act(None, dataset_name=name, run_id=None))
        for visible, names in (
            (_seeing(("ads", None)), ["a.one"]),
            (_seeing((None, None)), ["a.one", "b.one"]),
            (_seeing(), []),
        ):
            page = database.audit.list_events(AuditFilter(visible=visible), PageRequest())
            assert (sorted(event.dataset_name or "" for event in page.items), page.total) == (names, len(names))

    def test_the_audit_of_a_name_that_others_had(self, database: Database) -> None:
        """Events of a name are visible if all workflows of that name are, because an event does not identify the workflow."""
        before = _of_team("a.one", "data")
        database.workflows.add_workflow(before)
        database.workflows.save_workflow(evolve(before, phase=Phase.GONE))
        database.workflows.add_workflow(_of_team("a.one", "ads"))
        database.audit.append(an_act(None, dataset_name="a.one", run_id=None))
        for visible, count in ((_seeing(("ads", None)), 0), (_seeing(("ads", None), ("data", None)), 1)):
            assert database.audit.list_events(AuditFilter(visible=visible), PageRequest()).total == count
