"""Functions that a spec names, imported by Airflow's workers."""

from __future__ import annotations

import pytest

SPEC = """\
version: v1
name: {name}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: call
    operator: {operator}
    python_callable: {function}
    op_args: ["{path}"]
    op_kwargs: {{text: "{{{{ run_date() }}}}"}}
"""
MODULE = """\
from pathlib import Path


def note(path, *, text, run_id):
    Path(path).write_text(f"{text} {run_id}")
    return True
"""
PYTHON = "airflow.providers.standard.operators.python."


@pytest.fixture
def module(system):
    """A module in the DAGs folder, whose function takes a value of the run by its name."""
    path = system.dags_folder / "e2e_functions.py"
    path.write_text(MODULE)
    yield "e2e_functions"
    path.unlink()


@pytest.mark.parametrize("operator", ["python", f"{PYTHON}ShortCircuitOperator"])
def test_a_function_gets_its_arguments_and_those_of_the_run(system, module, tmp_path, operator):
    """The worker imports it before the task, and the operator chooses its arguments by its own signature."""
    name, path = f"e2e.functions.{operator.rpartition('.')[2].lower()}", tmp_path / "out.txt"
    assert (
        system.register(
            name, SPEC.format(name=name, operator=operator, function=f"{module}.note", path=path)
        ).status_code
        == 201
    )
    run = system.api.post(f"/api/v1/workflows/{name}/run", json={"params": {"date": "2026-01-02"}}).json()
    assert system.finished(run["run_id"])["status"] == "SUCCESS"
    assert path.read_text() == f"2026-01-02 {run['run_id']}"


def test_a_function_that_is_not_there_fails_its_run(system):
    """The workflow is active: no parse imports anything; the task says what is missing."""
    name = "e2e.functions.missing"
    answer = system.register(name, SPEC.format(name=name, operator="python", function="no_such_module.f", path="x"))
    assert (answer.status_code, answer.json()["status"]) == (201, "active")
    run = system.api.post(f"/api/v1/workflows/{name}/run", json={}).json()
    assert system.finished(run["run_id"])["status"] == "FAILED"
