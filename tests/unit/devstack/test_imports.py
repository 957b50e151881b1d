"""No file of the source imports, directly or through others, a file that imports it: not even for a type."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SRC: Final = Path(__file__).resolve().parents[3] / "src"
ROOTS: Final = {
    "workflow_core": SRC,
    "workflow_adapters": SRC / "adapters",
    "workflow_entrypoints": SRC / "entrypoints",
}


def modules() -> dict[str, str]:
    """The text of each module, by its name."""
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for package, folder in ROOTS.items()
        for path in (folder / package).rglob("*.py")
    }


def imported(text: str, known: Mapping[str, str]) -> Iterator[str]:
    """The modules that a text imports anywhere: at its top, in a function, or below ``TYPE_CHECKING``."""
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not followed"
            names = [
                name if (name := f"{node.module}.{alias.name}") in known else str(node.module) for alias in node.names
            ]
        yield from (name for name in names if name in known)


def cycle_in(texts: Mapping[str, str]) -> list[str]:
    """One cycle of the imports, as the chain of its modules; empty if there is none."""
    graph = {name: set(imported(text, texts)) - {name} for name, text in texts.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_import_leads_back_to_its_own_file() -> None:
    """The imports of ``src`` have no cycle."""
    texts = modules()
    assert {"workflow_core.service", "workflow_adapters.sql", "workflow_entrypoints.container"} <= set(texts)
    assert cycle_in(texts) == []


@pytest.mark.parametrize(
    "text",
    [
        "import a",
        "from a import thing",
        "def function():\n    from a import thing",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import Thing",
    ],
)
def test_a_cycle_is_found_wherever_the_import_is(text: str) -> None:
    """At the top of a file, in a function, and for types only."""
    assert set(cycle_in({"a": "import b", "b": "import c", "c": text})) == {"a", "b", "c"}


def test_an_import_of_a_submodule_is_none_of_its_package() -> None:
    """``from package import module`` leads to the module, not to the package that may import it."""
    assert cycle_in({"p": "from p.b import x", "p.a": "", "p.b": "from p import a"}) == []
