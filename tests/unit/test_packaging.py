from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"


@pytest.mark.parametrize("name", ["workflow_core", "adapters", "entrypoints"])
def test_the_imported_packages_are_ours(name):
    """Two of the names are also on PyPI; what is imported here is this project's."""
    module = importlib.import_module(name)
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
        "adapters", "airflow", "alembic", "boto3", "botocore", "dependency_injector", "entrypoints", "httpx", "litestar",
        "psycopg", "rich", "sqlalchemy", "typer", "uvicorn",
    }  # fmt: skip
    assert {"attrs", "pydantic", "ruamel"} <= loaded
