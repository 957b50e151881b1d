"""The suite of ``AirflowPort`` itself, held to account: whichever rule of the port is broken, it goes red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The tests that failed, by the class of the fake that they ran against."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(HERE / "broken_airflow.py"),
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--noconftest", f"--junitxml={report}"],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-2000:]
    found: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        failed = found.setdefault(case.attrib["classname"].rpartition(".Test")[2], set())
        if case.find("failure") is not None:
            failed.add(case.attrib["name"].partition("[")[0])
    return found


def test_the_whole_fake_passes(red: dict[str, set[str]]) -> None:
    """The fake that nothing was done to is green in the same run."""
    assert red["InMemoryAirflow"] == set()


def test_every_broken_rule_is_noticed(red: dict[str, set[str]]) -> None:
    """Each broken rule turns at least one test red."""
    assert len(red) > 50
    assert [kind for kind, failed in red.items() if not failed] == ["InMemoryAirflow"]
