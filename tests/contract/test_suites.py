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
    Broken("broken_api.py", "LocalWorkflowApi", 40, "not any_ and not is_no_"),
]


@pytest.fixture(scope="module", params=ALL, ids=lambda broken: broken.whole)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """What was run, and the tests that failed by the class of the fake that they ran against."""
    broken: Broken = request.param
    report = tmp_path_factory.mktemp("broken") / "report.xml"
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
    return broken, failures


def test_the_whole_fake_passes(outcome):
    """The fake that nothing was done to is green in the same run."""
    broken, failures = outcome
    assert failures[broken.whole] == set()


def test_every_broken_rule_is_noticed(outcome):
    """Each broken rule turns at least one test red."""
    broken, failures = outcome
    assert len(failures) > broken.at_least
    assert [kind for kind, failed in failures.items() if not failed] == [broken.whole]
