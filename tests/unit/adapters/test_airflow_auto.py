"""Tests of ``auto_airflow``, which detects the version of Airflow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from workflow_adapters.airflow import auto_airflow
from workflow_core.errors import AirflowUnavailable
from workflow_core.testing.airflow.outage import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import respx

    from workflow_adapters.airflow import ClosableAirflow

BASE: Final = "http://airflow.test/team"
V1: Final = f"{BASE}/api/v1"
V2: Final = f"{BASE}/api/v2"
RUN: Final[dict[str, Any]] = {"dag_id": "a_b", "dag_run_id": "run", "state": "queued", "run_type": "manual"}
OLD: Final = httpx.Response(200, json={"version": "2.11.2", "git_version": ""})
NEW: Final = httpx.Response(200, json={"version": "3.3.2", "git_version": ""})
# What 2.11.2 and 3.3.2 answer at the other's paths.
NOT_IN_OLD: Final = httpx.Response(404, html="<title>Airflow 404</title>")
NOT_IN_NEW: Final = httpx.Response(404, json={"error": "/api/v1 has been removed in Airflow 3"})
PAGES: Final[dict[str, Any]] = {
    "another server's 404": httpx.Response(404, text="default backend - 404"),
    "502": httpx.Response(502, html="<h1>Bad gateway</h1>"),
    "503": httpx.Response(503),
    "a login page": httpx.Response(200, html="<form>"),
    "a redirect": httpx.Response(302, headers={"Location": "http://sso.test/"}),
    "403": httpx.Response(403),
    "JSON of something else": httpx.Response(200, json={"version": "latest"}),
    "an older dialect": httpx.Response(200, json={"version": "1.10.15"}),
    "nobody": httpx.ConnectError,
    "silence": httpx.ReadTimeout,
}


@pytest.fixture
def airflow() -> Iterator[ClosableAirflow]:
    port = auto_airflow(BASE, username="admin", password="secret", token="t0ken", total_timeout=2.0)
    yield port
    port.close()


def _at_versions(respx_mock: respx.MockRouter, new: Any, old: Any) -> tuple[respx.Route, respx.Route]:
    routes = (respx_mock.get(f"{V2}/version"), respx_mock.get(f"{V1}/version"))
    for route, answer in zip(routes, (new, old), strict=True):
        if isinstance(answer, httpx.Response):
            route.mock(return_value=answer)
        else:
            route.mock(side_effect=answer)
    return routes


@pytest.mark.respx(assert_all_called=False)
def test_no_request_is_sent_before_the_first_call(airflow: ClosableAirflow, respx_mock: respx.MockRouter) -> None:
    """Neither the constructor nor the URL of a page needs Airflow."""
    airflow.logs_url("a_b", "run")
    assert not respx_mock.calls


@pytest.mark.parametrize(("new", "old", "api"), [(NEW, NOT_IN_NEW, V2), (NOT_IN_OLD, OLD, V1)], ids=["3.x", "2.11"])
@pytest.mark.respx(assert_all_called=False)
def test_the_version_is_detected_once(
    airflow: ClosableAirflow, respx_mock: respx.MockRouter, new: Any, old: Any, api: str
) -> None:
    """The version is requested at the first call only."""
    versions = _at_versions(respx_mock, new, old)
    runs = respx_mock.get(f"{api}/dags/a_b/dagRuns/run").respond(json=RUN)
    for _ in range(3):
        assert airflow.run("a_b", "run") is not None
    assert (runs.call_count, versions[0].call_count) == (3, 1)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.respx(assert_all_called=False)
def test_a_page_of_another_server_is_not_an_airflow(
    airflow: ClosableAirflow, respx_mock: respx.MockRouter, page: str
) -> None:
    """If another server answers, no version is recorded, and the next call detects it again."""
    versions = _at_versions(respx_mock, PAGES[page], PAGES[page])
    for name, call in CALLS.items():
        with pytest.raises(AirflowUnavailable):
            call(airflow)
        assert respx_mock.calls.call_count >= 1, name
    _at_versions(respx_mock, NOT_IN_OLD, OLD)
    respx_mock.get(f"{V1}/dags/a_b/dagRuns/run").respond(json=RUN)
    assert airflow.run("a_b", "run") is not None
    assert versions[0].call_count == len(CALLS) + 1


@pytest.mark.parametrize("page", ["502", "403", "a login page", "nobody", "silence"])
@pytest.mark.respx(assert_all_called=False)
def test_a_404_of_a_gateway_does_not_indicate_airflow_2(
    airflow: ClosableAirflow, respx_mock: respx.MockRouter, page: str
) -> None:
    """Only a version decides, also on the older path."""
    _at_versions(respx_mock, NOT_IN_OLD, PAGES[page])
    with pytest.raises(AirflowUnavailable):
        airflow.ping()
    _at_versions(respx_mock, NEW, NOT_IN_NEW)
    respx_mock.get(f"{V2}/dags/a_b/dagRuns/run").respond(json=RUN)
    assert airflow.run("a_b", "run") is not None


def test_an_upgrade_is_noticed(airflow: ClosableAirflow, respx_mock: respx.MockRouter) -> None:
    """If the API is missing, the call is repeated in the API version that Airflow has now, because the first attempt
    certainly had no effect.
    """
    _at_versions(respx_mock, NOT_IN_OLD, OLD)
    old = respx_mock.post(f"{V1}/dags/a_b/dagRuns").respond(json=RUN)
    airflow.trigger("a_b", "run", conf={})
    _at_versions(respx_mock, NEW, NOT_IN_NEW)
    old.mock(return_value=NOT_IN_NEW)
    new = respx_mock.post(f"{V2}/dags/a_b/dagRuns").respond(json=RUN)
    assert airflow.trigger("a_b", "run", conf={}).run_id == "run"
    assert new.call_count == 1


def test_a_404_of_a_gateway_changes_nothing(airflow: ClosableAirflow, respx_mock: respx.MockRouter) -> None:
    """An outage that looks like a removed API is an outage; afterwards the version is unchanged."""
    versions = _at_versions(respx_mock, NOT_IN_OLD, OLD)
    run = respx_mock.get(f"{V1}/dags/a_b/dagRuns/run").respond(json=RUN)
    airflow.run("a_b", "run")
    page = PAGES["another server's 404"]
    _at_versions(respx_mock, page, page)
    run.mock(return_value=page)
    with pytest.raises(AirflowUnavailable):
        airflow.run("a_b", "run")
    asked = versions[0].call_count
    run.respond(json=RUN)
    assert airflow.run("a_b", "run") is not None
    assert versions[0].call_count == asked


def test_detection_counts_as_part_of_the_call(respx_mock: respx.MockRouter) -> None:
    """Detection and call together have the time limit of one call."""

    def slow(answer: httpx.Response) -> Any:
        def wait(_: httpx.Request) -> httpx.Response:
            time.sleep(0.15)
            return answer

        return wait

    _at_versions(respx_mock, slow(NOT_IN_OLD), slow(OLD))
    airflow = auto_airflow(BASE, username="admin", password="secret", total_timeout=0.2)
    with pytest.raises(AirflowUnavailable, match="too long"):
        airflow.run("a_b", "run")
    airflow.close()


def test_detection_needs_no_login(respx_mock: respx.MockRouter) -> None:
    """The request for the version does not send a password."""
    route = respx_mock.get(f"{V2}/version").mock(return_value=NEW)
    respx_mock.get(f"{V2}/monitor/health").respond(json={"metadatabase": {"status": "healthy"}})
    airflow = auto_airflow(BASE, username="admin", password="secret")
    assert set(airflow.health()) == {"metadatabase"}
    assert "Authorization" not in route.calls.last.request.headers
    airflow.close()
