"""Stopping and unregistering on the real stack. No mocks: what is STOPPED is dead, what is unregistered is gone."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.e2e.system import eventually

SLEEPER = """\
version: v1
name: {name}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: sleeps
    operator: bash
    bash_command: echo $$ >> "{pids}"; sleep 600 & echo $! >> "{pids}"; wait
  - task_id: never
    operator: bash
    bash_command: touch "{never}"
    dependencies: [sleeps]
  - task_id: afterwards
    operator: bash
    bash_command: "true"
    trigger_rule: all_done
    dependencies: [sleeps]
"""


@pytest.fixture
def sleeper(system, tmp_path):
    """A function that registers a workflow whose task sleeps, and starts it; the run id, and a look at its processes."""
    count = itertools.count()

    def start(name):
        pids, never = tmp_path / f"pids{next(count)}", tmp_path / "never"
        answer = system.register(name, SLEEPER.format(name=name, pids=pids, never=never))
        assert answer.status_code == 201, answer.text
        run_id = system.api.post(f"/api/v1/workflows/{name}/run").json()["run_id"]
        eventually(lambda: pids.exists() and pids.read_text().split(), lambda found: len(found or ()) == 2, within=60)
        return run_id, [int(pid) for pid in pids.read_text().split()], never

    return start


def alive(pids: list[int]) -> list[int]:
    """Those of the processes that run; one that has ended and waits to be buried does not."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return [pid for pid in pids if runs(pid)]


def test_what_is_stopped_is_dead(system, sleeper):
    """STOPPING at once; STOPPED only when the task's process and its child have ended; nothing behind it has run."""
    run_id, pids, never = sleeper("e2e.stop.sleeper")
    assert alive(pids) == pids
    answer = system.api.post(f"/api/v1/workflows/runs/{run_id}/stop", json={"reason": "Manual stop requested by user"})
    assert answer.status_code == 200
    assert answer.json() == {
        "run_id": run_id,
        "status": "STOPPING",
        "stopped_by": "user@example.com",
        "stopped_at": answer.json()["stopped_at"],
        "reason": "Manual stop requested by user",
    }
    done = system.finished(run_id)
    assert (done["status"], alive(pids), never.exists()) == ("STOPPED", [], False)
    history = system.api.get("/api/v1/workflows/history", params={"dataset_name": "e2e.stop.sleeper"}).json()
    assert [(item["run_id"], item["status"]) for item in history] == [(run_id, "STOPPED")]
    refused = system.api.post(f"/api/v1/workflows/runs/{run_id}/stop", json={"reason": "again"})
    assert refused.json() == {**answer.json(), "status": "STOPPED"}


def test_what_has_finished_keeps_its_result(system, tmp_path):
    """A success stays a success, here and in Airflow."""
    name = "e2e.stop.finished"
    spec = SLEEPER.format(name=name, pids=tmp_path / "pids", never=tmp_path / "never").replace("sleep 600", "true")
    assert system.register(name, spec).status_code == 201
    run_id = system.api.post(f"/api/v1/workflows/{name}/run").json()["run_id"]
    assert system.finished(run_id)["status"] == "SUCCESS"
    answer = system.api.post(f"/api/v1/workflows/runs/{run_id}/stop")
    assert (answer.status_code, answer.json()["code"]) == (409, "WORKFLOW_RUN_NOT_ACTIVE")
    assert system.airflow.get(f"/dags/{name.replace('.', '_')}/dagRuns/{run_id}").json()["state"] == "success"


def test_an_unregistered_name_disappears_keeps_its_history_and_comes_back(system, sleeper):
    """Refused while a run is active; by force its run is stopped, the DAG leaves Airflow, and the name can be used again at once."""
    name, dag_id = "e2e.stop.leaver", "e2e_stop_leaver"
    run_id, pids, _ = sleeper(name)
    refused = system.api.delete(f"/api/v1/workflows/{name}")
    assert (refused.status_code, refused.json()["code"]) == (409, "WORKFLOW_HAS_ACTIVE_RUNS")
    answer = system.api.delete(f"/api/v1/workflows/{name}", params={"force": "true"})
    assert answer.status_code == 200
    assert answer.json() == {
        "dataset_name": name,
        "status": "unregistered",
        "s3_path_deleted": f"{system.storage_url}/manual/{name}.yaml",
        "airflow_dag_disabled": True,
        "unregistered_by": "user@example.com",
    }
    assert system.api.get(f"/api/v1/workflows/{name}").status_code == 404
    assert system.finished(run_id)["status"] == "STOPPED"
    assert alive(pids) == []
    eventually(lambda: system.serves(dag_id), lambda serves: not serves, within=150)
    history = system.dli_json("workflow", "history", name)
    assert [(item["run_id"], item["status"]) for item in history] == [(run_id, "STOPPED")]

    again, pids, _ = sleeper(name)
    assert again != run_id
    assert system.airflow.get(f"/dags/{dag_id}").json()["is_paused"] is False
    shown = system.dli_json("workflow", "stop", again, "--reason", "enough", "--wait")
    assert (shown["status"], shown["stopped_by"], alive(pids)) == ("STOPPED", "user@example.com", [])
    assert len(system.dli_json("workflow", "history", name)) == 2
    assert system.dli_json("workflow", "unregister", name)["status"] == "unregistered"
