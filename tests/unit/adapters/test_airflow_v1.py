"""Tests of ``AirflowV1`` with responses that a real Airflow 2.11 sends only in rare situations."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from workflow_adapters.airflow import AirflowV1, v1
from workflow_core.domain.run import RunType
from workflow_core.errors import AirflowOutcomeUnknown, AirflowUnavailable, ConfigurationError, LogicalDateTaken

if TYPE_CHECKING:
    from collections.abc import Iterator

    import respx

BASE: Final = "http://airflow.test/team"
API: Final = f"{BASE}/api/v1"
RUNS: Final = f"{API}/dags/a_b/dagRuns"
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
RUN: Final[dict[str, Any]] = {
    "dag_id": "a_b",
    "dag_run_id": "run",
    "state": "queued",
    "run_type": "manual",
    "conf": {},
    "logical_date": "2026-01-01T10:00:00+00:00",
    "execution_date": "2026-01-01T10:00:00+00:00",
    "data_interval_start": "2026-01-01T09:00:00+00:00",
    "data_interval_end": "2026-01-01T10:00:00+00:00",
}
FAILED: Final = httpx.Response(500, html="<h1>Ooops!</h1>")
CONFLICT: Final = httpx.Response(409, json={"title": "Conflict", "status": 409})
MISSING: Final = httpx.Response(
    404, json={"title": "gone", "detail": None, "type": "https://x/#section/Errors/NotFound"}
)
OTHER_MISSING: Final = httpx.Response(404, json={"title": "Not Found", "detail": "no such URL", "type": "about:blank"})


@pytest.fixture
def airflow() -> Iterator[AirflowV1]:
    port = AirflowV1(BASE, username="admin", password="pässword")
    yield port
    port.close()


def test_the_password_is_sent_with_each_request(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """There is no login: user and password are sent with each request, in UTF-8."""
    route = respx_mock.get(f"{RUNS}/run").respond(json=RUN)
    airflow.run("a_b", "run")
    assert route.calls.last.request.headers["Authorization"] == "Basic " + b64encode("admin:pässword".encode()).decode()


@pytest.mark.parametrize("settings", [{"token": "t0ken"}, {"headers": {"authorization": "Bearer t0ken"}}])
def test_a_token_replaces_the_password(settings: Any, respx_mock: respx.MockRouter) -> None:
    """A bearer token, given as such or among the headers, is the only credential."""
    route = respx_mock.get(f"{RUNS}/run").respond(json=RUN)
    airflow = AirflowV1(BASE, username="admin", password="secret", **settings)
    airflow.run("a_b", "run")
    airflow.close()
    assert route.calls.last.request.headers.get_list("Authorization") == ["Bearer t0ken"]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ü"])
def test_an_invalid_header_is_rejected(name: str) -> None:
    """Names and values are validated at once, and no value is displayed."""
    for headers in ({name: "s3cret"}, {"x-key": "s3cret\n"}):
        with pytest.raises(ConfigurationError) as refused:
            AirflowV1(BASE, username="admin", password="secret", headers=headers)
        assert "s3cret" not in str(refused.value)


def test_only_airflow_reports_a_missing_run(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """A 404 about the run is None, even without other fields; a 404 about the path is an outage."""
    respx_mock.get(f"{RUNS}/run").mock(return_value=MISSING)
    assert airflow.run("a_b", "run") is None
    respx_mock.get(f"{RUNS}/run").mock(return_value=OTHER_MISSING)
    with pytest.raises(AirflowUnavailable):
        airflow.run("a_b", "run")


def test_a_lost_race_is_resolved_by_a_repeat(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """After a 500, the repeated request reports that the run exists."""
    posts = respx_mock.post(RUNS).mock(side_effect=[FAILED, CONFLICT])
    respx_mock.get(f"{RUNS}/run").respond(json=RUN)
    assert airflow.trigger("a_b", "run", conf={}).run_id == "run"
    assert posts.calls[0].request.content == posts.calls[1].request.content


def test_a_lost_race_for_a_date_is_a_taken_date(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """After a 500, the repeated request reports that the date is taken."""
    respx_mock.post(RUNS).mock(side_effect=[FAILED, CONFLICT])
    respx_mock.get(f"{RUNS}/run").mock(return_value=MISSING)
    with pytest.raises(LogicalDateTaken):
        airflow.trigger("a_b", "run", conf={}, logical_date=AT)


@pytest.mark.parametrize("second", [FAILED, httpx.ConnectError, httpx.ReadTimeout, httpx.Response(403)])
def test_a_failure_without_a_conclusive_repeat_stays_unknown(
    airflow: AirflowV1, respx_mock: respx.MockRouter, second: Any
) -> None:
    """The second response is about the second request and does not reveal the outcome of the first."""
    respx_mock.post(RUNS).mock(side_effect=[FAILED, second])
    with pytest.raises(AirflowOutcomeUnknown):
        airflow.trigger("a_b", "run", conf={})


def test_a_taken_default_date_is_tried_again(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """Without a logical date Airflow uses the current time; if another run has it, the next attempt succeeds."""
    posts = respx_mock.post(RUNS).mock(side_effect=[CONFLICT, httpx.Response(200, json=RUN)])
    respx_mock.get(f"{RUNS}/run").mock(return_value=MISSING)
    assert airflow.trigger("a_b", "run", conf={"n": 1}).run_id == "run"
    assert json.loads(posts.calls.last.request.content) == {"dag_run_id": "run", "conf": {"n": 1}}


def test_a_dag_that_is_being_parsed_is_not_served_yet(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """Airflow answers 500 while it has the definition but not yet the DAG."""
    respx_mock.get(f"{API}/dags/a_b/details").mock(return_value=FAILED)
    respx_mock.get(f"{API}/dags/a_b").mock(return_value=MISSING)
    assert airflow.dag("a_b") is None


def test_a_dag_that_was_just_parsed_is_served(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """The DAG appeared between the two requests."""
    dag = {"dag_id": "a_b", "is_active": True, "is_paused": False}
    respx_mock.get(f"{API}/dags/a_b/details").mock(side_effect=[FAILED, httpx.Response(200, json=dag)])
    respx_mock.get(f"{API}/dags/a_b").respond(json=dag)
    found = airflow.dag("a_b")
    assert found is not None
    assert found.is_paused is False


def test_details_that_fail_are_an_outage(airflow: AirflowV1, respx_mock: respx.MockRouter) -> None:
    """A 500 for an existing DAG is a failure of Airflow."""
    respx_mock.get(f"{API}/dags/a_b/details").mock(return_value=FAILED)
    respx_mock.get(f"{API}/dags/a_b").respond(json={"dag_id": "a_b", "is_active": True, "is_paused": False})
    with pytest.raises(AirflowUnavailable):
        airflow.dag("a_b")


def test_task_queries_over_the_limit_are_split(
    airflow: AirflowV1, respx_mock: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query for too many tasks is halved, and rejected if it is for a single run."""
    monkeypatch.setattr(v1, "TASKS_AT_ONCE", 5)

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        rows = [
            {"dag_id": "a_b", "dag_run_id": run_id, "task_id": f"t{n}"}
            for run_id in asked["dag_run_ids"]
            for n in range(2)
        ]
        return httpx.Response(200, json={"task_instances": rows[: asked["page_limit"]], "total_entries": len(rows)})

    respx_mock.post(f"{API}/dags/~/dagRuns/~/taskInstances/list").mock(side_effect=answer)
    keys = [("a_b", f"run_{n}") for n in range(7)]
    assert {key: len(tasks) for key, tasks in airflow.tasks(keys).items()} == dict.fromkeys(keys, 2)
    monkeypatch.setattr(v1, "TASKS_AT_ONCE", 1)
    with pytest.raises(AirflowUnavailable, match="2"):
        airflow.tasks(keys[:1])


@pytest.mark.parametrize(
    ("run_type", "expected"),
    [
        ("manual", (RunType.MANUAL, None, None)),
        ("scheduled", (RunType.SCHEDULED, "scheduler", datetime(2026, 1, 1, 10, tzinfo=UTC))),
        ("dataset_triggered", (RunType.SCHEDULED, "scheduler", datetime(2026, 1, 1, 10, tzinfo=UTC))),
    ],
)
def test_fields_missing_in_2_11(
    airflow: AirflowV1, respx_mock: respx.MockRouter, run_type: str, expected: object
) -> None:
    """The user of a manual run is unknown; a scheduled run was due at the end of its interval."""
    respx_mock.get(f"{RUNS}/run").respond(json=RUN | {"run_type": run_type})
    run = airflow.run("a_b", "run")
    assert run is not None
    assert (run.run_type, run.triggered_by, run.run_after) == expected


def test_the_page_of_a_run_is_in_the_grid(airflow: AirflowV1) -> None:
    """Airflow 2.11 has no page for a single run."""
    assert airflow.logs_url("a_b", "run") == f"{BASE}/dags/a_b/grid?dag_run_id=run"
