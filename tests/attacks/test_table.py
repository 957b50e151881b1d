"""Tests that docs/attacks.md agrees with the tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| Attack ")
]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def names_in(path: Path) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_attack_has_an_input_an_answer_and_a_test():
    """No cell is empty, and the last one names tests."""
    assert len(ROWS) > 40
    assert [row for row in ROWS if len(row) != 4 or not all(row)] == []
    assert [row for row in ROWS if not re.fullmatch(r"(`tests/[\w/]+\.py::\w+` ?)+", row[3])] == []


def test_every_named_test_exists():
    """No test was renamed or removed without a change of the page."""
    assert [(path, name) for path, name in NAMED if name not in names_in(ROOT / path)] == []


def test_every_test_of_an_attack_is_in_the_table():
    """A new test needs a row that describes its attack."""
    files = [*(ROOT / "tests" / "attacks").glob("test_*.py"), ROOT / "tests" / "airflow" / "test_attacks.py"]
    found = {(str(path.relative_to(ROOT)), name) for path in files if path != Path(__file__) for name in names_in(path)}
    assert found - set(NAMED) == set()


def test_every_trust_boundary_has_its_attacks():
    """For each party that is not fully trusted, SECURITY.md names rows of the table."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = page.partition("## Who is trusted with what")[2].partition("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    rows = {row[0] for row in ROWS}
    named = {line[0].strip(): re.findall(r'"([^"]+)"', line[3]) for line in lines if line[1].strip() != "everything"}
    assert len(named) > 7
    assert [who for who, attacks in named.items() if not attacks] == []
    assert {attack for attacks in named.values() for attack in attacks} - rows == set()
