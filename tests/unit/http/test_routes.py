"""Tests of the routes: the examples in sections 3.1 and 3.4 to 3.8 of the specification, lists, paging, paths and
health.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from litestar.testing import TestClient

from tests.support.http_stack import NAME, ROOT, TEN, USER, YAML, http_stack
from tests.support.log_lines import logged
from workflow_core.domain.run import Progress, Run, RunStatus, RunType, Submission
from workflow_core.service import WorkflowService
from workflow_entrypoints.http import create_app
from workflow_entrypoints.settings import Settings

NEW = "iceberg.analytics.new_workflow"
REGISTER = {
    "dataset_name": NEW,
    "source_type": "MANUAL",
    "schedule": {"cron": "0 8 * * *", "timezone": "America/New_York"},
    "owner": "data@example.com",
    "team": "@data-eng",
    "description": "New analytics workflow",
    "yaml_content": "version: v1\nname: new_workflow\n...",
}
TZ = "America/New_York"


@pytest.fixture
def stack():
    with http_stack() as running:
        yield running


def ended_run(stack: Any, started: datetime, *, seconds: int = 45, name: str = NAME, **changes: Any) -> Run:
    """A finished scheduled run, saved behind the API."""
    workflow = stack.database.workflows.workflow(name)
    run_id = f"{name}_{started:%Y%m%d_%H%M%S}"
    run = Run(
        run_id=run_id,
        airflow_run_id=f"scheduled__{started.isoformat()}",
        workflow_id=workflow.id,
        dataset_name=name,
        dag_id=workflow.dag_id,
        run_type=RunType.SCHEDULED,
        status=RunStatus.SUCCESS,
        submission=Submission.SUBMITTED,
        triggered_by="scheduler",
        params={},
        run_date=started.date(),
        accepted_at=started,
        started_at=started,
        ended_at=started + timedelta(seconds=seconds),
        progress=Progress(total_tasks=5, completed_tasks=5, failed_tasks=0, current_task=None),
        observed_at=TEN,
    )
    run = evolve(run, **changes)
    stack.database.workflows.add_run(run)
    return run


# The literal examples of the specification.


def test_register_example_of_section_3_8(stack):
    """The request gets the response in section 3.8; a spec without tasks adds a warning, and s3_path is the object's
    URL.
    """
    answer = stack.post("register", REGISTER)
    body = answer.json()
    assert answer.status_code == 201
    assert "no tasks" in body.pop("warnings")[0]
    assert body.pop("s3_path") == stack.database.workflows.workflow(NEW).s3_path
    assert body == {
        "dataset_name": NEW,
        "status": "active",
        "source_type": "MANUAL",
        "airflow_dag_id": "iceberg_analytics_new_workflow",
        "registered_by": USER,
        "registered_at": "2026-01-01T10:00:00Z",
    }


def test_registration_reaches_all_three_systems(stack):
    """A registration is recorded in the database, the object store and Airflow."""
    stack.post("register", REGISTER)
    workflow = stack.database.workflows.workflow(NEW)
    assert (workflow.schedule.cron, workflow.schedule.timezone) == ("0 8 * * *", TZ)
    assert stack.storage.get(workflow.source_type, NEW, limit=10_000).text == workflow.yaml
    assert stack.airflow.dag(workflow.dag_id).spec_hash == workflow.spec_hash


def test_run_example_of_section_3_1(stack):
    """The request gets exactly the response in section 3.1."""
    stack.register()
    answer = stack.post(f"{NAME}/run", {"params": {"date": "2026-01-01"}, "dry_run": False})
    assert answer.status_code == 202
    assert answer.json() == {
        "run_id": "iceberg.analytics.daily_clicks_20260101_100000",
        "dataset_name": NAME,
        "status": "PENDING",
        "triggered_by": USER,
        "params": {"date": "2026-01-01"},
        "started_at": "2026-01-01T10:00:00Z",
    }


def test_run_status_example_of_section_3_4():
    """A run in Airflow is reported as in section 3.4, with its tasks counted and its duration until now."""
    with http_stack(queue_seconds=0, task_seconds=60) as stack:
        stack.register()
        run_id = stack.post(f"{NAME}/run", {"params": {"date": "2026-01-01"}}).json()["run_id"]
        stack.clock.sleep(180)
        answer = stack.get(f"runs/{run_id}")
    body = answer.json()
    assert answer.status_code == 200
    assert body.pop("logs_url") == stack.airflow.logs_url("iceberg_analytics_daily_clicks", run_id)
    assert body == {
        "run_id": "iceberg.analytics.daily_clicks_20260101_100000",
        "dataset_name": NAME,
        "status": "RUNNING",
        "started_at": "2026-01-01T10:00:00Z",
        "duration_seconds": 180,
        "triggered_by": USER,
        "params": {"date": "2026-01-01"},
        "progress": {
            "total_tasks": 5,
            "completed_tasks": 3,
            "failed_tasks": 0,
            "current_task": "aggregate_clicks",
        },
    }


def test_an_ended_run_has_an_end_and_a_final_duration(stack):
    """The response contains the end time, and the duration no longer grows."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    stack.clock.sleep(60)
    stack.get(f"runs/{run_id}")
    stack.clock.sleep(60)
    body = stack.get(f"runs/{run_id}").json()
    assert (body["status"], body["ended_at"], body["duration_seconds"]) == ("SUCCESS", "2026-01-01T10:00:06Z", 5)
    assert body["progress"] == {"total_tasks": 5, "completed_tasks": 5, "failed_tasks": 0, "current_task": None}


