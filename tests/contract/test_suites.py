"""The suites themselves, held to account: whichever rule of a port is broken, its suite goes red.

Each ``broken_*.py`` holds a fake many times over, each time with one rule broken, and is run here as a program of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from attrs import frozen

HERE = Path(__file__).parent


@frozen
class Broken:
    """A file of broken fakes, the fake that is whole, how many are broken at least, and what need not run."""

    file: str
    whole: str
    at_least: int
    without: str = ""


ALL = [
    Broken("broken_workflows.py", "InMemoryWorkflows", 40, "not any_json and not very_many"),
    Broken("broken_storage.py", "InMemoryStorage", 30),
    Broken("broken_tokens.py", "InMemoryTokens", 15),
    Broken("broken_airflow.py", "InMemoryAirflow", 50),
    Broken("broken_api.py", "WorkflowService", 40, "not any_ and not is_no_"),
]


@pytest.mark.parametrize("broken", ALL, ids=lambda broken: broken.whole)
def test_whichever_rule_is_broken_is_noticed(broken, tmp_path):
    """The fake that nothing was done to is green; of each of the others at least one test is red."""
    report = tmp_path / "report.xml"
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "--noconftest", f"--junitxml={report}", "-k", broken.without]
    options += ["-p", "tests.contract.until_red"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / broken.file), *options],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-2000:]
    failures: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        failed = failures.setdefault(case.attrib["classname"].rpartition(".Test")[2], set())
        if case.find("failure") is not None:
            failed.add(case.attrib["name"].partition("[")[0])
    assert failures[broken.whole] == set()
    assert len(failures) > broken.at_least
    assert [kind for kind, failed in failures.items() if not failed] == [broken.whole]
