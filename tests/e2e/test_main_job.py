"""The main job on the real stack: our service, PostgreSQL, S3 over HTTP, Airflow 3.3.2. No mocks."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.system import DLI, ROOT, eventually, serve, settings_for

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "daily_clicks" / "workflow.yaml"
DATASET = "iceberg.analytics.daily_clicks"
DATE = "2026-01-02"

SPEC = """\
version: v1
name: {name}
schedule: {{cron: "{cron}", timezone: UTC}}
params: {{text: none}}
tasks:
  - task_id: note
    operator: bash
    bash_command: echo "{{{{ run_date() }}}} $TEXT" >> "{path}"
    env: {{TEXT: "{{{{ params.text }}}}"}}
    append_env: true
"""
YEARLY = "0 6 1 1 *"


def spec(name: str, path: Path | str = "/dev/null", cron: str = YEARLY) -> str:
    return SPEC.format(name=name, cron=cron, path=path)


@pytest.fixture(scope="module")
def clicks(system):
    """The example, registered once."""
    answer = system.api.post(
        "/api/v1/workflows/register",
        json={
            "dataset_name": DATASET,
            "source_type": "MANUAL",
            "schedule": {"cron": "0 6 * * *", "timezone": "UTC"},
            "owner": "data@example.com",
            "team": "@data-eng",
            "yaml_content": EXAMPLE.read_text(encoding="utf-8"),
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_registration_becomes_a_real_dag(system, clicks):
    """The answer has the fields of section 3.8, and Airflow serves the DAG unpaused with its five tasks when it comes."""
    assert clicks == {
        "dataset_name": DATASET,
        "status": "active",
        "source_type": "MANUAL",
        "s3_path": f"{system.storage_url}/manual/{DATASET}.yaml",
        "airflow_dag_id": "iceberg_analytics_daily_clicks",
        "registered_by": "user@example.com",
        "registered_at": clicks["registered_at"],
    }
    dag = system.airflow.get("/dags/iceberg_analytics_daily_clicks").json()
    tasks = system.airflow.get("/dags/iceberg_analytics_daily_clicks/tasks").json()
    assert system.serves("iceberg_analytics_daily_clicks")
    assert (dag["is_paused"], tasks["total_entries"]) == (False, 5)


def test_a_run_is_followed_to_its_result(system, clicks):
    """A run for a date goes from PENDING to SUCCESS with its progress, writes its output, and stands in history and list."""
    accepted = system.api.post(f"/api/v1/workflows/{DATASET}/run", json={"params": {"date": DATE}, "dry_run": False})
    assert accepted.status_code == 202
    run_id = accepted.json()["run_id"]
    assert accepted.json() == {
        "run_id": run_id,
        "dataset_name": DATASET,
        "status": "PENDING",
        "triggered_by": "user@example.com",
        "params": {"date": DATE},
        "started_at": accepted.json()["started_at"],
    }
    done = system.finished(run_id)
    assert done["status"] == "SUCCESS"
    assert done["progress"] == {"total_tasks": 5, "completed_tasks": 5, "failed_tasks": 0, "current_task": None}
    page = httpx.get(done["logs_url"], timeout=30, trust_env=False, follow_redirects=True)  # 2.11 asks who we are
    assert page.status_code == 200

    assert json.loads((system.clicks / "reports" / f"{DATE}.json").read_text())
    with sqlite3.connect(system.clicks / "warehouse.db") as warehouse:
        (rows,) = warehouse.execute("SELECT count(*) FROM daily_clicks WHERE date = ?", (DATE,)).fetchone()
    assert rows > 0

    history = system.api.get("/api/v1/workflows/history", params={"dataset_name": DATASET}).json()
    (entry,) = [item for item in history if item["run_id"] == run_id]
    assert entry["status"] == "SUCCESS"
    assert entry["run_type"] == "manual"
    assert entry["ended_at"] >= entry["started_at"]
    (listed,) = [item for item in system.api.get("/api/v1/workflows").json() if item["dataset_name"] == DATASET]
    assert listed["last_run"]["run_id"] == history[0]["run_id"]
    assert listed["next_run"].endswith("T06:00:00Z")


def test_a_dry_run_changes_nothing_anywhere(system, clicks):
    """A dry run is answered like a run, and exists neither in the service nor in Airflow."""
    answer = system.api.post(f"/api/v1/workflows/{DATASET}/run", json={"params": {"date": DATE}, "dry_run": True})
    assert (answer.status_code, answer.json()["dry_run"]) == (202, True)
    run_id = answer.json()["run_id"]
    assert system.api.get(f"/api/v1/workflows/runs/{run_id}").status_code == 404
    assert system.airflow.get(f"/dags/iceberg_analytics_daily_clicks/dagRuns/{run_id}").status_code == 404


def test_pause_and_unpause_are_airflows_own(system, clicks):
    """Pausing pauses the DAG in Airflow and refuses runs; unpausing undoes both."""
    paused = system.api.post(f"/api/v1/workflows/{DATASET}/pause", json={"reason": "Maintenance window"}).json()
    assert (paused["status"], paused["paused_by"], paused["reason"]) == (
        "paused", "user@example.com", "Maintenance window",
    )  # fmt: skip
    assert system.airflow.get("/dags/iceberg_analytics_daily_clicks").json()["is_paused"] is True
    refused = system.api.post(f"/api/v1/workflows/{DATASET}/run", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "WORKFLOW_PAUSED")
    assert system.api.post(f"/api/v1/workflows/{DATASET}/unpause").json()["status"] == "active"
    assert system.airflow.get("/dags/iceberg_analytics_daily_clicks").json()["is_paused"] is False


def test_params_reach_the_task_as_text(system, tmp_path):
    """A param with quotes, braces and shell characters arrives in the task byte for byte, beside the run's date."""
    name, path = "e2e.params.exact", tmp_path / "out.txt"
    text = """it's "$(id)" {{ 7 * 7 }} `x` ; ü"""
    assert system.register(name, spec(name, path)).status_code == 201
    run = system.api.post(f"/api/v1/workflows/{name}/run", json={"params": {"date": "2025-12-24", "text": text}}).json()
    assert system.finished(run["run_id"])["status"] == "SUCCESS"
    assert path.read_text(encoding="utf-8") == f"2025-12-24 {text}\n"


