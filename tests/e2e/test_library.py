"""The README's embedded use over the real adapters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.e2e.system import eventually
from workflow_core.api import RegisterRequest, RunRequest
from workflow_core.domain.run import RunStatus

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
version: v1
name: e2e.library.embedded
owner: data@example.com
schedule: {cron: "0 6 1 1 *"}
tasks: [{task_id: hello, operator: bash, bash_command: echo hello}]
"""


def test_the_readmes_embedded_use_runs_on_the_real_systems(system, monkeypatch, capsys):
    """The second Python block of the README, then the calls of the first, over PostgreSQL, S3 and Airflow."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in system.environment.items():
        monkeypatch.setenv(name, value)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    scope: dict[str, Any] = {}
    exec(compile(text.split("```python\n")[2].split("```")[0], "README.md", "exec"), scope)
    assert capsys.readouterr().out.endswith(" workflows; ok\n")
    with scope["open_service"](scope["load_settings"]()) as service:
        assert service.register(RegisterRequest(dataset_name="e2e.library.embedded", yaml_content=SPEC)).warnings == ()
        run = service.run("e2e.library.embedded", RunRequest(params={"date": "2026-01-02"}))
        done = eventually(lambda: service.status(run.run_id), lambda seen: seen.status.is_final, within=90)
        assert done.status is RunStatus.SUCCESS
        assert service.history().total > 0