def test_list_example_of_section_3_5(stack):
    """A workflow in the list has exactly the fields in section 3.5."""
    stack.register()
    run = ended_run(stack, datetime(2026, 1, 1, 6, tzinfo=UTC))
    answer = stack.get("")
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "dataset_name": NAME,
            "status": "active",
            "source_type": "MANUAL",
            "owner": "data@example.com",
            "team": "@data-eng",
            "schedule": {"cron": "0 6 * * *", "timezone": "UTC"},
            "last_run": {
                "run_id": run.run_id,
                "status": "SUCCESS",
                "started_at": "2026-01-01T06:00:00Z",
                "duration_seconds": 45,
            },
            "next_run": "2026-01-02T06:00:00Z",
        }
    ]


def test_history_example_of_section_3_6(stack):
    """A run in the history has exactly the fields in section 3.6."""
    stack.register()
    ended_run(stack, datetime(2026, 1, 1, 6, tzinfo=UTC))
    answer = stack.get("history")
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "run_id": "iceberg.analytics.daily_clicks_20260101_060000",
            "dataset_name": NAME,
            "status": "SUCCESS",
            "started_at": "2026-01-01T06:00:00Z",
            "ended_at": "2026-01-01T06:00:45Z",
            "duration_seconds": 45,
            "triggered_by": "scheduler",
            "run_type": "scheduled",
        }
    ]


def test_pause_example_of_section_3_7(stack):
    """The request gets exactly the response in section 3.7."""
    stack.register()
    answer = stack.post(f"{NAME}/pause", {"reason": "Maintenance window"})
    assert answer.status_code == 200
    assert answer.json() == {
        "dataset_name": NAME,
        "status": "paused",
        "paused_by": USER,
        "paused_at": "2026-01-01T10:00:00Z",
        "reason": "Maintenance window",
    }


def test_unpause_example_of_section_3_7(stack):
    """Unpausing needs no body, and the response contains the caller and the time."""
    stack.register()
    stack.post(f"{NAME}/pause", {"reason": "Maintenance window"})
    stack.clock.sleep(3600)
    answer = stack.post(f"{NAME}/unpause")
    assert answer.status_code == 200
    assert answer.json() == {
        "dataset_name": NAME,
        "status": "active",
        "paused_by": None,
        "paused_at": None,
        "reason": None,
    }


