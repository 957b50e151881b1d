"""CODE workflows over HTTP: the sync and its report, and everything that is refused for them."""

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


def test_a_sync_answers_its_report(stack):
    """Every list is there, also where it is empty; findings have their lines."""
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


def test_a_dry_run_changes_nothing_anywhere(stack):
    """It is the plan, marked as one."""
    publish(stack, NAME)
    before = stack.stored()
    report = stack.post("sync", {"dry_run": True}).json()
    assert (report["added"], report["dry_run"]) == ([NAME], True)
    assert stack.stored() == before


def test_removals_that_are_held_back_can_be_allowed(published):
    """The answer names what was held back and why."""
    published.storage.delete(SourceType.CODE, NAME)
    [held] = published.post("sync", {}).json()["guarded"]
    assert held["dataset_names"] == [NAME]
    assert "empty" in held["reason"]
    assert published.post("sync", {"allow_removals": True}).json()["removed"] == [NAME]


def test_a_store_that_is_away_is_503(published):
    """Nothing is removed."""
    published.storage.go_down()
    answer = published.post("sync")
    assert (answer.status_code, answer.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
    assert published.get(NAME).json()["source_type"] == "CODE"


@pytest.mark.parametrize("body", [{"dryrun": True}, {"dry_run": "yes"}, {"allow_removals": 1}, []])
def test_a_wrong_body_is_400(stack, body):
    """Unknown fields and other types are refused."""
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
def test_code_is_the_pipelines(published, method, path, body):
    """Registering over it or as CODE, running and unregistering it are 403 (specification, section 1.3)."""
    before = published.stored()
    answer = published.call(method, path, **({"json": body} if body is not None else {}))
    assert (answer.status_code, answer.json()["code"]) == (403, "WORKFLOW_PERMISSION_DENIED")
    assert published.stored() == before


def test_a_name_that_code_has_published_cannot_be_registered_before_the_sync_either(stack):
    """The object counts, not what was seen of it."""
    publish(stack, NAME)
    answer = stack.post("register", {"dataset_name": NAME, "yaml_content": YAML})
    assert answer.status_code == 403


def test_a_run_of_code_cannot_be_stopped(published):
    """Nor can the runs that Airflow's scheduler starts."""
    dag_id = NAME.replace(".", "_")
    published.airflow.add_run(dag_id, "scheduled__1", run_type=RunType.SCHEDULED, triggered_by="scheduler")
    published.sweeper.sweep()
    [run] = published.get(f"history?dataset_name={NAME}").json()
    answer = published.post(f"runs/{run['run_id']}/stop")
    assert (answer.status_code, answer.json()["code"]) == (403, "WORKFLOW_PERMISSION_DENIED")


def test_code_can_be_paused_and_unpaused(published):
    """That much belongs to whoever runs things."""
    assert published.post(f"{NAME}/pause", {"reason": "tea"}).json()["status"] == "paused"
    assert published.post(f"{NAME}/unpause").json()["status"] == "active"


def test_where_it_is_allowed_code_can_be_run_and_stopped():
    """WORKFLOWS_CODE_EXECUTION=allow; unregistering stays refused."""
    policy = load_settings({"WORKFLOWS_CODE_EXECUTION": "allow"}).policy
    with http_stack(policy=policy) as stack:
        publish(stack, NAME)
        stack.post("sync")
        stack.sweeper.sweep()
        run = stack.post(f"{NAME}/run", {})
        assert run.status_code == 202
        assert stack.post(f"runs/{run.json()['run_id']}/stop").status_code == 200
        assert stack.call("DELETE", NAME).status_code == 403


def test_what_lies_below_is_told(stack):
    """`overridden` while a MANUAL workflow is shadowed, and not a word of it otherwise."""
    stack.register()
    assert "overridden" not in stack.get(NAME).json()
    publish(stack, NAME)
    stack.post("sync")
    shown = stack.get(NAME).json()
    assert (shown["source_type"], shown["overridden"]) == ("CODE", True)
    [listed] = stack.get("?source_type=CODE").json()
    assert listed["dataset_name"] == NAME
