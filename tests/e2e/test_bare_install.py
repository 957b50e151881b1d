"""A bare ``pip install`` of the project: what it pulls in, and that the README's library example runs on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    "annotated-types", "attrs", "pip", "pydantic", "pydantic-core", "ruamel-yaml", "setuptools", "typing-extensions",
    "typing-inspection", "tzdata", "dli-workflow",
}  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The Python of a fresh environment with the project and no extras."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    constraints = ("--constraint", ROOT / "constraints" / "service.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *constraints, ROOT], check=True, cwd=folder)
    return python


def test_a_bare_install_has_four_direct_dependencies(bare):
    """The install contains no part of the server, the CLI or Airflow."""
    listed = subprocess.run([bare, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True)
    names = {item["name"].lower().replace("_", "-").replace(".", "-") for item in json.loads(listed.stdout)}
    assert names <= ALLOWED
    assert "dli-workflow" in names


def test_the_readmes_library_example_runs_on_it(bare, tmp_path):
    """The first Python block of the README runs unchanged."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    done = subprocess.run([bare, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    run_id, status = done.stdout.split()
    assert run_id.startswith("iceberg.analytics.daily_clicks_")
    assert status in {"PENDING", "RUNNING", "SUCCESS"}
