"""The wheel beside packages of other projects with similar names, and the types that it ships."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"workflow_adapters", "workflow_core", "workflow_entrypoints"}
PAGES = ["README.md", "docs/library.md"]

LOCATIONS = """\
import json
from importlib.metadata import packages_distributions
from importlib.util import find_spec

import entrypoints
import papermill
import workflow_adapters
import workflow_core
import workflow_entrypoints

owners = packages_distributions()
names = ["adapters", "entrypoints", "papermill", "workflow_adapters", "workflow_core", "workflow_entrypoints"]
print(json.dumps({name: [*sorted(set(owners[name])), find_spec(name).origin] for name in names}))
"""

PROGRAM = """\
from adapters import prices
from entrypoints import start
from workflow_core.api import RegisterRequest
from workflow_core.embedded import in_memory_service

YAML = \"\"\"\\
version: v1
name: daily_clicks
owner: data@example.com
schedule: {cron: "0 6 * * *"}
tasks: [{task_id: extract, operator: bash, bash_command: echo hello}]
\"\"\"
service = in_memory_service()
service.register(RegisterRequest(dataset_name="iceberg.analytics.daily_clicks", yaml_content=YAML))
print(prices.EURO, start(), service.workflows().total)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of a fresh environment that has the wheel with its extras, papermill, entrypoints and adapters."""
    folder = tmp_path_factory.mktemp("beside")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    constraints = [f"--constraint={ROOT / 'constraints' / name}" for name in ("service.txt", "beside.txt")]
    _pip(python, "install", *constraints, f"{wheel}[all,testing]", "papermill", "entrypoints")
    _pip(
        python, "install", *constraints, "--no-deps", "adapters"
    )  # its dependencies are a gigabyte of machine learning
    return python


def test_the_wheel_owns_three_top_level_names(wheel):
    """No other project loses a module to ours."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == OURS


def test_every_package_of_the_wheel_is_typed(wheel):
    """Type checkers read the annotations of what the README imports."""
    with zipfile.ZipFile(wheel) as archive:
        assert {f"{name}/py.typed" for name in OURS} <= set(archive.namelist())


def test_each_project_keeps_its_own_modules(python, tmp_path):
    """papermill, which imports ``entrypoints``, works; ``adapters`` is the other project's; each name has one owner."""
    found = json.loads(_output(python, "-c", LOCATIONS, cwd=tmp_path))
    owners = {name: owner for name, (owner, _) in found.items()}
    assert owners == {
        "adapters": "adapters", "entrypoints": "entrypoints", "papermill": "papermill", **dict.fromkeys(OURS, "dli-workflow"),
    }  # fmt: skip
    assert all(Path(origin).is_relative_to(python.parents[1]) for _, origin in found.values())


def test_the_command_of_the_wheel_runs(python, tmp_path):
    """``dli --version`` answers beside the other packages."""
    assert re.fullmatch(r"dli [\w.]+\n", _output(python.with_name("dli"), "--version", cwd=tmp_path))


def test_a_project_imports_its_own_adapters_and_entrypoints(python, tmp_path):
    """A program with a folder ``adapters`` and a file ``entrypoints.py`` imports those, and embeds the service."""
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "__init__.py").touch()
    (tmp_path / "adapters" / "prices.py").write_text("EURO = 12\n", encoding="utf-8")
    (tmp_path / "entrypoints.py").write_text("def start():\n    return 'started'\n", encoding="utf-8")
    (tmp_path / "main.py").write_text(PROGRAM, encoding="utf-8")
    assert _output(python, "main.py", cwd=tmp_path) == "12 started 1\n"


@pytest.mark.parametrize("page", PAGES)
def test_the_python_examples_are_typed_strictly(python, tmp_path, page):
    """``mypy --strict`` accepts each example of the page against the installed packages."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    files = []
    for number, block in enumerate(blocks):
        name = re.match(r"# (\w+\.py)\n", block)  # examples that import each other have names
        files.append(tmp_path / (name[1] if name else f"example_{number}.py"))
        files[-1].write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, *files],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _pip(python: str | Path, *arguments: str | Path) -> None:
    subprocess.run([python, "-m", "pip", "--quiet", *arguments], check=True, cwd=ROOT)


def _output(*command: str | Path, cwd: Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stdout
