"""Tests of ``AirflowV2`` with faults that a real Airflow does not produce on demand."""

from __future__ import annotations

import json
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from devstack.ports import free_ports
from tests.support.raw_server import drip, endless, listen_only, raw_server
from workflow_adapters.airflow import AirflowV2
from workflow_adapters.airflow.paging import PAGE, read_all
from workflow_adapters.http.exchange import MAX_BODY
from workflow_core.domain.run import RunType
from workflow_core.errors import (
    AirflowOutcomeUnknown,
    AirflowRefused,
    AirflowUnavailable,
    ConfigurationError,
    LoaderNotInstalled,
)
from workflow_core.ports.airflow import ComponentState, EndState
from workflow_core.testing.together import together

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    import respx

BASE: Final = "http://airflow.test/team"
API: Final = f"{BASE}/api/v2"
PASSWORD: Final = "s3cret-passw0rd"
TOKEN: Final = "s3cret-t0ken"
PRIVATE: Final = "a param of the user"
UPSTREAM: Final = "<html>what the server said</html>"
RUN: Final[dict[str, Any]] = {
    "dag_id": "a_b",
    "dag_run_id": "run",
    "state": "queued",
    "run_type": "manual",
    "triggering_user_name": "admin",
    "conf": {},
    "queued_at": "2026-01-01T10:00:00.5Z",
    "run_after": "2026-01-01T10:00:00Z",
}
NOW: Final = {"Date": "Thu, 01 Jan 2026 10:00:00 GMT"}


@pytest.fixture
def login(respx_mock: respx.MockRouter) -> respx.Route:
    """A login that returns a new token each time: ``s3cret-t0ken-1``, ``-2`` and so on."""
    count = iter(range(1, 1000))
    route = respx_mock.post(f"{BASE}/auth/token")
    return route.mock(side_effect=lambda request: httpx.Response(201, json={"access_token": f"{TOKEN}-{next(count)}"}))


@pytest.fixture
def airflow() -> Iterator[AirflowV2]:
    with_login = AirflowV2(BASE, username="admin", password=PASSWORD)
    yield with_login
    with_login.close()


READS: Final[dict[str, tuple[Callable[[AirflowV2], object], str, str]]] = {
    "ping": (lambda port: port.ping(), "GET", "/dags"),
    "health": (lambda port: port.health(), "GET", "/monitor/health"),
    "dag": (lambda port: port.dag("a_b"), "GET", "/dags/a_b/details"),
    "run": (lambda port: port.run("a_b", "run"), "GET", "/dags/a_b/dagRuns/run"),
    "tasks": (lambda port: port.tasks([("a_b", "run")]), "POST", "/dags/~/dagRuns/~/taskInstances/list"),
    "runs_with_ended_tasks": (
        lambda port: port.runs_with_ended_tasks([("a_b", "run")], datetime(2026, 1, 1, tzinfo=UTC)),
        "POST",
        "/dags/~/dagRuns/~/taskInstances/list",
    ),
    "runs_under_way": (lambda port: port.runs_under_way("a_b"), "GET", "/dags/a_b/dagRuns"),
    "changed_runs": (lambda port: port.changed_runs(datetime(2026, 1, 1, tzinfo=UTC)), "GET", "/dags/~/dagRuns"),
}
CHANGES: Final[dict[str, tuple[Callable[[AirflowV2], object], str, str]]] = {
    "trigger": (lambda port: port.trigger("a_b", "run", conf={}), "POST", "/dags/a_b/dagRuns"),
    "set_paused": (lambda port: port.set_paused("a_b", paused=True), "PATCH", "/dags/a_b"),
    "end_run": (lambda port: port.end_run("a_b", "run", EndState.FAILED), "PATCH", "/dags/a_b/dagRuns/run"),
    "request_parse": (lambda port: port.request_parse("a_b"), "PUT", "/parseDagFile/file-token"),
}
# Unusable responses to a request that was sent.
NO_ANSWERS: Final[dict[str, Any]] = {
    "read timeout": httpx.ReadTimeout,
    "write timeout": httpx.WriteTimeout,
    "reset": httpx.ReadError,
    "closed": httpx.RemoteProtocolError,
    "500": httpx.Response(500, text="Internal Server Error"),
    "502": httpx.Response(502, html="<h1>Bad gateway</h1>"),
    "503": httpx.Response(503),
    "303": httpx.Response(303, headers={"Location": "http://elsewhere.test/"}),
    "HTML": httpx.Response(200, html="<html>Welcome</html>"),
    "a JSON list": httpx.Response(200, json=[1, 2]),
    "half of the JSON": httpx.Response(200, content=b'{"dag_id": "a_'),
    "100,000 brackets": httpx.Response(200, content=b"[" * 100_000),
    "compressed": httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b")),
}
# Responses that mean that nothing was done.
NOT_DONE: Final[dict[str, Any]] = {
    "cannot connect": httpx.ConnectError,
    "connect timeout": httpx.ConnectTimeout,
    "no free connection": httpx.PoolTimeout,
    "403": httpx.Response(403, json={"detail": "Forbidden"}),
    "429": httpx.Response(429),
    "redirect": httpx.Response(302, headers={"Location": "http://elsewhere.test/login"}),
    "307": httpx.Response(307, headers={"Location": "http://elsewhere.test/"}),
    "another API": httpx.Response(404, json={"error": "API route not found"}),
    "another server": httpx.Response(404, html="<h1>Not found</h1>"),
}


