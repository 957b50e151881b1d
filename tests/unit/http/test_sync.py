"""Tests of CODE workflows over HTTP: the sync, its report, and the operations that are rejected for them."""

from __future__ import annotations

import pytest

from tests.support.http_stack import NAME, YAML, Stack, http_stack
from workflow_core.domain.run import RunType
from workflow_core.domain.workflow import SourceType
from workflow_entrypoints.settings import load_settings

BROKEN = YAML.replace("operator: empty", "operator: os.system", 1)


@pytest.fixture
def stack():
    with http_stack() as running:
        yield running


@pytest.fixture
def published(stack):
    """A CODE workflow that Airflow serves."""
    publish(stack, NAME)
    assert stack.post("sync").json()["added"] == [NAME]
    stack.sweeper.sweep()
    return stack


def publish(stack: Stack, *names: str, text: str = YAML) -> None:
    for name in names:
        data = text.replace("daily_clicks", name.rpartition(".")[2]).encode()
        stack.storage.put_raw(SourceType.CODE, name, data)


def test_a_sync_returns_its_report(stack):
    """The report contains each list, also empty ones; findings have line numbers."""
    stack.register("a.over")
    publish(stack, NAME, "a.over")
    publish(stack, "a.broken", text=BROKEN)
    answer = stack.post("sync")
    assert answer.status_code == 200
    report = answer.json()
    [failed] = report.pop("failed")
    assert report == {
        "added": [NAME],
        "changed": [],
        "removed": [],
        "overridden": ["a.over"],
        "restored": [],
        "guarded": [],
        "unchanged": 0,
    }
    assert failed["url"].endswith("workflows/code/a.broken.yaml")
    assert (failed["problems"][0]["line"], failed["problems"][0]["field"]) == (9, "tasks[1].operator")


def test_a_dry_run_changes_nothing(stack):
    """The response is the plan, marked as a dry run."""
    publish(stack, NAME)
    before = stack.stored()
    report = stack.post("sync", {"dry_run": True}).json()
    assert (report["added"], report["dry_run"]) == ([NAME], True)
    assert stack.stored() == before


def test_skipped_removals_can_be_allowed(published):
    """The response names the skipped removals and the reason."""
    published.storage.delete(SourceType.CODE, NAME)
    [held] = published.post("sync", {}).json()["guarded"]
    assert held["dataset_names"] == [NAME]
    assert "empty" in held["reason"]
    assert published.post("sync", {"allow_removals": True}).json()["removed"] == [NAME]


def test_an_unavailable_store_is_503(published):
    """Nothing is removed."""
    published.storage.go_down()
    answer = published.post("sync")
    assert (answer.status_code, answer.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
    assert published.get(NAME).json()["source_type"] == "CODE"


@pytest.mark.parametrize("body", [{"dryrun": True}, {"dry_run": "yes"}, {"allow_removals": 1}, []])
def test_an_invalid_body_is_400(stack, body):
    """Unknown fields and wrong types are rejected."""
    assert stack.post("sync", body).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "register", {"dataset_name": NAME, "yaml_content": YAML}),
        ("POST", "register", {"dataset_name": "a.daily_clicks", "source_type": "CODE", "yaml_content": YAML}),
        ("POST", f"{NAME}/run", {}),
        ("POST", f"{NAME}/run", {"dry_run": True}),
        ("DELETE", NAME, None),
        ("DELETE", f"{NAME}?force=true", None),
    ],
)
def test_code_workflows_are_changed_by_the_pipeline_only(published, method, path, body):
    """Registering over a CODE workflow or as CODE, and running or unregistering one, is 403 (specification, section
    1.3).
    """
    before = published.stored()
    answer = published.call(method, path, **({"json": body} if body is not None else {}))
    assert (answer.status_code, answer.json()["code"]) == (403, "WORKFLOW_PERMISSION_DENIED")
    assert published.stored() == before


def test_a_published_code_name_cannot_be_registered_before_the_sync(stack):
    """The object in the store decides, not the result of the last sync."""
    publish(stack, NAME)
    answer = stack.post("register", {"dataset_name": NAME, "yaml_content": YAML})
    assert answer.status_code == 403


def test_a_run_of_a_code_workflow_cannot_be_stopped(published):
    """This includes the runs that Airflow's scheduler starts."""
    dag_id = NAME.replace(".", "_")
    published.airflow.add_run(dag_id, "scheduled__1", run_type=RunType.SCHEDULED, triggered_by="scheduler")
    published.sweeper.sweep()
    [run] = published.get(f"history?dataset_name={NAME}").json()
    answer = published.post(f"runs/{run['run_id']}/stop")
    assert (answer.status_code, answer.json()["code"]) == (403, "WORKFLOW_PERMISSION_DENIED")


def test_a_code_workflow_can_be_paused_and_unpaused(published):
    """Pausing is an operation, which does not change the published workflow."""
    assert published.post(f"{NAME}/pause", {"reason": "tea"}).json()["status"] == "paused"
    assert published.post(f"{NAME}/unpause").json()["status"] == "active"


def test_code_execution_can_be_allowed():
    """With WORKFLOWS_CODE_EXECUTION=allow, CODE workflows can be run and stopped; unregistering stays rejected."""
    policy = load_settings({"WORKFLOWS_CODE_EXECUTION": "allow"}).policy
    with http_stack(policy=policy) as stack:
        publish(stack, NAME)
        stack.post("sync")
        stack.sweeper.sweep()
        run = stack.post(f"{NAME}/run", {})
        assert run.status_code == 202
        assert stack.post(f"runs/{run.json()['run_id']}/stop").status_code == 200
        assert stack.call("DELETE", NAME).status_code == 403


def test_the_overridden_workflow_is_reported(stack):
    """The field `overridden` is present only while a MANUAL workflow is overridden."""
    stack.register()
    assert "overridden" not in stack.get(NAME).json()
    publish(stack, NAME)
    stack.post("sync")
    shown = stack.get(NAME).json()
    assert (shown["source_type"], shown["overridden"]) == ("CODE", True)
    [listed] = stack.get("?source_type=CODE").json()
    assert listed["dataset_name"] == NAME