def test_a_scheduled_run_appears_in_the_history(system, tmp_path):
    """A scheduled run uses the date of its fire time, and the history contains it with its type and trigger."""
    name, path = "e2e.schedule.minutely", tmp_path / "out.txt"
    registered = system.register(name, spec(name, path, cron="* * * * *"))
    assert registered.status_code == 201
    history = eventually(
        lambda: system.api.get("/api/v1/workflows/history", params={"dataset_name": name}).json(),
        lambda runs: any(run["status"] == "SUCCESS" for run in runs),
        within=120,
    )
    first = history[-1]
    system.api.post(f"/api/v1/workflows/{name}/pause", json={})
    assert (first["run_type"], first["triggered_by"]) == ("scheduled", "scheduler")
    assert first["started_at"] >= registered.json()["registered_at"]
    assert path.read_text().splitlines()[0] == f"{first['started_at'][:10]} none"
    assert system.api.get(f"/api/v1/workflows/runs/{first['run_id']}").json()["progress"]["total_tasks"] == 1


def test_a_run_for_the_past_has_its_tasks(system, tmp_path):
    """However long before the registration, and before the spec's own start_date: Airflow runs every task, for that date."""
    name, path = "e2e.schedule.past", tmp_path / "out.txt"
    text = spec(name, path) + "start_date: 2030-01-01T00:00:00Z\n"
    assert system.register(name, text).status_code == 201
    moment = "2024-02-29T06:00:00Z"
    body = {
        "dag_run_id": "for_the_past",
        "logical_date": moment,
        "data_interval_start": moment,
        "data_interval_end": moment,
    }
    answer = system.airflow.post("/dags/e2e_schedule_past/dagRuns", json={**body, "conf": {}})
    assert answer.is_success, answer.text
    (run,) = eventually(
        lambda: system.api.get("/api/v1/workflows/history", params={"dataset_name": name}).json(),
        lambda runs: [run for run in runs if run["status"] == "SUCCESS"],
        within=60,
    )
    assert path.read_text() == "2024-02-29 none\n"
    assert system.api.get(f"/api/v1/workflows/runs/{run['run_id']}").json()["progress"]["completed_tasks"] == 1


