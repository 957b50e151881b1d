from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from workflow_core.domain.spec import parse_spec

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "daily_clicks"
LOG = EXAMPLE / "data" / "clicks.log"
STEPS = ("extract", "validate", "aggregate", "load", "report")


def step(name: str, date: str, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE / "pipeline.py"), name, "--date", date, "--out", str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def whole_day(date: str, out: Path, *more: str) -> None:
    for name in STEPS:
        done = step(name, date, out, *(more if name == "aggregate" else ()))
        assert done.returncode == 0, done.stderr


def table(out: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(out / "warehouse.db") as warehouse:
        return warehouse.execute("SELECT * FROM daily_clicks ORDER BY 1, 2, 3").fetchall()


def clicks_by_regex(date: str) -> Counter[str]:
    """The clicks per page, found in another way than the pipeline's."""
    pattern = rf"^{date}T\S+\t(\S+)\t\S+\t(\S+)\t(?:US|EU|APAC)\t\d+$"
    pages = dict(re.findall(pattern, LOG.read_text(encoding="utf-8"), re.MULTILINE))
    return Counter(pages.values())


@pytest.mark.parametrize("date", ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"])
def test_the_numbers_of_each_day_are_right(date, tmp_path):
    """Clicks per page equal those counted in another way, and nothing read is lost."""
    whole_day(date, tmp_path)
    facts = json.loads((tmp_path / "reports" / f"{date}.json").read_text())
    assert facts["pages"] == clicks_by_regex(date)
    assert facts["accepted"] + sum(facts["rejected"].values()) == facts["read"] == 9000
    row = next(line for line in (EXAMPLE / "README.md").read_text().splitlines() if line.startswith(f"| {date}"))
    told = [int(cell) for cell in row.split("|")[2:10]]
    assert told == [facts["read"], facts["accepted"], *facts["rejected"].values()]


def test_running_a_day_again_changes_nothing(tmp_path):
    """The table is equal after the first and the second run, including other days."""
    whole_day("2026-01-01", tmp_path)
    whole_day("2026-01-02", tmp_path)
    once = table(tmp_path)
    whole_day("2026-01-02", tmp_path)
    assert table(tmp_path) == once
    assert {row[0] for row in once} == {"2026-01-01", "2026-01-02"}


def test_one_region_only(tmp_path):
    """A region filters the day's rows and nothing else."""
    whole_day("2026-01-02", tmp_path, "--region", "EU")
    assert {row[2] for row in table(tmp_path)} == {"EU"}


def test_a_day_without_lines_fails(tmp_path):
    """A date that the log does not have is an error, not an empty success."""
    done = step("extract", "2025-01-01", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no line for 2025-01-01" in done.stderr


@pytest.mark.parametrize(("name", "needs"), [("validate", "extract"), ("aggregate", "validate"), ("load", "aggregate")])
def test_a_step_without_the_one_before_it_fails_naming_it(name, needs, tmp_path):
    """The message says what to run first."""
    done = step(name, "2026-01-02", tmp_path)
    assert done.returncode == 1
    assert f"run {needs} first" in done.stderr


def test_too_many_bad_lines_fail(tmp_path):
    """A day that is mostly broken is not loaded."""
    log = tmp_path / "bad.log"
    log.write_text("2026-01-02T00:00:00Z\te1\tu1\t/home\tUS\t5\n2026-01-02T00:00:01Z\tcut\n")
    assert step("extract", "2026-01-02", tmp_path, "--data", str(log)).returncode == 0
    done = step("validate", "2026-01-02", tmp_path)
    assert done.returncode == 1
    assert "50%" in done.stderr


def test_the_log_is_what_the_script_writes(tmp_path):
    """The committed log can be made anew, byte for byte."""
    script = tmp_path / "make_data.py"
    script.write_text((EXAMPLE / "make_data.py").read_text())
    subprocess.run([sys.executable, str(script)], check=True)
    assert (tmp_path / "data" / "clicks.log").read_bytes() == LOG.read_bytes()


def test_the_example_is_a_good_spec():
    """The workflow's YAML passes the checks that registration makes."""
    spec = parse_spec((EXAMPLE / "workflow.yaml").read_text(), dataset_name="iceberg.analytics.daily_clicks")
    assert [task.task_id for task in spec.tasks] == [
        "extract_clicks", "validate_clicks", "aggregate_clicks", "load_clicks", "publish_report",
    ]  # fmt: skip
