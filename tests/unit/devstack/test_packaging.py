from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[3] / "src"


@pytest.mark.parametrize("name", ["workflow_core", "adapters/workflow_adapters", "entrypoints/workflow_entrypoints"])
def test_each_package_is_imported_from_the_folder_of_its_kind(name):
    """The folders adapters and entrypoints hold a package each; they are no packages themselves."""
    module = importlib.import_module(Path(name).name)
    assert Path(str(module.__file__)).parent == SRC / name


def test_the_core_imports_nothing_but_its_four_packages():
    """Importing the service and the fakes loads no framework, database or network package."""
    code = (
        "import sys, workflow_core.embedded, workflow_core.api\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    assert not loaded & {
        "airflow", "alembic", "boto3", "botocore", "dependency_injector", "httpx", "litestar",
        "psycopg", "rich", "sqlalchemy", "typer", "uvicorn", "workflow_adapters", "workflow_entrypoints",
    }  # fmt: skip
    assert {"attrs", "pydantic", "ruamel"} <= loaded