def _answering(answer: Any) -> dict[str, Any]:
    return {"return_value": answer} if isinstance(answer, httpx.Response) else {"side_effect": answer}


def _sentinel(respx_mock: respx.MockRouter) -> respx.Route:
    sentinel = {"dag_id": "a_b", "is_stale": False, "file_token": "file-token"}
    return respx_mock.get(f"{API}/dags/a_b").respond(json=sentinel)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("fault", NO_ANSWERS)
@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"request_parse"}))
def test_a_change_without_a_usable_response_is_unknown(
    airflow: AirflowV2, respx_mock: respx.MockRouter, name: str, fault: str
) -> None:
    """The change may have been made, so that it is neither reported as failed nor sent again without the caller's
    knowledge.
    """
    call, method, path = CHANGES[name]
    route = respx_mock.route(method=method, url=API + path).mock(**_answering(NO_ANSWERS[fault]))
    with pytest.raises(AirflowOutcomeUnknown):
        call(airflow)
    assert route.call_count == 1


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("fault", ["read timeout", "500"])
def test_a_parse_request_without_a_response_is_unknown(
    airflow: AirflowV2, respx_mock: respx.MockRouter, fault: str
) -> None:
    """The outcome of a parse request without a response is also unknown; its response has no content that could be
    wrong.
    """
    _sentinel(respx_mock)
    respx_mock.put(f"{API}/parseDagFile/file-token").mock(**_answering(NO_ANSWERS[fault]))
    with pytest.raises(AirflowOutcomeUnknown):
        airflow.request_parse("a_b")


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_certainly_failed_is_reported_as_such(
    airflow: AirflowV2, respx_mock: respx.MockRouter, name: str, fault: str
) -> None:
    """Without a connection or permission, after a redirect and from another server, nothing was done."""
    _sentinel(respx_mock)
    call, method, path = CHANGES[name]
    respx_mock.route(method=method, url=API + path).mock(**_answering(NOT_DONE[fault]))
    expected = (AirflowUnavailable, LoaderNotInstalled) if name == "request_parse" else AirflowUnavailable
    with pytest.raises(expected):
        call(airflow)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("fault", [*NO_ANSWERS, *NOT_DONE])