def test_a_spec_that_cannot_be_built_is_reported_and_affects_no_other(system, clicks):
    """Registration reports Airflow's reason; other workflows are still served; a new registration fixes it."""
    name = "e2e.broken.operator"
    wrong = spec(name).replace("operator: bash", "operator: airflow.providers.standard.operators.bash.NoSuchOperator")
    answer = system.register(name, wrong)
    assert (answer.status_code, answer.json()["status"]) == (201, "disabled")
    assert any("NoSuchOperator" in warning for warning in answer.json()["warnings"])
    refused = system.api.post(f"/api/v1/workflows/{name}/run", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "WORKFLOW_NOT_RUNNABLE")
    assert system.serves("iceberg_analytics_daily_clicks")
    mended = system.register(name, spec(name))
    assert (mended.status_code, mended.json()["status"]) == (201, "active")


def test_names_that_collide_in_airflow_are_refused(system, clicks):
    """A taken name, and a name with a taken DAG id, are 409 and say who holds it."""
    again = system.register(DATASET, spec(DATASET))
    assert (again.status_code, again.json()["code"]) == (409, "WORKFLOW_ALREADY_EXISTS")
    twin = system.register("iceberg.analytics.daily-clicks", spec("daily-clicks"))
    assert twin.status_code == 409
    assert DATASET in twin.json()["detail"]


def test_the_command_line_does_the_same(system, tmp_path):
    """Register, show, run --wait, status, history, list, pause and unpause through `dli`, in processes of their own."""
    name = "e2e.cli.workflow"
    file = tmp_path / "workflow.yaml"
    file.write_text(spec(name, tmp_path / "out.txt"), encoding="utf-8")
    assert "ok" in system.dli("workflow", "validate", str(file)).stdout
    registered = system.dli_json("workflow", "register", name, "--file", str(file), "--owner", "cli@example.com")
    assert (registered["status"], registered["airflow_dag_id"]) == ("active", "e2e_cli_workflow")
    run = system.dli_json("workflow", "run", name, "--param", "date=2026-01-03", "--param", "text=hello", "--wait")
    assert (run["status"], run["progress"]["completed_tasks"]) == ("SUCCESS", 1)
    assert (tmp_path / "out.txt").read_text() == "2026-01-03 hello\n"
    assert system.dli_json("workflow", "status", run["run_id"])["status"] == "SUCCESS"
    assert run["run_id"] in [item["run_id"] for item in system.dli_json("workflow", "history")]
    assert name in [item["dataset_name"] for item in system.dli_json("workflow", "list", "--owner", "cli@example.com")]
    assert system.dli_json("workflow", "pause", name, "--reason", "tea")["status"] == "paused"
    assert system.dli_json("workflow", "show", name)["pause_reason"] == "tea"
    refused = system.dli("workflow", "run", name, expect=4)
    assert "WORKFLOW_PAUSED" in refused.stderr
    assert system.dli_json("workflow", "unpause", name)["status"] == "active"


def test_the_command_line_refuses_wrong_input_in_a_line(system, tmp_path):
    """A wrong cron and a wrong file end with exit code 2 and a line that names the field; nothing is registered."""
    file = tmp_path / "workflow.yaml"
    file.write_text(spec("e2e.cli.wrong"), encoding="utf-8")
    done = system.dli(
        "workflow", "register", "e2e.cli.wrong", "-f", str(file), "--cron", "61 * * * *", "--owner", "x", expect=2
    )
    assert "--cron" in done.stderr
    assert "Traceback" not in done.stderr
    assert system.dli("workflow", "show", "e2e.cli.wrong", expect=3).stdout == ""


def test_each_dependency_is_told(system):
    """All three systems are asked, and Airflow's parts are named."""
    answer = system.api.get("/dependencies")
    assert answer.status_code == 200
    body = answer.json()
    assert [body[name]["status"] for name in ("database", "storage", "airflow")] == ["ok", "ok", "ok"]
    assert {"scheduler", "dag_processor"} <= set(body["airflow"]["parts"])


