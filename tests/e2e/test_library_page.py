"""The page for programs that embed the library: every example runs as written."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import PYTHONPATH, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
PYTHON = {
    block.partition("\n")[0].removeprefix("# "): block
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
}  # fmt: skip
ENTRY_POINTS = re.findall(r'```toml\n\[project\.entry-points\."(.*?)"\]\n(.*?)```', PAGE, re.DOTALL)
YAML = """\
version: v1
name: daily_clicks
owner: data@example.com
schedule: {cron: "0 6 * * *"}
tasks: [{task_id: extract, operator: bash, bash_command: echo hello}]
"""
NAME = "iceberg.analytics.daily_clicks"


@pytest.fixture
def environment(tmp_path):
    """Everything in memory but the database; the modules of the page are importable, and the adapter counts as installed."""
    for name, block in PYTHON.items():
        (tmp_path / name).write_text(block, encoding="utf-8")
    information = tmp_path / "archive-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: archive\nVersion: 1.0\n", encoding="utf-8")
    ((group, lines),) = ENTRY_POINTS
    unquoted = lines.replace('"', "")
    (information / "entry_points.txt").write_text(f"[{group}]\n{unquoted}", encoding="utf-8")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([PYTHONPATH, str(tmp_path)]),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_DATABASE_URL": "memory://",
        "WORKFLOWS_STORAGE_URL": "memory://",
    }


def test_the_page_has_the_examples_that_are_run_here():
    """A new example needs a test."""
    assert [*PYTHON] == ["embedded_fakes.py", "embedded_real.py", "remote_client.py", "archive.py", "test_archive.py"]


def test_the_fakes_and_the_clock(environment, tmp_path):
    """The run is active, and has succeeded once the clock has moved."""
    first, second = _python(environment, tmp_path, "embedded_fakes.py").split()
    assert first in {"PENDING", "RUNNING"}
    assert second == "SUCCESS"


def test_the_adapters_of_the_settings(environment, tmp_path):
    """An empty service has no workflows."""
    assert _python(environment, tmp_path, "embedded_real.py") == "0 workflows\n"


def test_the_adapter_passes_the_contract(environment, tmp_path):
    """The suite of the port is green for the adapter of the page."""
    out = _python(environment, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_archive.py")
    assert re.search(r"^\d{2} passed in", out, re.MULTILINE)


def test_dli_serve_uses_the_installed_adapter(environment, tmp_path):
    """A workflow registered over HTTP is an object of the adapter's store; the remote client of the page runs it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    file = tmp_path / "specs.archive"
    (tmp_path / "clicks.yaml").write_text(YAML, encoding="utf-8")
    settings = {**environment, "WORKFLOWS_STORAGE_URL": f"archive://{file}", "WORKFLOWS_PORT": port}
    dli = ("-m", "workflow_entrypoints.cli.main")
    server = subprocess.Popen([sys.executable, *dli, "serve"], env=settings, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        _wait(port, server)
        client = {**environment, "DLI_SERVER_URL": f"http://127.0.0.1:{port}"}
        _python(client, tmp_path, *dli, "workflow", "register", NAME, "-f", "clicks.yaml")
        with closing(sqlite3.connect(file)) as archive:
            assert archive.execute("SELECT path FROM objects").fetchall() == [(f"manual/{NAME}.yaml",)]
        code = PYTHON["remote_client.py"].replace("http://127.0.0.1:8000", client["DLI_SERVER_URL"])
        assert _python(client, tmp_path, "-c", code).startswith(NAME)
    finally:
        server.terminate()
        server.wait(60)


def _python(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _wait(port: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")