@pytest.mark.parametrize("name", READS)
def test_a_failed_read_is_unavailable(airflow: AirflowV2, respx_mock: respx.MockRouter, name: str, fault: str) -> None:
    """Each failure of a read is "unavailable"; in particular, a 404 of another server does not mean that a run is gone."""
    call, method, path = READS[name]
    answer = {**NO_ANSWERS, **NOT_DONE}[fault]
    respx_mock.route(method=method, url__startswith=API + path).mock(**_answering(answer))
    with pytest.raises(AirflowUnavailable):
        call(airflow)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize(
    "wrong",
    [
        {"state": None},
        {"state": 7},
        {"run_type": ["manual"]},
        {"conf": "text"},
        {"queued_at": "yesterday"},
        {"queued_at": "2026-01-01T10:00:00"},
        {"queued_at": 1767261600},
        {"dag_run_id": True},
    ],
)
def test_wrong_json_types_are_rejected(airflow: AirflowV2, respx_mock: respx.MockRouter, wrong: dict[str, Any]) -> None:
    """A field of another type than Airflow's makes the response of a read or a change unusable."""
    respx_mock.get(f"{API}/dags/a_b/dagRuns/run").respond(json={**RUN, **wrong})
    respx_mock.post(f"{API}/dags/a_b/dagRuns").respond(json={**RUN, **wrong})
    with pytest.raises(AirflowUnavailable):
        airflow.run("a_b", "run")
    with pytest.raises(AirflowOutcomeUnknown):
        airflow.trigger("a_b", "run", conf={})


