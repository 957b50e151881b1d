"""The rules for CODE objects."""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from workflow_core.domain.code import CodeObject
from workflow_core.errors import ConcurrentUpdate, Problem, WorkflowAlreadyExists
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, NAME, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

PROBLEMS: Final = (
    Problem(message="no such operator: 数据", field="tasks[0].operator", line=3, column=5),
    Problem(message="is required"),
)


def an_object(dataset_name: str = NAME, **changes: Any) -> CodeObject:
    """A valid CODE object; ``changes`` override its fields."""
    facts: dict[str, Any] = {"dataset_name": dataset_name, "etag": '"1"', "seen_at": AT, "checked_by": "rules"}
    return CodeObject(**{**facts, **changes})


class CodeObjectRules(DatabaseSubject):
    """The rules for the records of CODE objects."""

    def test_what_was_seen_comes_back(self, database: Database, behind: DatabaseFacts) -> None:
        """Records are returned by name, with their problems and times, as version 1."""
        bad = an_object("a.bad", problems=PROBLEMS, seen_at=AT.astimezone(timezone(timedelta(hours=9))))
        database.code_objects.save_code_objects([an_object(), bad], [])
        found = database.code_objects.code_objects()
        assert found == {NAME: an_object(version=1), "a.bad": evolve(bad, version=1)}
        assert found["a.bad"].seen_at.isoformat() == "2026-01-01T10:00:00.123456+00:00"
        facts = {"etag": '"1"', "version": 1}
        assert behind.code_facts() == {NAME: {**facts, "problems": None}, "a.bad": {**facts, "problems": _as_json()}}

    def test_nothing_was_seen_at_first(self, database: Database) -> None:
        """Initially there are no records, and an empty save adds none."""
        database.code_objects.save_code_objects([], [])
        assert database.code_objects.code_objects() == {}

    def test_what_was_read_can_be_replaced(self, database: Database) -> None:
        """A save replaces every field but the name, and increments the version."""
        database.code_objects.save_code_objects([an_object(problems=PROBLEMS), an_object("a.b")], [])
        changed = evolve(
            database.code_objects.code_objects()[NAME],
            etag='"2"',
            problems=(),
            seen_at=AT + timedelta(1),
            checked_by="x",
        )
        database.code_objects.save_code_objects([changed], [])
        assert database.code_objects.code_objects() == {
            NAME: evolve(changed, version=2),
            "a.b": an_object("a.b", version=1),
        }

    def test_what_was_read_can_be_forgotten(self, database: Database) -> None:
        """A removal deletes only the given record."""
        database.code_objects.save_code_objects([an_object(), an_object("a.b")], [])
        database.code_objects.save_code_objects([], [database.code_objects.code_objects()[NAME]])
        assert list(database.code_objects.code_objects()) == ["a.b"]

    @pytest.mark.parametrize("version", [0, 1, 3])
    def test_what_others_have_saved_since_stays(self, database: Database, version: int) -> None:
        """A save or removal with another version is ignored; the other records of the same call are saved."""
        database.code_objects.save_code_objects([an_object()], [])
        database.code_objects.save_code_objects([an_object(version=1, etag='"2"')], [])
        database.code_objects.save_code_objects(
            [an_object(version=version, etag='"3"'), an_object("a.b")], [an_object(version=version)]
        )
        assert {name: found.etag for name, found in database.code_objects.code_objects().items()} == {
            NAME: '"2"',
            "a.b": '"1"',
        }

    def test_what_others_have_forgotten_stays_forgotten(self, database: Database) -> None:
        """A save of a record read before its removal does not restore it."""
        database.code_objects.save_code_objects([an_object()], [])
        read = database.code_objects.code_objects()[NAME]
        database.code_objects.save_code_objects([], [read])
        database.code_objects.save_code_objects([evolve(read, etag='"2"')], [read])
        assert database.code_objects.code_objects() == {}

    def test_one_of_many_savers_counts(self, database: Database) -> None:
        """Of eight concurrent saves of one version, one is stored, and the version is incremented once."""
        database.code_objects.save_code_objects([an_object()], [])
        together(
            [
                partial(database.code_objects.save_code_objects, [an_object(version=1, etag=f'"{n}"')], [])
                for n in range(8)
            ]
        )
        assert database.code_objects.code_objects()[NAME].version == 2

    def test_a_workflow_is_added_with_its_object(self, database: Database) -> None:
        """The workflow and its object are stored together; the object replaces an earlier record."""
        database.workflows.add_workflow(a_workflow(), seen=an_object())
        assert database.code_objects.code_objects() == {NAME: an_object(version=1)}
        database.code_objects.save_code_objects([an_object("a.b", problems=PROBLEMS)], [])
        database.workflows.add_workflow(a_workflow("a.b"), seen=an_object("a.b", etag='"2"'))
        assert database.code_objects.code_objects()["a.b"] == an_object("a.b", etag='"2"', version=2)

    def test_a_workflow_is_saved_with_its_object(self, database: Database) -> None:
        """The version of the workflow decides, not the version of the object."""
        database.workflows.add_workflow(a_workflow(), seen=an_object())
        workflow = database.workflows.workflow(NAME)
        assert workflow is not None
        database.workflows.save_workflow(workflow, seen=an_object(etag='"2"', version=7))
        assert database.code_objects.code_objects()[NAME] == an_object(etag='"2"', version=2)

    def test_without_its_workflow_no_object_is_kept(self, database: Database) -> None:
        """A refused workflow stores no object."""
        database.workflows.add_workflow(a_workflow(), seen=an_object())
        with pytest.raises(WorkflowAlreadyExists):
            database.workflows.add_workflow(a_workflow(), seen=an_object(etag='"2"'))
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(a_workflow(version=3), seen=an_object(etag='"2"'))
        assert database.code_objects.code_objects() == {NAME: an_object(version=1)}

    def test_a_workflow_without_an_object_changes_none(self, database: Database) -> None:
        """A save of a workflow without an object leaves the record of the object unchanged."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow, seen=an_object())
        database.workflows.save_workflow(workflow)
        assert database.code_objects.code_objects() == {NAME: an_object(version=1)}


def _as_json() -> list[dict[str, Any]]:
    return [
        {"message": "no such operator: 数据", "field": "tasks[0].operator", "line": 3, "column": 5},
        {"message": "is required", "field": None, "line": None, "column": None},
    ]