def test_stop_example_of_section_3_3(stack):
    """The request gets exactly the response in section 3.3."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    stack.clock.sleep(300)
    stack.airflow.clear_run(NAME.replace(".", "_"), run_id)
    answer = stack.post(f"runs/{run_id}/stop", {"reason": "Manual stop requested by user"})
    assert answer.status_code == 200
    assert answer.json() == {
        "run_id": f"{NAME}_20260101_100000",
        "status": "STOPPING",
        "stopped_by": USER,
        "stopped_at": "2026-01-01T10:05:00Z",
        "reason": "Manual stop requested by user",
    }


def test_unregister_example_of_section_3_9(stack):
    """The request gets exactly the response in section 3.9."""
    stack.register()
    answer = stack.call("DELETE", NAME)
    assert answer.status_code == 200
    assert answer.json() == {
        "dataset_name": NAME,
        "status": "unregistered",
        "s3_path_deleted": f"memory://workflows/manual/{NAME}.yaml",
        "airflow_dag_disabled": True,
        "unregistered_by": USER,
    }


# What the specification leaves open.


def test_one_workflow_with_its_spec(stack):
    """A single workflow has the fields of the list, and its spec, its YAML and Airflow's progress."""
    stack.register()
    listed = stack.get("").json()[0]
    body = stack.get(NAME).json()
    assert listed.items() <= body.items()
    assert body["phase"] == "served"
    assert [task["task_id"] for task in body["spec"]["tasks"]][3] == "aggregate_clicks"
    assert body["yaml_content"] == stack.database.workflows.workflow(NAME).yaml


@pytest.mark.parametrize("body", [None, {}, {"params": {}}])
def test_a_run_needs_no_body(stack, body):
    """Without a body or fields, the declared defaults apply."""
    stack.register()
    assert stack.post(f"{NAME}/run", body).json()["params"] == {}


def test_dry_run_changes_nothing(stack):
    """A dry run is accepted, marked as such, and changes nothing."""
    stack.register()
    before = stack.stored()
    answer = stack.post(f"{NAME}/run", {"dry_run": True})
    assert answer.status_code == 202
    assert answer.json()["dry_run"] is True
    assert stack.stored() == before


def test_pause_needs_no_reason(stack):
    """Without a body the reason is null."""
    stack.register()
    assert stack.post(f"{NAME}/pause").json()["reason"] is None


def test_a_stop_needs_no_reason_and_appears_in_the_status(stack):
    """The status contains the caller and the time of the stop; a second stop gets the same response."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    stack.clock.sleep(1)
    answer = stack.post(f"runs/{run_id}/stop").json()
    assert answer["reason"] is None
    assert stack.post(f"runs/{run_id}/stop", {"reason": "again"}).json() == answer
    body = stack.get(f"runs/{run_id}").json()
    assert (body["status"], body["stopped_by"], body["stopped_at"]) == ("STOPPING", USER, "2026-01-01T10:00:01Z")


@pytest.mark.parametrize(
    ("body", "again"), [(None, 1), ({}, 1), ({"only_failed": True}, 1), ({"only_failed": False}, 5)]
)
def test_a_retry_runs_failed_tasks_or_all(stack, body, again):
    """The answer is 202 with the same run id; without a body only failed tasks run again, and all tasks only on
    request.
    """
    stack.register()
    dag_id = NAME.replace(".", "_")
    last = stack.get(NAME).json()["spec"]["tasks"][-1]["task_id"]
    stack.airflow.end_task(dag_id, last, "failed")
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    stack.clock.sleep(60)
    assert stack.get(f"runs/{run_id}").json()["status"] == "FAILED"
    answer = stack.post(f"runs/{run_id}/retry", body)
    assert answer.status_code == 202
    assert answer.json() == {
        "run_id": run_id,
        "dataset_name": NAME,
        "status": "PENDING",
        "retried_by": USER,
        "retried_at": "2026-01-01T10:01:00Z",
        "only_failed": again == 1,
        "retries": 1,
    }
    stack.clock.sleep(60)
    tries = [task.try_number for task in stack.airflow.tasks([(dag_id, run_id)])[dag_id, run_id]]
    assert (tries.count(2), stack.get(f"runs/{run_id}").json()["retried_by"]) == (again, USER)


def test_an_active_run_cannot_be_retried(stack):
    """The answer is 409 with its code."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    answer = stack.post(f"runs/{run_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "WORKFLOW_RUN_NOT_RETRYABLE")


def test_an_ended_run_cannot_be_stopped(stack):
    """The answer is 409 with its code."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    stack.clock.sleep(60)
    answer = stack.post(f"runs/{run_id}/stop")
    assert (answer.status_code, answer.json()["code"]) == (409, "WORKFLOW_RUN_NOT_ACTIVE")


def test_a_workflow_with_active_runs_is_unregistered_by_force_only(stack):
    """The answer is 409 with its code; with force, the runs are stopped and the history remains."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    for query in ("", "?force=false"):
        answer = stack.call("DELETE", f"{NAME}{query}")
        assert (answer.status_code, answer.json()["code"]) == (409, "WORKFLOW_HAS_ACTIVE_RUNS")
    assert stack.call("DELETE", f"{NAME}?force=true").json()["status"] == "unregistered"
    assert stack.get(NAME).status_code == 404
    assert [item["run_id"] for item in stack.get(f"history?dataset_name={NAME}").json()] == [run_id]


