"""Tests of the contract suites: if a rule of a port is broken, its suite fails.

Each ``broken_*.py`` has many variants of a fake, each with one rule broken. It runs here in a separate process, in parts that the workers
of the test session share.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

HERE = Path(__file__).parent


@frozen
class Broken:
    """A file of broken fakes.

    Args:
        file: The file.
        whole: The name of the unbroken fake.
        at_least: The least number of broken fakes.
        parts: The number of parts in which they run.
        select: The pytest expression that selects the tests of the suite.
    """

    file: str
    whole: str
    at_least: int
    parts: int = 1
    select: str = ""


ALL = [
    Broken("broken_database.py", "InMemoryDatabase", 160, 6, "not any_json and not very_many"),
    Broken("broken_storage.py", "InMemoryStorage", 30),
    Broken("broken_tokens.py", "InMemoryTokens", 15),
    Broken("broken_airflow.py", "InMemoryAirflow", 50, 4),
    Broken("broken_api.py", "WorkflowService", 40, 4, "not any_ and not malformed_"),
]
PARTS = [
    pytest.param(broken, part, id=f"{broken.whole}-{part}/{broken.parts}")
    for broken in ALL
    for part in range(1, broken.parts + 1)
]


@pytest.mark.parametrize(("broken", "part"), PARTS)
def test_a_suite_detects_each_broken_rule(broken, part, tmp_path):
    """The unbroken fake, which is the first, passes all tests; each broken fake fails at least one."""
    result = tmp_path / "red.json"
    options = ["-q", "--tb=no", "--capture=no", "--assert=plain", "--noconftest", "-k", broken.select]
    options += [option for name in ("cacheprovider", "logging") for option in ("-p", f"no:{name}")]
    options += ["-p", "tests.contract.until_red", f"--part={part}/{broken.parts}", f"--red={result}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / broken.file), *options],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.OK, done.stdout[-2000:] + done.stderr[-2000:]
    red = json.loads(result.read_text())
    assert len(red) > broken.at_least // broken.parts
    assert [kind for kind, test in red.items() if test is None] == ([broken.whole] if part == 1 else [])
