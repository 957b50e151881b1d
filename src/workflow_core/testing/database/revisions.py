"""The rules for revisions."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import Phase, Revision, Workflow
from workflow_core.errors import ConcurrentUpdate, InvalidRequest
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.ports.database import Database


class RevisionRules(DatabaseSubject):
    """The rules for the revisions of a workflow."""

    @pytest.fixture
    def revised(self, database: Database) -> Workflow:
        """A workflow with five revisions, stored in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        for number in range(2, 6):
            workflow = database.workflows.revise_workflow(_next(workflow), _revision(number))
        return workflow

    def test_the_first_revision_is_what_was_registered(self, database: Database) -> None:
        """The first revision is stored with the workflow: its text, its author and its moment."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        first = Revision(number=1, yaml=workflow.yaml, by=workflow.registered_by, at=workflow.registered_at)
        assert database.workflows.revisions(workflow, PageRequest()).items == (first,)
        assert database.workflows.revision(workflow, 1) == first

    def test_a_revision_is_kept_with_the_workflow(self, database: Database) -> None:
        """The workflow and the revision are stored together, unchanged."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        wanted, revision = _next(workflow), _revision(2, restored_from=1)
        saved = database.workflows.revise_workflow(wanted, revision)
        assert saved == evolve(wanted, version=2)
        assert database.workflows.workflow(workflow.dataset_name) == saved
        assert database.workflows.revision(saved, 2) == revision

    def test_revisions_are_listed_latest_first(self, database: Database, revised: Workflow) -> None:
        """Revisions are listed by number, in pages by key and by offset, with the total."""
        everything = database.workflows.revisions(revised, PageRequest())
        assert ([one.number for one in everything.items], everything.total) == ([5, 4, 3, 2, 1], 5)
        assert everything.next_after is None
        page = database.workflows.revisions(revised, PageRequest(limit=2))
        assert ([one.number for one in page.items], page.next_after, page.total) == ([5, 4], ("4",), 5)
        page = database.workflows.revisions(revised, PageRequest(limit=2, after=page.next_after, offset=1))
        assert ([one.number for one in page.items], page.next_after) == ([2, 1], None)

    def test_the_tenth_comes_after_the_ninth(self, database: Database, revised: Workflow) -> None:
        """Revision 10 comes after revision 9: numbers are not compared as text."""
        for number in range(6, 12):
            revised = database.workflows.revise_workflow(_next(revised), _revision(number))
        numbers: list[int] = []
        after: tuple[str, ...] | None = None
        while numbers == [] or after is not None:
            page = database.workflows.revisions(revised, PageRequest(limit=1, after=after))
            numbers, after = [*numbers, page.items[0].number], page.next_after
        assert numbers == list(range(11, 0, -1))

    def test_what_is_no_key_is_refused(self, database: Database, revised: Workflow) -> None:
        """A cursor that no page returned is refused."""
        for key in ("x", "-1", "1.5", "9" * 10):
            with pytest.raises(InvalidRequest, match="cursor"):
                database.workflows.revisions(revised, PageRequest(after=(key,)))

    def test_an_unknown_revision_is_none(self, database: Database, revised: Workflow) -> None:
        """An unknown number, or a number of another workflow, returns None."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        found = [
            database.workflows.revision(revised, 0),
            database.workflows.revision(revised, 6),
            database.workflows.revision(other, 2),
        ]
        assert found == [None] * 3

    def test_a_revision_of_an_old_version_is_refused(self, database: Database, revised: Workflow) -> None:
        """A revision based on an old version is refused and not stored."""
        with pytest.raises(ConcurrentUpdate):
            database.workflows.revise_workflow(evolve(_next(revised), version=1), _revision(6))
        assert database.workflows.revisions(revised, PageRequest()).total == 5

    def test_one_of_many_revisers_succeeds(self, database: Database, revised: Workflow) -> None:
        """Of eight callers that revise one version at the same time, exactly one succeeds, and its text is stored."""
        wanted = _next(revised)
        revisions = [_revision(6, by=f"writer{n}") for n in range(8)]
        answers = together([partial(database.workflows.revise_workflow, wanted, one) for one in revisions])
        [winner] = [one for one, answer in zip(revisions, answers, strict=True) if isinstance(answer, Workflow)]
        assert [type(answer) for answer in answers].count(ConcurrentUpdate) == 7
        assert database.workflows.revision(revised, 6) == winner

    def test_a_successor_has_its_own(self, database: Database, revised: Workflow) -> None:
        """A successor has its own revisions; those of a workflow that has left stay with it."""
        left = database.workflows.save_workflow(evolve(revised, phase=Phase.GONE))
        successor = a_workflow()
        database.workflows.add_workflow(successor)
        assert database.workflows.revisions(successor, PageRequest()).total == 1
        assert database.workflows.revisions(left, PageRequest()).total == 5


def _next(workflow: Workflow) -> Workflow:
    number = workflow.revision + 1
    return evolve(workflow, revision=number, served_revision=number - 1, yaml=f"text {number}")


def _revision(number: int, *, by: str = "rita", restored_from: int | None = None) -> Revision:
    at = AT + timedelta(microseconds=number)
    return Revision(number=number, yaml=f"text {number} 数据", by=by, at=at, restored_from=restored_from)