@pytest.fixture(scope="module")
def cut_off(airflow, s3, postgres, tmp_path_factory):
    """A service whose Airflow does not exist, on a separate database and store."""
    s3.create_bucket("cut-off")
    environment = settings_for(
        airflow,
        s3,
        postgres.create_database("workflows_cut_off"),
        AIRFLOW_BASE_URL="http://127.0.0.1:9",
        WORKFLOWS_STORAGE_URL="s3://cut-off/workflows",
    )
    subprocess.run([*DLI, "db", "upgrade"], env=environment, cwd=ROOT, check=True, capture_output=True)
    process, base_url = serve(environment, tmp_path_factory.mktemp("cut-off") / "service.log")
    with process, httpx.Client(base_url=base_url, timeout=60, trust_env=False) as api:
        yield api


def test_without_airflow_a_registration_is_refused_and_nothing_kept(cut_off, s3):
    """503 in bounded time, and neither the database nor the store has anything."""
    name = "e2e.cut.off"
    started = time.monotonic()
    answer = cut_off.post(
        "/api/v1/workflows/register", json={"dataset_name": name, "yaml_content": spec(name), "owner": "x"}
    )
    assert time.monotonic() - started < 20
    assert (answer.status_code, answer.json()["code"]) == (503, "AIRFLOW_CONNECTION_FAILED")
    assert cut_off.get(f"/api/v1/workflows/{name}").status_code == 404
    assert "Contents" not in s3.client().list_objects_v2(Bucket="cut-off")
    told = cut_off.get("/dependencies")
    assert (told.status_code, told.json()["airflow"]["status"]) == (503, "unavailable")
    assert (told.json()["database"]["status"], cut_off.get("/readyz").status_code) == ("ok", 200)


@pytest.fixture(scope="module")
def blind(system, tmp_path_factory):
    """A second service on the same database and store, for which Airflow is gone."""
    environment = {**system.environment, "AIRFLOW_BASE_URL": "http://127.0.0.1:9"}
    process, base_url = serve(environment, tmp_path_factory.mktemp("blind") / "service.log")
    with process, httpx.Client(base_url=base_url, timeout=60, trust_env=False) as api:
        yield api


def test_without_airflow_runs_and_pauses_are_refused_and_everything_can_be_read(system, clicks, blind):
    """503 before anything is recorded; list, show, history and status answer as before."""
    history = system.api.get("/api/v1/workflows/history", params={"dataset_name": DATASET}).json()
    for path, body in ((f"{DATASET}/run", {}), (f"{DATASET}/pause", {"reason": "x"})):
        started = time.monotonic()
        answer = blind.post(f"/api/v1/workflows/{path}", json=body)
        assert time.monotonic() - started < 20
        assert (answer.status_code, answer.json()["code"]) == (503, "AIRFLOW_CONNECTION_FAILED")
        assert answer.headers["retry-after"].isdigit()
    assert blind.get("/api/v1/workflows/history", params={"dataset_name": DATASET}).json() == history
    assert blind.get(f"/api/v1/workflows/{DATASET}").json()["status"] == "active"
    assert DATASET in [item["dataset_name"] for item in blind.get("/api/v1/workflows").json()]
    run_id = history[0]["run_id"]
    assert blind.get(f"/api/v1/workflows/runs/{run_id}").json()["status"] == history[0]["status"]


def test_a_run_under_way_is_told_as_stale_where_airflow_cannot_be_seen(system, blind):
    """What Airflow last said, and since when."""
    name = "e2e.stale.sleeper"
    text = spec(name).replace('echo "{{ run_date() }} $TEXT" >> "/dev/null"', "sleep 8")
    assert system.register(name, text).status_code == 201
    run_id = system.api.post(f"/api/v1/workflows/{name}/run", json={}).json()["run_id"]
    told = blind.get(f"/api/v1/workflows/runs/{run_id}").json()
    assert told["stale"] is True
    assert told["status"] in {"PENDING", "RUNNING"}
    assert told["observed_at"] >= told["started_at"][:10]
    assert "stale" not in system.finished(run_id)
