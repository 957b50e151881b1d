"""The error tree: the documented one is the real one, and each code belongs to one class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from workflow_core import errors
from workflow_core.errors import WorkflowError, WorkflowHasActiveRuns, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE = re.compile(r"^    (?P<indent>[│ ├└─]*)(?P<name>[A-Z]\w+)(?: +(?P<code>[A-Z][A-Z_]+))?", re.MULTILINE)

Node = tuple[str, str | None, str | None]


def documented() -> Iterator[Node]:
    """Each class of the docstring with the class above it and its code."""
    above: list[str] = []
    for line in _LINE.finditer(errors.__doc__ or ""):
        depth = len(line["indent"]) // 4
        above = [*above[:depth], line["name"]]
        yield line["name"], above[-2] if depth else None, line["code"]


def real(root: type[WorkflowError] = WorkflowError, above: str | None = None) -> Iterator[Node]:
    """Each class of this module with the class above it and its code; the root of a group has no code."""
    is_group = "code" not in vars(root) and above in {None, "WorkflowError"}
    yield root.__name__, above, None if is_group or above is None else root.code
    for child in root.__subclasses__():
        if child.__module__.startswith("workflow_core.errors"):
            yield from real(child, root.__name__)


def test_the_documented_tree_is_the_real_one() -> None:
    """Every class is in the docstring, below the right one and with its code, and no other."""
    assert sorted(documented(), key=str) == sorted(real(), key=str)


def test_every_error_is_imported_from_the_package() -> None:
    """Programs import errors from ``workflow_core.errors``, whichever file defines them."""
    assert {name for name, _, _ in real()} <= set(errors.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)


@pytest.mark.parametrize("name", sorted(name for name, _, _ in real()))
def test_a_code_leads_to_the_class_that_declares_it(name: str) -> None:
    """A client that receives a code finds its class; a class without a code shares that of its base class."""
    kind = getattr(errors, name)
    declares = "code" in vars(kind)
    assert (error_of(kind.code) is kind) is declares


@pytest.mark.parametrize(
    ("run_ids", "text"),
    [
        (["a"], "Workflow 'w' has a run that has not ended: 'a'. Stop it first, or use force."),
        (["a", "b"], "Workflow 'w' has 2 runs that have not ended, such as 'a'. Stop them first, or use force."),
    ],
)
def test_active_runs_are_counted_in_plain_english(run_ids: list[str], text: str) -> None:
    """One run is a run, and two are runs."""
    assert WorkflowHasActiveRuns("w", run_ids).message == text