@pytest.mark.parametrize("value", ["yes", "1", "TRUE", ""])
def test_force_is_true_or_false(stack, value):
    """Other values are rejected."""
    stack.register()
    answer = stack.call("DELETE", f"{NAME}?force={value}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "force")
    assert stack.get(NAME).status_code == 200


def test_a_run_is_stale_while_airflow_is_down(stack):
    """Reads work without Airflow and mark the response as stale."""
    stack.register()
    run_id = stack.post(f"{NAME}/run").json()["run_id"]
    stack.clock.sleep(60)
    stack.airflow.go_down()
    body = stack.get(f"runs/{run_id}").json()
    assert body["stale"] is True
    assert body["observed_at"] == "2026-01-01T10:00:00Z"


def test_whole_numbers_of_any_size_are_answered(stack):
    """A run for which Airflow's UI was given a huge number can be read."""
    stack.register()
    run = ended_run(stack, TEN, params={"huge": 10**30})
    assert stack.get(f"runs/{run.run_id}").json()["params"] == {"huge": 10**30}


def test_the_caller_comes_from_the_settings(stack):
    """No header and no body determines the caller."""
    stack.register()
    answer = stack.post(f"{NAME}/run", headers={"X-User": "root", "Authorization": "Basic cm9vdDpyb290"})
    assert answer.json()["triggered_by"] == USER


# Lists.


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=active", ["a.x", "a.z"]),
        ("status=paused", ["a.y"]),
        ("status=disabled", []),
        ("source_type=MANUAL", ["a.x", "a.y", "a.z"]),
        ("source_type=CODE", []),
        ("owner=data@example.com", ["a.x", "a.y", "a.z"]),
        ("owner=data%40example.com&status=paused", ["a.y"]),
        ("owner=DATA@example.com", []),
        ("limit=2", ["a.x", "a.y"]),
        ("limit=2&offset=1", ["a.y", "a.z"]),
        ("offset=9", []),
    ],
)
def test_workflows_by_filter(stack, query, found):
    """The filters in section 3.5 work alone and together; items are ordered by name."""
    for name in ("a.z", "a.x", "a.y"):
        stack.register(name)
    stack.post("a.y/pause")
    assert [item["dataset_name"] for item in stack.get(f"?{query}").json()] == found


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", [3, 2, 1]),
        ("start_date=2026-02-02", [3, 2]),
        ("end_date=2026-02-02", [2, 1]),
        ("start_date=2026-02-02&end_date=2026-02-02", [2]),
        ("end_date=9999-12-31", [3, 2, 1]),
        (f"dataset_name={NAME}&limit=1", [3]),
        ("dataset_name=a.b", []),
        ("offset=2", [1]),
    ],
)
def test_history_by_filter(stack, query, days):
    """The filters in section 3.6 work; dates are inclusive days, the latest run comes first."""
    stack.register()
    for day in (1, 2, 3):
        ended_run(stack, datetime(2026, 2, day, 23, 59, tzinfo=UTC))
    assert [int(item["started_at"][8:10]) for item in stack.get(f"history?{query}").json()] == days


def test_default_limits_are_those_of_the_specification(stack):
    """The defaults are 50 workflows and 20 runs."""
    for number in range(51):
        stack.register(f"a.w{number:02}")
    for second in range(21):
        ended_run(stack, TEN + timedelta(seconds=second), name="a.w00")
    workflows, runs = stack.get(""), stack.get("history")
    assert (len(workflows.json()), workflows.headers["x-total-count"]) == (50, "51")
    assert (len(runs.json()), runs.headers["x-total-count"]) == (20, "21")


def test_pages_of_workflows_follow_the_link(stack):
    """Following rel=next visits each match once, keeps the filters, and ends."""
    names = [f"a.w{number}" for number in range(7)]
    for name in names:
        stack.register(name)
    stack.post("a.w3/pause")
    seen, totals = follow(stack, f"{ROOT}?limit=2&status=active&owner=data%40example.com")
    assert [item["dataset_name"] for item in seen] == [name for name in names if name != "a.w3"]
    assert totals == {"6"}


