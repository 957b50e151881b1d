"""Tests that responses stay correct when runs and DAGs change in Airflow itself, without mocks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.system import System, eventually

TWO_STEPS = """\
version: v1
name: {name}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: first
    operator: bash
    bash_command: echo first >> "{log}"
  - task_id: second
    operator: bash
    bash_command: echo second >> "{log}"; test -e "{flag}"
    dependencies: [first]
  - task_id: third
    operator: bash
    bash_command: echo third >> "{log}"
    dependencies: [second]
"""
NOTHING = """\
version: v1
name: {name}
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - {{task_id: first, operator: empty}}
  - {{task_id: second, operator: empty, dependencies: [first]}}
"""


def registered(system: System, name: str, spec: str, **places: object) -> str:
    """Register; returns the DAG id."""
    answer = system.register(name, spec.format(name=name, **places))
    assert answer.status_code == 201, answer.text
    return name.replace(".", "_")


def started_there(system: System, dag_id: str, run_id: str) -> None:
    """Start a run in Airflow's own API."""
    body: dict[str, Any] = {"dag_run_id": run_id, "conf": {}}
    if "/v2" in str(system.airflow.base_url):
        body["logical_date"] = None
    system.airflow.post(f"/dags/{dag_id}/dagRuns", json=body).raise_for_status()


def set_there(system: System, dag_id: str, run_id: str, state: str) -> None:
    system.airflow.patch(f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state}).raise_for_status()


def cleared_there(system: System, dag_id: str, run_id: str) -> None:
    body = {"dry_run": False, "reset_dag_runs": True, "only_failed": False, "dag_run_id": run_id}
    system.airflow.post(f"/dags/{dag_id}/clearTaskInstances", json=body).raise_for_status()


def paused_there(system: System, dag_id: str, *, paused: bool) -> None:
    system.airflow.patch(f"/dags/{dag_id}", json={"is_paused": paused}).raise_for_status()


def conditions(system: System, name: str) -> list[str]:
    return [found["type"] for found in system.api.get(f"/api/v1/workflows/{name}").json().get("conditions", [])]


def history(system: System, name: str) -> dict[str, Any]:
    """All runs of a workflow, by id."""
    answer = system.api.get("/api/v1/workflows/history", params={"dataset_name": name, "limit": 500})
    return {run["run_id"]: run for run in answer.json()}


def runs_there(system: System, dag_id: str) -> dict[str, Any]:
    """All runs of a DAG in Airflow."""
    found: list[Any] = []
    while True:
        page = system.airflow.get(
            f"/dags/{dag_id}/dagRuns", params={"limit": 100, "offset": len(found), "order_by": "id"}
        ).json()
        found += page["dag_runs"]
        if len(found) >= page["total_entries"]:
            return {run["dag_run_id"]: run for run in found}


