"""The specification's tables against the real stack: every Airflow state of section 6.2, every code of section 8."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.system import eventually

if TYPE_CHECKING:
    from tests.e2e.system import System

HEAD = """\
version: v1
name: {name}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
"""
RETRIES = (
    HEAD
    + """\
tasks:
  - task_id: fails
    operator: bash
    bash_command: test -e "{release}" && exit 1; exit 1
    retries: 1
    retry_delay: 5
  - task_id: behind
    operator: empty
    dependencies: [fails]
"""
)
WAITS = (
    HEAD
    + """\
tasks:
  - task_id: waits
    operator: bash
    bash_command: until test -e "{release}"; do sleep 0.2; done
  - task_id: after
    operator: empty
    dependencies: [waits]
"""
)


def started(system: System, name: str, text: str) -> str:
    answer = system.register(name, text)
    assert answer.status_code == 201, answer.text
    return str(system.api.post(f"/api/v1/workflows/{name}/run", json={}).json()["run_id"])


def followed_until(system: System) -> float:
    """Until when every change in Airflow is known to the service, in seconds since 1970."""
    now = time.time()
    found = re.search(r"^workflow_core_mirror_age_seconds (\S+)$", system.api.get("/metrics").text, re.MULTILINE)
    return now - float(found.group(1)) if found else 0.0


def look(system: System, name: str, run_id: str) -> Any:
    """What Airflow and what we say of the run, once the worker has followed Airflow so far, and before Airflow changed again."""
    path = f"/dags/{name.replace('.', '_')}/dagRuns/{run_id}"

    def theirs() -> Any:
        run = system.airflow.get(path).json()["state"]
        tasks = system.airflow.get(f"{path}/taskInstances").json()["task_instances"]
        return run, {task["task_id"]: task["state"] for task in tasks}

    while True:
        before, at = theirs(), time.time()
        eventually(lambda: followed_until(system), lambda until, at=at: until > at, within=30)
        ours = system.api.get(f"/api/v1/workflows/runs/{run_id}").json()
        if theirs() == before:
            return *before, ours


def test_queued_running_and_success(system, tmp_path):
    """`queued` is PENDING, `running` is RUNNING, `success` is SUCCESS, and the progress is that of the tasks."""
    name, release = "e2e.states.waits", tmp_path / "release"
    run_id = started(system, name, WAITS.format(name=name, release=release))
    ours = {"queued": "PENDING", "running": "RUNNING"}
    seen = set()
    while "waits" not in seen:
        state, tasks, told = look(system, name, run_id)
        assert told["status"] == ours[state]
        seen |= {state, told["progress"]["current_task"] if tasks.get("waits") == "running" else None}
    assert told["progress"] == {"total_tasks": 2, "completed_tasks": 0, "failed_tasks": 0, "current_task": "waits"}
    release.touch()
    assert system.finished(run_id)["status"] == "SUCCESS"
    state, tasks, told = look(system, name, run_id)
    assert (state, tasks, told["progress"]["completed_tasks"]) == (
        "success",
        dict.fromkeys(["waits", "after"], "success"),
        2,
    )


def test_a_run_that_cannot_start_is_pending(system, tmp_path):
    """As many runs as a DAG may have at once are running, the next one is `queued`."""
    name, release = "e2e.states.queued", tmp_path / "release"
    system.register(name, WAITS.format(name=name, release=release))
    run_ids = [system.api.post(f"/api/v1/workflows/{name}/run", json={}).json()["run_id"] for _ in range(17)]
    queued = eventually(
        lambda: [(run_id, *look(system, name, run_id)) for run_id in run_ids],
        lambda found: [state for _, state, *_ in found].count("running") == 16,
        within=60,
    )
    assert [told["status"] for _, state, _, told in queued if state == "queued"] == ["PENDING"]
    release.touch()
    assert {system.finished(run_id)["status"] for run_id in run_ids} == {"SUCCESS"}


def test_up_for_retry_upstream_failed_and_failed(system, tmp_path):
    """A task `up_for_retry` leaves the run RUNNING; `upstream_failed` counts as failed; `failed` is FAILED."""
    name = "e2e.states.fails"
    run_id = started(system, name, RETRIES.format(name=name, release=tmp_path))
    _, tasks, told = eventually(
        lambda: look(system, name, run_id), lambda seen: seen[1].get("fails") == "up_for_retry", within=60
    )
    assert (told["status"], told["progress"]["failed_tasks"]) == ("RUNNING", 0)
    assert system.finished(run_id)["status"] == "FAILED"
    state, tasks, told = look(system, name, run_id)
    assert (state, tasks) == ("failed", {"fails": "failed", "behind": "upstream_failed"})
    assert told["progress"] == {"total_tasks": 2, "completed_tasks": 0, "failed_tasks": 2, "current_task": None}
    dli = system.dli("workflow", "status", run_id, "--follow", expect=1)
    assert "FAILED" in dli.stdout


@pytest.mark.parametrize(
    ("code", "status", "method", "path", "body"),
    [
        ("WORKFLOW_NOT_FOUND", 404, "POST", "no.such/run", {}),
        ("WORKFLOW_NOT_FOUND", 404, "DELETE", "no.such", None),
        ("WORKFLOW_RUN_NOT_FOUND", 404, "GET", "runs/no.such_20260101_000000", None),
        ("WORKFLOW_RUN_NOT_FOUND", 404, "POST", "runs/no.such_20260101_000000/stop", {}),
        ("WORKFLOW_ALREADY_EXISTS", 409, "POST", "register", {"dataset_name": "e2e.codes.taken"}),
        (
            "WORKFLOW_PERMISSION_DENIED",
            403,
            "POST",
            "register",
            {"dataset_name": "e2e.codes.new", "source_type": "CODE"},
        ),
        ("INVALID_CRON_EXPRESSION", 400, "POST", "register", {"schedule": {"cron": "61 * * * *", "timezone": "UTC"}}),
    ],
)
def test_each_code_has_its_real_cause(system, code, status, method, path, body):
    """Section 8, but for AIRFLOW_CONNECTION_FAILED, which a service without Airflow shows in test_main_job."""
    text = (HEAD + "tasks: [{{task_id: a, operator: empty}}]\n").format(name="taken")
    system.register("e2e.codes.taken", text)
    if path == "register":
        name = body.get("dataset_name", "e2e.codes.new")
        text = text.replace("taken", name.rpartition(".")[2])
        body = {"dataset_name": name, "yaml_content": text, "owner": "data@example.com", **body}
    answer = system.api.request(method, f"/api/v1/workflows/{path}", **({} if body is None else {"json": body}))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert system.api.get("/api/v1/workflows/e2e.codes.new").status_code == 404