def test_pages_of_history_follow_the_link(stack):
    """Runs of the same second are neither lost nor repeated at a page boundary."""
    stack.register("a.b")
    stack.register("a.c")
    for second in range(3):
        for name in ("a.b", "a.c"):
            ended_run(stack, TEN + timedelta(seconds=second), name=name)
    seen, totals = follow(stack, f"{ROOT}/history?limit=1&start_date=2026-01-01")
    assert [item["run_id"] for item in seen] == [item["run_id"] for item in stack.get("history").json()]
    assert len(seen) == 6
    assert totals == {"6"}


def test_pages_are_stable_while_workflows_are_added(stack):
    """A workflow that is registered before the cursor does not shift the next page."""
    for name in ("a.m", "a.n", "a.o"):
        stack.register(name)
    link = stack.get("?limit=2").headers["link"]
    stack.register("a.a")
    assert [item["dataset_name"] for item in stack.get(target(link)).json()] == ["a.o"]


def target(link: str) -> str:
    """The URL in a Link header."""
    assert link.endswith('>; rel="next"')
    return link[1:].partition(">")[0]


def follow(stack: Any, url: str) -> tuple[list[Any], set[str]]:
    """All items from here on, and the total counts of the responses."""
    items: list[Any] = []
    totals = set()
    while True:
        answer = stack.get(url)
        items += answer.json()
        totals.add(answer.headers["x-total-count"])
        if "link" not in answer.headers:
            return items, totals
        url = target(answer.headers["link"])


# Paths and methods.


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/dependencies", ROOT, f"{ROOT}/history", f"{ROOT}/{NAME}"])
def test_head_is_get_without_a_body(stack, path):
    """Each readable path answers HEAD with the status and headers of GET."""
    stack.register()
    head, get = stack.call("HEAD", path), stack.get(path)
    changing = {"x-request-id", "date"}
    assert head.status_code == get.status_code == 200
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in get.headers.items() if name not in changing
    }