@pytest.mark.parametrize("all_tasks", [False, True])
def test_a_retry_runs_each_task_once_more_or_not_at_all(system, tmp_path, *, all_tasks):
    """Under the same run id; what had succeeded runs again only if all of it was asked for."""
    name, log, flag = f"e2e.truth.retry_{all_tasks}".lower(), tmp_path / "log", tmp_path / "flag"
    registered(system, name, TWO_STEPS, log=log, flag=flag)
    run_id = system.api.post(f"/api/v1/workflows/{name}/run").json()["run_id"]
    assert system.finished(run_id)["status"] == "FAILED"
    flag.touch()
    answer = system.api.post(f"/api/v1/workflows/runs/{run_id}/retry", json={"only_failed": not all_tasks})
    assert answer.status_code == 202, answer.text
    again = system.api.post(f"/api/v1/workflows/runs/{run_id}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "WORKFLOW_RUN_NOT_RETRYABLE")
    done = system.finished(run_id)
    assert (done["status"], done["retries"], done["progress"]["completed_tasks"]) == ("SUCCESS", 1, 3)
    ran = log.read_text().split()
    assert sorted(ran) == sorted(["first", "second", "second", "third", *(["first"] if all_tasks else [])])
    assert list(history(system, name)) == [run_id]


def test_a_stopped_run_is_retried_to_its_end(system, tmp_path):
    """What the stop kept from running runs; `dli workflow retry --wait` follows it."""
    name, log, flag = "e2e.truth.stopped", tmp_path / "log", tmp_path / "flag"
    spec = TWO_STEPS.replace("test -e", "test -e '{flag}' || sleep 600; test -e")
    registered(system, name, spec, log=log, flag=flag)
    run_id = system.api.post(f"/api/v1/workflows/{name}/run").json()["run_id"]
    eventually(lambda: log.exists() and log.read_text().split(), lambda ran: ran == ["first", "second"], within=60)
    system.api.post(f"/api/v1/workflows/runs/{run_id}/stop").raise_for_status()
    assert system.finished(run_id)["status"] == "STOPPED"
    flag.touch()
    shown = system.dli_json("workflow", "retry", run_id, "--wait")
    assert (shown["status"], shown["progress"]["completed_tasks"], "stopped_by" in shown) == ("SUCCESS", 3, False)
    assert log.read_text().split() == ["first", "second", "second", "third"]


def test_a_manual_pause_is_reported_and_kept(system):
    """The pause is reported within seconds; the service changes Airflow only on request."""
    name = "e2e.truth.paused"
    dag_id = registered(system, name, NOTHING)
    assert conditions(system, name) == []
    paused_there(system, dag_id, paused=True)
    eventually(lambda: conditions(system, name), lambda found: found == ["paused_in_airflow"], within=30)
    assert "paused_in_airflow" in system.dli("workflow", "show", name).stdout
    assert system.airflow.get(f"/dags/{dag_id}").json()["is_paused"] is True
    system.dli("workflow", "unpause", name)
    assert system.airflow.get(f"/dags/{dag_id}").json()["is_paused"] is False
    assert conditions(system, name) == []


def test_a_pause_lets_the_run_under_way_end(system, tmp_path):
    """Paused during the first of three tasks, the run succeeds; new runs are refused at once, and Airflow's DAG is paused after the run."""
    name, log, flag = "e2e.truth.draining", tmp_path / "log", tmp_path / "flag"
    flag.touch()
    spec = TWO_STEPS.replace('echo first >> "{log}"', 'echo first >> "{log}"; sleep 5')
    dag_id = registered(system, name, spec, log=log, flag=flag)
    run_id = system.api.post(f"/api/v1/workflows/{name}/run").json()["run_id"]
    eventually(lambda: log.exists() and log.read_text().split(), lambda ran: ran == ["first"], within=60)
    paused = system.api.post(f"/api/v1/workflows/{name}/pause", json={"reason": "tea"}).json()
    assert (paused["status"], ["1 run is active" in text for text in paused["warnings"]]) == (
        "paused",
        [False, True],
    )
    assert (conditions(system, name), system.airflow.get(f"/dags/{dag_id}").json()["is_paused"]) == (
        ["pause_pending"],
        False,
    )
    refused = system.api.post(f"/api/v1/workflows/{name}/run")
    assert (refused.status_code, refused.json()["code"]) == (409, "WORKFLOW_PAUSED")
    assert system.finished(run_id)["status"] == "SUCCESS"
    assert log.read_text().split() == ["first", "second", "third"]
    eventually(lambda: system.airflow.get(f"/dags/{dag_id}").json()["is_paused"], bool, within=30)
    eventually(lambda: conditions(system, name), lambda found: found == [], within=30)
    assert list(runs_there(system, dag_id)) == [run_id]
    system.dli("workflow", "unpause", name)


def test_changes_of_a_run_in_airflow_are_reported(system, tmp_path):
    """Started, marked failed, cleared and deleted there."""
    name = "e2e.truth.theirs"
    dag_id = registered(system, name, NOTHING)
    started_there(system, dag_id, "theirs")

    def told():
        return [run["status"] for run in history(system, name).values()]

    eventually(told, lambda found: found == ["SUCCESS"], within=60)
    set_there(system, dag_id, "theirs", "failed")
    eventually(told, lambda found: found == ["FAILED"], within=30)
    cleared_there(system, dag_id, "theirs")
    eventually(told, lambda found: found == ["SUCCESS"], within=60)
    paused_there(system, dag_id, paused=True)
    cleared_there(system, dag_id, "theirs")
    eventually(told, lambda found: found == ["PENDING"], within=30)
    system.airflow.delete(f"/dags/{dag_id}/dagRuns/theirs").raise_for_status()
    eventually(told, lambda found: found == ["FAILED"], within=60)
    paused_there(system, dag_id, paused=False)
