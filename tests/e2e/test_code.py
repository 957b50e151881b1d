"""CODE workflows on the real stack: published into the store like by a CI pipeline, and verified by the output of their
tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """\
version: v1
name: {name}
owner: ci@example.com
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - task_id: note
    operator: bash
    bash_command: echo {word} >> "{path}"
"""
SLOW = """\
version: v1
name: {name}
owner: ci@example.com
schedule: {{cron: "0 6 1 1 *", timezone: UTC}}
tasks:
  - {{task_id: first, operator: bash, bash_command: 'echo begun >> "{path}"; sleep 12; echo ended >> "{path}"'}}
  - {{task_id: second, operator: bash, bash_command: 'echo second >> "{path}"', dependencies: [first]}}
"""


@pytest.fixture
def code(system, s3):
    return Code(system, s3.client())


class Code:
    """The actions of a pipeline, and the observed state."""

    def __init__(self, system, client) -> None:
        self.system = system
        self.folder = f"{system.storage_url}/code"
        self._client = client
        self._bucket, _, self._prefix = self.folder.removeprefix("s3://").partition("/")

    def publish(self, name: str, text: str) -> None:
        self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}.yaml", Body=text.encode())

    def withdraw(self, name: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}.yaml")

    def sync(self, **body: bool):
        answer = self.system.api.post("/api/v1/workflows/sync", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def shown(self, name: str, **wanted: str):
        """The workflow, once it has these fields."""
        return eventually(
            lambda: self.system.api.get(f"/api/v1/workflows/{name}").json(),
            lambda found: all(found.get(key) == value for key, value in wanted.items()),
            within=60,
        )

    def run_in_airflow(self, name: str, run_id: str) -> str:
        """Trigger a run in Airflow itself, and return the service's id of it, once it is known."""
        dag_id = name.replace(".", "_")
        times = dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end"), "2026-01-01T06:00:00Z")
        body = {"dag_run_id": run_id, "conf": {}, **times}
        assert self.system.airflow.post(f"/dags/{dag_id}/dagRuns", json=body).is_success
        runs = eventually(
            lambda: self.system.api.get("/api/v1/workflows/history", params={"dataset_name": name}).json(),
            lambda runs: any(run["run_type"] == "manual" for run in runs),
            within=60,
        )
        return str(runs[0]["run_id"])


def words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_code_overrides_manual_until_it_is_withdrawn(system, code, tmp_path):
    """Under one name, the registered spec runs first, then the published one, then the registered one again."""
    name, path = "e2e.code.shadow", tmp_path / "out.txt"
    assert system.register(name, SPEC.format(name=name, word="manual", path=path)).status_code == 201
    run = system.api.post(f"/api/v1/workflows/{name}/run", json={}).json()
    assert system.finished(run["run_id"])["status"] == "SUCCESS"

    code.publish(name, SPEC.format(name=name, word="code", path=path))
    code.sync()
    shown = code.shown(name, phase="served", source_type="CODE")
    assert (shown["overridden"], shown["s3_path"]) == (True, f"{code.folder}/{name}.yaml")
    for method, call in (("POST", f"{name}/run"), ("DELETE", name)):
        refused = system.api.request(method, f"/api/v1/workflows/{call}")
        assert (refused.status_code, refused.json()["code"]) == (403, "WORKFLOW_PERMISSION_DENIED")
    code.run_in_airflow(name, "by-hand")
    eventually(lambda: words(path), lambda found: found == ["manual", "code"], within=60)

    code.withdraw(name)
    code.sync(allow_removals=True)
    shown = code.shown(name, phase="served", source_type="MANUAL")
    assert "overridden" not in shown
    run = system.api.post(f"/api/v1/workflows/{name}/run", json={}).json()
    assert system.finished(run["run_id"])["status"] == "SUCCESS"
    assert words(path) == ["manual", "code", "manual"]


def test_broken_code_is_disabled_while_another_workflow_runs(system, code, tmp_path):
    """Specs that the service rejects, and specs that only Airflow rejects, are disabled with the reason; once repaired,
    they are active again.
    """
    victim, neighbour, path = "e2e.code.victim", "e2e.code.neighbour", tmp_path / "out.txt"
    good = SPEC.format(name=victim, word="victim", path=path)
    code.publish(victim, good)
    code.publish(neighbour, SPEC.format(name=neighbour, word="neighbour", path=path))
    code.sync()
    for name in (victim, neighbour):
        code.shown(name, phase="served", status="active")

    code.publish(victim, good.replace("operator: bash", "operator: os.system"))
    [failed] = [one for one in code.sync()["failed"] if one["dataset_name"] == victim]
    assert (failed["problems"][0]["line"], failed["problems"][0]["field"]) == (7, "tasks[0].operator")
    shown = code.shown(victim, phase="failed", status="disabled")
    assert "line 7" in "".join(shown["warnings"])
    # Airflow also reports it at the next parse of the file
    dag_id = victim.replace(".", "_")
    details = eventually(
        lambda: system.airflow.get(f"/dags/{dag_id}/details").json(),
        lambda found: "os.system" in (found.get("doc_md") or ""),
        within=90,
    )
    assert details["is_paused"] is False

    class_path = "airflow.providers.standard.operators.bash.NoSuchOperator"
    code.publish(victim, good.replace("operator: bash", f"operator: {class_path}"))
    code.sync()
    shown = code.shown(victim, phase="failed")
    eventually(
        lambda: "".join(system.api.get(f"/api/v1/workflows/{victim}").json()["warnings"]),
        lambda told: "NoSuchOperator" in told,
        within=60,
    )

    code.run_in_airflow(neighbour, "by-hand")
    eventually(lambda: words(path), lambda found: found == ["neighbour"], within=60)
    code.publish(victim, good)
    assert victim in code.sync()["changed"] or code.shown(victim, phase="served")
    code.shown(victim, phase="served", status="active")


def test_an_active_task_finishes_after_its_file_is_removed(system, code, tmp_path):
    """The active task is not killed; no further task of the run starts, and then the workflow is removed, with its
    history.
    """
    name, path = "e2e.code.leaver", tmp_path / "out.txt"
    code.publish(name, SLOW.format(name=name, path=path))
    code.sync()
    code.shown(name, phase="served")
    run_id = code.run_in_airflow(name, "by-hand")
    eventually(lambda: words(path), lambda found: found == ["begun"], within=60)
    code.withdraw(name)
    code.sync(allow_removals=True)
    gone = eventually(
        lambda: system.api.get(f"/api/v1/workflows/{name}").status_code, lambda status: status == 404, within=120
    )
    assert gone == 404
    assert words(path) == ["begun", "ended"]
    assert system.finished(run_id)["status"] == "STOPPED"
    assert words(path) == ["begun", "ended"]


def test_the_command_line_validates_plans_and_syncs(system, code, tmp_path):
    """`dli workflow validate` of the folder, `sync --dry-run` and `sync` each run in a separate process."""
    name = "e2e.code.cli"
    text = SPEC.format(name=name, word="x", path=tmp_path / "out.txt")
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / f"{name}.yaml").write_text(text)
    assert system.dli_json("workflow", "validate", str(folder))["ok"] is True
    code.publish(name, text)
    plan = system.dli_json("workflow", "sync", "--dry-run")
    done = system.dli_json("workflow", "sync")
    assert plan["dry_run"] is True
    assert name in done["added"] or code.shown(name)["source_type"] == "CODE"
    code.shown(name, phase="served")
