"""CODE objects that were seen, and workflows that were tried: what syncs and sweeps start from."""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from workflow_core.domain.code import CodeObject
from workflow_core.domain.workflow import Phase
from workflow_core.errors import ConcurrentUpdate, Problem, WorkflowAlreadyExists
from workflow_core.testing.entities import AT, NAME, a_workflow
from workflow_core.testing.together import together
from workflow_core.testing.workflow.subject import WorkflowSubject

if TYPE_CHECKING:
    from workflow_core.ports.workflow import WorkflowPort
    from workflow_core.testing.workflow.subject import BehindWorkflows

PROBLEMS: Final = (
    Problem(message="no such operator: 数据", field="tasks[0].operator", line=3, column=5),
    Problem(message="is required"),
)


def an_object(dataset_name: str = NAME, **changes: Any) -> CodeObject:
    """An object that was seen and found good; ``changes`` win."""
    facts: dict[str, Any] = {"dataset_name": dataset_name, "etag": '"1"', "seen_at": AT, "checked_by": "rules"}
    return CodeObject(**{**facts, **changes})


class PublishedRules(WorkflowSubject):
    """What holds for what is remembered of ``code/``."""

    def test_what_was_seen_comes_back(self, port: WorkflowPort, behind: BehindWorkflows) -> None:
        """Each by its name, with its problems and times, as version 1."""
        bad = an_object("a.bad", problems=PROBLEMS, seen_at=AT.astimezone(timezone(timedelta(hours=9))))
        port.save_code_objects([an_object(), bad], [])
        found = port.code_objects()
        assert found == {NAME: an_object(version=1), "a.bad": evolve(bad, version=1)}
        assert found["a.bad"].seen_at.isoformat() == "2026-01-01T10:00:00.123456+00:00"
        facts = {"etag": '"1"', "version": 1}
        assert behind.code_facts() == {NAME: {**facts, "problems": None}, "a.bad": {**facts, "problems": _as_json()}}

    def test_nothing_was_seen_at_first(self, port: WorkflowPort) -> None:
        """And saving nothing changes nothing."""
        port.save_code_objects([], [])
        assert port.code_objects() == {}

    def test_what_was_read_can_be_replaced(self, port: WorkflowPort) -> None:
        """All but the name is what the save says; the version is the next."""
        port.save_code_objects([an_object(problems=PROBLEMS), an_object("a.b")], [])
        changed = evolve(port.code_objects()[NAME], etag='"2"', problems=(), seen_at=AT + timedelta(1), checked_by="x")
        port.save_code_objects([changed], [])
        assert port.code_objects() == {NAME: evolve(changed, version=2), "a.b": an_object("a.b", version=1)}

    def test_what_was_read_can_be_forgotten(self, port: WorkflowPort) -> None:
        """Only that one."""
        port.save_code_objects([an_object(), an_object("a.b")], [])
        port.save_code_objects([], [port.code_objects()[NAME]])
        assert list(port.code_objects()) == ["a.b"]

    @pytest.mark.parametrize("version", [0, 1, 3])
    def test_what_others_have_saved_since_stays(self, port: WorkflowPort, version: int) -> None:
        """Neither a save nor a removal that started from another version does anything; others of the same call are saved."""
        port.save_code_objects([an_object()], [])
        port.save_code_objects([an_object(version=1, etag='"2"')], [])
        port.save_code_objects([an_object(version=version, etag='"3"'), an_object("a.b")], [an_object(version=version)])
        assert {name: found.etag for name, found in port.code_objects().items()} == {NAME: '"2"', "a.b": '"1"'}

    def test_what_others_have_forgotten_stays_forgotten(self, port: WorkflowPort) -> None:
        """A save of what was read before that brings nothing back."""
        port.save_code_objects([an_object()], [])
        read = port.code_objects()[NAME]
        port.save_code_objects([], [read])
        port.save_code_objects([evolve(read, etag='"2"')], [read])
        assert port.code_objects() == {}

    def test_one_of_many_savers_counts(self, port: WorkflowPort) -> None:
        """Of eight that save at the same time what they read at the same time, one is kept, and only one version is counted."""
        port.save_code_objects([an_object()], [])
        together([partial(port.save_code_objects, [an_object(version=1, etag=f'"{n}"')], []) for n in range(8)])
        assert port.code_objects()[NAME].version == 2

    def test_a_workflow_is_added_with_its_object(self, port: WorkflowPort) -> None:
        """Both are there, the object as version 1, over whatever was kept of it."""
        port.add_workflow(a_workflow(), seen=an_object())
        assert port.code_objects() == {NAME: an_object(version=1)}
        port.save_code_objects([an_object("a.b", problems=PROBLEMS)], [])
        port.add_workflow(a_workflow("a.b"), seen=an_object("a.b", etag='"2"'))
        assert port.code_objects()["a.b"] == an_object("a.b", etag='"2"', version=2)

    def test_a_workflow_is_saved_with_its_object(self, port: WorkflowPort) -> None:
        """Whatever version the object was read with: the workflow's own version decides."""
        port.add_workflow(a_workflow(), seen=an_object())
        workflow = port.workflow(NAME)
        assert workflow is not None
        port.save_workflow(workflow, seen=an_object(etag='"2"', version=7))
        assert port.code_objects()[NAME] == an_object(etag='"2"', version=2)

    def test_without_its_workflow_no_object_is_kept(self, port: WorkflowPort) -> None:
        """What is refused leaves nothing."""
        port.add_workflow(a_workflow(), seen=an_object())
        with pytest.raises(WorkflowAlreadyExists):
            port.add_workflow(a_workflow(), seen=an_object(etag='"2"'))
        with pytest.raises(ConcurrentUpdate):
            port.save_workflow(a_workflow(version=3), seen=an_object(etag='"2"'))
        assert port.code_objects() == {NAME: an_object(version=1)}

    def test_a_workflow_without_an_object_changes_none(self, port: WorkflowPort) -> None:
        """A pause is no sight of the object."""
        workflow = a_workflow()
        port.add_workflow(workflow, seen=an_object())
        port.save_workflow(workflow)
        assert port.code_objects() == {NAME: an_object(version=1)}

    def test_those_never_tried_are_settled_first(self, port: WorkflowPort) -> None:
        """Then those tried longest ago, then those longest unchanged, then by name; the limit cuts off the latest."""
        tried = {"a.a": 2, "a.b": None, "a.c": 1, "a.d": 2, "a.e": None, "a.f": 3, "a.g": 2}
        unchanged = {"a.e": -2, "a.d": -1}
        for name, minutes in tried.items():
            changed = AT + timedelta(minutes=unchanged.get(name, 0))
            workflow = a_workflow(name, phase=Phase.REGISTERING, updated_at=changed)
            port.add_workflow(workflow)
            if minutes is not None:
                port.mark_tried([workflow], AT + timedelta(minutes=minutes))
        names = [workflow.dataset_name for workflow in port.unsettled_workflows(6)]
        assert names == ["a.e", "a.b", "a.c", "a.d", "a.a", "a.g"]

    def test_the_last_try_counts(self, port: WorkflowPort) -> None:
        """Tried again, a workflow comes behind those tried before; its version stays."""
        workflows = [a_workflow(name, phase=Phase.REGISTERING) for name in ("a.a", "a.b")]
        for workflow in workflows:
            port.add_workflow(workflow)
        port.mark_tried(workflows, AT)
        port.mark_tried(workflows[:1], AT + timedelta(microseconds=1))
        port.mark_tried([], AT + timedelta(1))
        port.mark_tried([a_workflow("a.c")], AT)
        assert list(port.unsettled_workflows(10)) == workflows[::-1]


def _as_json() -> list[dict[str, Any]]:
    return [
        {"message": "no such operator: 数据", "field": "tasks[0].operator", "line": 3, "column": 5},
        {"message": "is required", "field": None, "line": None, "column": None},
    ]