@pytest.mark.usefixtures("login")
def test_values_of_a_future_airflow_are_accepted(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """An unknown state is kept, an unknown type counts as manual, and unknown fields are ignored."""
    respx_mock.get(f"{API}/dags/a_b/dagRuns/run").respond(
        json={**RUN, "state": "dreaming", "run_type": "by_moonlight", "new": {"x": 1}}
    )
    run = airflow.run("a_b", "run")
    assert run is not None
    assert (run.state, run.run_type, run.status.is_final) == ("dreaming", RunType.MANUAL, False)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize(
    ("run_type", "user", "expected"),
    [
        ("manual", "someone", (RunType.MANUAL, "someone")),
        ("scheduled", None, (RunType.SCHEDULED, "scheduler")),
        ("asset_triggered", None, (RunType.SCHEDULED, "scheduler")),
        ("backfill", "someone", (RunType.BACKFILL, "someone")),
        ("backfill", None, (RunType.BACKFILL, None)),
        ("operator_triggered", None, (RunType.MANUAL, None)),
    ],
)
def test_the_trigger_of_a_run_is_mapped(
    airflow: AirflowV2, respx_mock: respx.MockRouter, run_type: str, user: str | None, expected: object
) -> None:
    """Airflow's run types and users are mapped to those of the service."""
    respx_mock.get(f"{API}/dags/a_b/dagRuns/run").respond(
        json={**RUN, "run_type": run_type, "triggering_user_name": user}
    )
    run = airflow.run("a_b", "run")
    assert run is not None
    assert (run.run_type, run.triggered_by) == expected


@pytest.mark.usefixtures("login")
def test_components_that_are_not_installed_have_no_health(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """A component without a state is omitted; any state but "healthy" is unhealthy."""
    respx_mock.get(f"{API}/monitor/health").respond(
        json={
            "metadatabase": {"status": "healthy"},
            "scheduler": {"status": "unhealthy"},
            "triggerer": {"status": None},
            "dag_processor": {"status": "confused"},
        }
    )
    assert airflow.health() == {
        "metadatabase": ComponentState.HEALTHY,
        "scheduler": ComponentState.UNHEALTHY,
        "dag_processor": ComponentState.UNHEALTHY,
    }


# Logging in.


@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_token_is_renewed_once(
    airflow: AirflowV2, respx_mock: respx.MockRouter, login: respx.Route, status: int
) -> None:
    """After a 401 (expired) or 403 (signed with an earlier secret), the adapter logs in once and sends the request
    again.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        fresh = request.headers["Authorization"] == f"Bearer {TOKEN}-2"
        return httpx.Response(200, json=RUN) if fresh else httpx.Response(status, json={"detail": "no"})

    respx_mock.post(f"{API}/dags/a_b/dagRuns").mock(side_effect=answer)
    assert airflow.trigger("a_b", "run", conf={}).run_id == "run"
    assert login.call_count == 2
    airflow.trigger("a_b", "run", conf={})
    assert login.call_count == 2


def test_concurrent_threads_log_in_once(airflow: AirflowV2, respx_mock: respx.MockRouter, login: respx.Route) -> None:
    """Threads that find no token or an expired one at the same time share one login."""
    respx_mock.get(f"{API}/dags/a_b/dagRuns/run").mock(
        side_effect=lambda request: (
            httpx.Response(200, json=RUN)
            if request.headers["Authorization"] == f"Bearer {TOKEN}-2"
            else httpx.Response(401)
        )
    )
    found = together([lambda: airflow.run("a_b", "run")] * 8)
    assert not [one for one in found if isinstance(one, Exception)]
    assert login.call_count == 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"detail": "Invalid credentials"}),
        httpx.Response(201, json={"access_token": None}),
        httpx.Response(201, json={"access_token": "with\nbreak"}),
        httpx.Response(500),
        httpx.Response(302, headers={"Location": "http://elsewhere.test/"}),
        httpx.Response(201, html="<html>"),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.content[:20]!r}",
)
@pytest.mark.parametrize("name", sorted({*READS, *CHANGES} - {"health"}))
def test_a_failed_login_has_no_effect(
    airflow: AirflowV2, respx_mock: respx.MockRouter, name: str, answer: httpx.Response
) -> None:
    """Without a token no request is sent, so that nothing was done."""
    respx_mock.post(f"{BASE}/auth/token").mock(return_value=answer)
    with pytest.raises(AirflowUnavailable):
        {**READS, **CHANGES}[name][0](airflow)


def test_a_static_token_is_sent_and_never_replaced(respx_mock: respx.MockRouter) -> None:
    """With a static token there is no login, even if Airflow rejects the token; extra headers are sent."""
    route = respx_mock.get(f"{API}/dags/a_b/dagRuns/run").respond(401)
    airflow = AirflowV2(BASE, username="admin", password=PASSWORD, token=TOKEN, headers={"X-Gateway": "key"})
    with pytest.raises(AirflowUnavailable):
        airflow.run("a_b", "run")
    assert route.call_count == 1
    headers = route.calls.last.request.headers
    assert (headers["Authorization"], headers["X-Gateway"]) == (f"Bearer {TOKEN}", "key")


@pytest.mark.parametrize(
    "base_url", ["", "airflow:8080", "ftp://airflow", "http://", "http://u:p@airflow", "http://a/?x=1"]
)
def test_an_invalid_base_url_is_rejected(base_url: str) -> None:
    """An invalid address is detected before the first call; it must not contain credentials, which would appear in
    logs.
    """
    with pytest.raises(ConfigurationError, match="AIRFLOW_BASE_URL"):
        AirflowV2(base_url, username="admin", password=PASSWORD)


def test_an_invalid_token_is_rejected() -> None:
    """A token with a line break is detected before the first call and not displayed."""
    with pytest.raises(ConfigurationError) as caught:
        AirflowV2(BASE, username="admin", password=PASSWORD, token=f"{TOKEN}\n")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("fault", [*NO_ANSWERS, *NOT_DONE, "locked out"])
def test_no_error_contains_a_secret_or_a_response(respx_mock: respx.MockRouter, login: respx.Route, fault: str) -> None:
    """Neither the message nor the traceback with its causes contains credentials or the server's response."""
    answer = {**NO_ANSWERS, **NOT_DONE, "locked out": httpx.Response(401)}[fault]
    if isinstance(answer, httpx.Response) and "Content-Encoding" not in answer.headers:
        answer = httpx.Response(answer.status_code, headers=answer.headers, content=UPSTREAM.encode())
    respx_mock.post(f"{API}/dags/a_b/dagRuns").mock(**_answering(answer))
    airflow = AirflowV2(BASE, username="admin", password=PASSWORD)
    conf = {"key": PRIVATE}
    with pytest.raises((AirflowUnavailable, AirflowOutcomeUnknown)) as caught:
        airflow.trigger("a_b", "run", conf=conf)
    shown = "".join(traceback.format_exception(caught.value)) + repr(airflow) + repr(vars(caught.value))
    assert not [secret for secret in (PASSWORD, TOKEN, UPSTREAM, PRIVATE) if secret in shown]


def test_a_ping_verifies_the_credentials(
    airflow: AirflowV2, respx_mock: respx.MockRouter, login: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ping uses a request that needs a login; right after a response none is sent, later the cheapest one; a
    rejection resets this.
    """
    proof = respx_mock.get(f"{API}/dags").respond(json={"dags": [], "total_entries": 0})
    cheap = respx_mock.get(f"{API}/version").respond(json={"version": "3.3.2"})
    respx_mock.get(f"{API}/dags/a_b/details").respond(403, json={"detail": "Forbidden"})
    airflow.ping()
    airflow.ping()
    assert (proof.call_count, cheap.call_count) == (1, 0)
    monkeypatch.setattr("workflow_adapters.airflow.rest.JUST_NOW", -1.0)
    airflow.ping()
    assert (proof.call_count, cheap.call_count) == (1, 1)
    with pytest.raises(AirflowUnavailable):
        airflow.dag("a_b")
    airflow.ping()
    assert (proof.call_count, cheap.call_count) == (2, 1)


# Single calls.


@pytest.mark.usefixtures("login")
def test_a_read_is_repeated_once_on_a_dropped_connection(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """A read succeeds even if the server has just closed the pooled connection."""
    respx_mock.get(f"{API}/dags/a_b/dagRuns/run").mock(
        side_effect=[httpx.RemoteProtocolError, httpx.Response(200, json=RUN)]
    )
    assert airflow.run("a_b", "run") is not None


@pytest.mark.usefixtures("login")
def test_a_conflict_whose_run_is_missing_is_no_run(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """After a 409 without such a run or logical date, the run was deleted in between, and nothing was done."""
    respx_mock.post(f"{API}/dags/a_b/dagRuns").respond(409, json={"detail": {"reason": "Unique constraint violation"}})
    respx_mock.get(f"{API}/dags/a_b/dagRuns/run").respond(404, json={"detail": "The DagRun was not found"})
    with pytest.raises(AirflowUnavailable):
        airflow.trigger("a_b", "run", conf={})


@pytest.mark.usefixtures("login")
def test_the_interval_is_sent_with_the_logical_date(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """The data interval is empty at the logical date, regardless of what the version of Airflow would infer; without a
    date there is none.
    """
    route = respx_mock.post(f"{API}/dags/a_b/dagRuns").respond(json=RUN)
    airflow.trigger("a_b", "run", conf={}, logical_date=datetime(2026, 1, 1, tzinfo=UTC))
    airflow.trigger("a_b", "run", conf={})
    dated, undated = (json.loads(call.request.content) for call in route.calls)
    names = ("logical_date", "data_interval_start", "data_interval_end")
    assert [dated[name] for name in names] == ["2026-01-01T00:00:00+00:00"] * 3
    assert undated == {"dag_run_id": "run", "conf": {}, "logical_date": None}


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("status", [400, 422])
def test_a_rejection_is_final(airflow: AirflowV2, respx_mock: respx.MockRouter, status: int) -> None:
    """A rejected request is not sent again, and Airflow's text is not repeated."""
    respx_mock.post(f"{API}/dags/a_b/dagRuns").respond(status, json={"detail": UPSTREAM})
    with pytest.raises(AirflowRefused) as caught:
        airflow.trigger("a_b", "run", conf={})
    assert UPSTREAM not in caught.value.message


@pytest.mark.usefixtures("login")
def test_a_parse_token_is_requested_again_after_a_rejection(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """A token is requested once; if Airflow no longer accepts it after its secret changed, it is requested again."""
    sentinel = respx_mock.get(f"{API}/dags/a_b")
    sentinel.side_effect = [
        httpx.Response(200, json={"is_stale": False, "file_token": token}) for token in ("first", "second")
    ]
    gone = httpx.Response(404, json={"detail": "File not found"})
    respx_mock.put(f"{API}/parseDagFile/first").side_effect = [httpx.Response(201), httpx.Response(409), gone]
    second = respx_mock.put(f"{API}/parseDagFile/second").respond(201)
    for _ in range(3):
        airflow.request_parse("a_b")
    assert (sentinel.call_count, second.call_count) == (2, 1)


# Following changes.


def _changes(respx_mock: respx.MockRouter, moments: list[datetime], *, headers: dict[str, str]) -> respx.Route:
    """An Airflow whose runs changed at these times."""

    def answer(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        if "start_date_gte" in params:  # no active run has started
            return httpx.Response(200, json={"dag_runs": [], "total_entries": 0}, headers=headers)
        low = datetime.fromisoformat(params["updated_at_gte"])
        high = datetime.fromisoformat(params.get("updated_at_lte", "9999-01-01T00:00:00Z"))
        rows = [{**RUN, "dag_run_id": f"run{number}"} for number, at in enumerate(moments) if low <= at <= high]
        start = int(params["offset"])
        page = rows[start : start + min(100, int(params["limit"]))]
        return httpx.Response(200, json={"dag_runs": page, "total_entries": len(rows)}, headers=headers)

    return respx_mock.get(f"{API}/dags/~/dagRuns").mock(side_effect=answer)


AT: Final = datetime(2026, 1, 1, 9, tzinfo=UTC)


@pytest.mark.usefixtures("login")
def test_active_runs_are_queried_by_start_date(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """Airflow's scheduler updates active runs all the time, so that their update time is useless."""
    route = _changes(respx_mock, [AT], headers=NOW)
    airflow.changed_runs(AT)
    asked = [{name: call.request.url.params.get_list(name) for name in call.request.url.params} for call in route.calls]
    changed, started = ({name for name in params if name.endswith("_gte")} for params in asked)
    assert (changed, started) == ({"updated_at_gte"}, {"start_date_gte"})
    assert [params["state"] for params in asked] == [["queued", "success", "failed"], ["running"]]


@pytest.mark.usefixtures("login")
def test_until_is_earlier_than_airflow_s_clock(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """A transaction that began before a query and is committed after it is found by the next query."""
    _changes(respx_mock, [AT], headers=NOW)
    assert airflow.changed_runs(AT).until == datetime(2026, 1, 1, 9, 59, 50, tzinfo=UTC)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("headers", [{}, {"Date": "nonsense"}, {"Date": "Thu, 01 Jan 2015 10:00:00 GMT"}])
def test_without_a_clock_the_same_time_is_queried_again(
    airflow: AirflowV2, respx_mock: respx.MockRouter, headers: dict[str, str]
) -> None:
    """If Airflow sends no time or a wrong one, no change is missed, and some are reported again."""
    _changes(respx_mock, [AT], headers=headers)
    changed = airflow.changed_runs(AT)
    assert (len(changed.runs), changed.until) == (1, AT)


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("limit", [1, 3, 120, 1000])
def test_every_change_is_reported_for_any_limit(airflow: AirflowV2, respx_mock: respx.MockRouter, limit: int) -> None:
    """Repeated queries from ``until`` on report all of 150 changes, never more than the limit in one response."""
    _changes(respx_mock, [AT + timedelta(seconds=number**1.3) for number in range(150)], headers=NOW)
    reported: set[str] = set()
    since = AT
    for _ in range(200):
        changed = airflow.changed_runs(since, limit=limit)
        assert len(changed.runs) <= limit
        reported |= {run.run_id for run in changed.runs}
        since = changed.until
        if len(reported) == 150:
            break
    assert len(reported) == 150


@pytest.mark.usefixtures("login")
def test_changes_of_one_time_are_reported_together(airflow: AirflowV2, respx_mock: respx.MockRouter) -> None:
    """If more changes than the limit have the same time, no window can separate them, and they must not block later
    changes.
    """
    moment = AT + timedelta(minutes=7, microseconds=3)
    _changes(respx_mock, [AT, *[moment] * 150, moment + timedelta(seconds=1)], headers=NOW)
    first = airflow.changed_runs(AT, limit=10)
    second = airflow.changed_runs(first.until, limit=10)
    while len(second.runs) <= 10:
        assert second.until > first.until
        first, second = second, airflow.changed_runs(second.until, limit=10)
    assert len({run.run_id for run in second.runs}) >= 150
    assert second.until >= moment


def test_rows_that_disappear_during_paging_hide_no_others() -> None:
    """Rows that are removed from a page already read shift later ones back; those are still read."""
    rows = [{"id": number} for number in range(3 * PAGE)]

    def page(offset: int) -> tuple[list[dict[str, int]], int]:
        found = rows[offset : offset + PAGE], len(rows)
        if offset > 0:
            del rows[: min(30, max(0, len(rows) - PAGE))]
        return found

    known = read_all(page, lambda row: row["id"])
    assert known is not None
    assert set(range(PAGE, 3 * PAGE)) <= set(known)


def test_rows_that_appear_during_paging_hide_no_others() -> None:
    """Rows that are inserted in front shift later ones forward; each one is still read."""
    rows = [{"id": number} for number in range(1000, 1000 + 3 * PAGE)]
    new = iter(range(999, 0, -1))

    def page(offset: int) -> tuple[list[dict[str, int]], int]:
        found = rows[offset : offset + PAGE], len(rows)
        rows[:0] = [{"id": next(new)} for _ in range(10)][::-1]
        return found

    known = read_all(page, lambda row: row["id"])
    assert known is not None
    assert {1000 + number for number in range(3 * PAGE)} <= set(known)


# Time and size, on real sockets.


def test_a_closed_port_is_unavailable() -> None:
    """The failure is immediate, and nothing was done."""
    [port] = free_ports(1)
    airflow = AirflowV2(f"http://127.0.0.1:{port}", username="admin", password=PASSWORD, token=TOKEN)
    started = time.monotonic()
    with pytest.raises(AirflowUnavailable):
        airflow.trigger("a_b", "run", conf={})
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
)
def test_the_deadline_ends_a_slow_response(head: bytes) -> None:
    """A server that sends single bytes of its headers or body never reaches the read timeout, so that the total timeout
    ends the call.
    """
    with raw_server(drip(head)) as base_url:
        settings: Any = {"token": TOKEN, "read_timeout": 5.0, "total_timeout": 0.4}
        airflow = AirflowV2(base_url, username="admin", password=PASSWORD, **settings)
        for call, expected in ((READS["run"][0], AirflowUnavailable), (CHANGES["trigger"][0], AirflowOutcomeUnknown)):
            started = time.monotonic()
            with pytest.raises(expected):
                call(airflow)
            assert 0.3 < time.monotonic() - started < 1.5
        airflow.close()


def test_a_silent_server_hits_the_read_timeout() -> None:
    """A server that accepts the request and sends nothing is aborted after the read timeout."""
    with raw_server(listen_only) as base_url:
        settings: Any = {"token": TOKEN, "read_timeout": 0.3, "total_timeout": 9.0}
        airflow = AirflowV2(base_url, username="admin", password=PASSWORD, **settings)
        started = time.monotonic()
        with pytest.raises(AirflowOutcomeUnknown):
            airflow.trigger("a_b", "run", conf={})
        assert time.monotonic() - started < 1.5
        airflow.close()


def test_calls_beyond_the_connection_limit_fail_fast() -> None:
    """If a slow Airflow occupies all connections, further calls fail soon and certainly without effect."""
    with raw_server(listen_only) as base_url:
        settings: Any = {"token": TOKEN, "connections": 1, "connect_timeout": 0.2, "read_timeout": 1.0}
        airflow = AirflowV2(base_url, username="admin", password=PASSWORD, **settings)
        found = together([lambda: airflow.trigger("a_b", "run", conf={})] * 4)
        assert sorted(type(one).__name__ for one in found) == ["AirflowOutcomeUnknown", *["AirflowUnavailable"] * 3]
        airflow.close()


def test_an_endless_response_is_not_read_completely() -> None:
    """A response of 100 MB is aborted at the limit, long before its end."""
    sent = [0]
    with raw_server(endless(sent)) as base_url:
        airflow = AirflowV2(base_url, username="admin", password=PASSWORD, token=TOKEN)
        with pytest.raises(AirflowUnavailable):
            airflow.run("a_b", "run")
        airflow.close()
    assert sent[0] < MAX_BODY + 16 * 2**20


def test_connections_are_reused() -> None:
    """One connection serves many calls, because a new one would cost as much as the call."""
    accepted = [0]

    def talk(connection: socket.socket) -> None:
        accepted[0] += 1
        body = json.dumps(RUN).encode()
        while True:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            if not connection.recv(65536):
                return

    with raw_server(talk) as base_url:
        airflow = AirflowV2(base_url, username="admin", password=PASSWORD, token=TOKEN)
        for _ in range(20):
            airflow.run("a_b", "run")
        airflow.close()
    assert accepted[0] == 1