@pytest.mark.parametrize(
    ("path", "methods"), [(f"{ROOT}/{NAME}/run", "OPTIONS, POST"), (f"{ROOT}/{NAME}", "DELETE, GET, HEAD, OPTIONS")]
)
def test_options_lists_the_methods(stack, path, methods):
    """OPTIONS returns the methods of all handlers of a path."""
    answer = stack.call("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == methods


@pytest.mark.parametrize("path", [f"{ROOT}/", f"{ROOT}/{NAME}/", f"{ROOT}//{NAME}", "/healthz/"])
def test_each_resource_has_one_url(stack, path):
    """A trailing or doubled slash is not an alias: an empty name never becomes the list."""
    stack.register()
    answer = stack.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", [f"%2F{NAME}/pause", f"{NAME}%2F/pause", f"%2f%2f{NAME}/pause"])
def test_an_encoded_slash_reaches_no_other_workflow(stack, path):
    """A name with '/' is rejected, and never read as the name without it."""
    stack.register()
    answer = stack.client.post(f"{ROOT}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert stack.database.workflows.workflow(NAME).pause is None


# Health.


def test_liveness_calls_no_other_system(stack):
    """The process is alive even if all other systems are down."""
    stack.database.go_down()
    stack.airflow.go_down()
    answer = stack.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readiness_depends_on_the_database_alone(stack):
    """An outage of Airflow or the object store takes no replica out of service; one of the database does."""
    stack.airflow.go_down()
    stack.storage.go_down()
    answer = stack.get("/readyz")
    assert (answer.status_code, answer.json()["status"], set(answer.json())) == (200, "ok", {"status", "database"})
    stack.database.go_down()
    answer = stack.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (answer.json()["status"], answer.json()["database"]["status"]) == ("unavailable", "unavailable")
    assert answer.json()["database"]["detail"] != "ok"


def test_dependencies_are_reported_individually(stack):
    """The answer is 200 with the state of the database, storage, Airflow and the worker."""
    body = stack.get("/dependencies").json()
    assert {body["status"], *(body[name]["status"] for name in ("database", "storage", "airflow", "worker"))} == {"ok"}
    assert body["airflow"]["parts"]["scheduler"] == "healthy"


def test_a_late_worker_is_reported(stack):
    """The worker is late a minute after its last sweep; before the first sweep its state is unknown."""
    assert stack.get("/dependencies").json()["worker"] == {"status": "ok", "detail": "no pass has been recorded yet"}
    stack.sweeper.sweep()
    stack.clock.sleep(59)
    assert stack.get("/dependencies").json()["worker"]["status"] == "ok"
    stack.clock.sleep(2)
    answer = stack.get("/dependencies")
    assert (answer.status_code, answer.json()["worker"]["status"]) == (503, "unavailable")
    assert "61 s ago" in answer.json()["worker"]["detail"]


@pytest.mark.parametrize("system", ["database", "storage", "airflow"])
def test_an_unavailable_dependency_is_named(stack, system):
    """If a system is unavailable, the answer is 503 and names only that system and the reason."""
    {"database": stack.database, "storage": stack.storage, "airflow": stack.airflow}[system].go_down()
    answer = stack.get("/dependencies")
    body = answer.json()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert [name for name in ("database", "storage", "airflow") if body[name]["status"] != "ok"] == [system]
    assert body[system]["detail"] != "ok"


# Ids and logs.


def test_a_valid_request_id_is_returned(stack):
    """The caller's id is kept."""
    assert stack.get("/healthz", headers={"X-Request-ID": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"


@pytest.mark.parametrize("odd", ["", "a b", "x" * 129, "a;b"])
def test_an_invalid_request_id_is_replaced(stack, odd):
    """An id that could break a log line or a header is not repeated."""
    given = stack.get("/healthz", headers={"X-Request-ID": odd}).headers["x-request-id"]
    assert given != odd
    assert len(given) == 32


def test_each_request_is_one_line_in_the_log(stack):
    """The line contains method, route, path, status, time and id; the content of a path cannot forge a second line."""
    with logged("workflow_entrypoints.http.access") as lines:
        stack.get(f"{ROOT}/a%0Ab", headers={"X-Request-ID": "me"})
    assert len(lines) == 1
    assert lines[0]["message"].startswith(r"GET /api/v1/workflows/a\nb 400 ")
    assert lines[0]["route"] == f"{ROOT}/{{dataset_name}}"
    assert (lines[0]["method"], lines[0]["status"], lines[0]["request_id"]) == ("GET", 400, "me")
    assert 0 < lines[0]["duration_ms"] < 10_000


@pytest.mark.parametrize("path", ["/no/such/path", "/%0A"])
def test_a_request_without_a_route_is_logged(stack, path):
    """Its route is empty for any path."""
    with logged("workflow_entrypoints.http.access") as lines:
        stack.client.get(path)
    assert [(line["route"], line["status"]) for line in lines] == [("none", 404)]


def test_log_lines_of_a_handler_have_the_request_id(stack, monkeypatch):
    """Each line that is logged during a request, including the adapters', has the id of the response."""
    monkeypatch.setattr(WorkflowService, "workflow", lambda *_: logging.getLogger("workflow_adapters.x").info("here"))
    with logged("workflow_adapters.x") as lines:
        answer = stack.client.get(f"{ROOT}/{NAME}")
    assert [line["request_id"] for line in lines] == [answer.headers["x-request-id"]]


def test_hooks_run_around_serving(stack):
    """on_startup and on_shutdown, such as those of a worker, run once each."""
    seen: list[str] = []
    app = create_app(
        stack.service,
        Settings(user=USER),
        on_startup=[lambda: seen.append("up")],
        on_shutdown=[lambda: seen.append("down")],
    )
    with TestClient(app):
        assert seen == ["up"]
    assert seen == ["up", "down"]


def test_warnings_about_a_spec_are_in_every_response(stack):
    """The responses of validation, registration and later reads contain the warnings."""
    text = YAML.replace('bash_command: "true"', 'bash_command: "echo {{ ds }}"')
    assert text != YAML
    request = {"dataset_name": NAME, "yaml_content": text}
    checked, registered = stack.post("validate", request), stack.post("register", request)
    for answer in (checked, registered, stack.get(NAME)):
        (warning,) = answer.json()["warnings"]
        assert warning.startswith("tasks[0].bash_command: `ds` is undefined in runs that are started by hand")
