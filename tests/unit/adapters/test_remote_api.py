"""Tests of ``RemoteWorkflowApi`` with faults that a real service does not produce on demand; the contract suite has the
rest.
"""

from __future__ import annotations

import json
import logging
import socket
import time
import traceback
from datetime import UTC, date, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devstack.ports import free_ports
from tests.support.http_served import serving
from tests.support.raw_server import drip, endless, listen_only, raw_server
from tests.unit.http.test_errors import every_error
from workflow_adapters.http.exchange import MAX_BODY
from workflow_adapters.remote import RemoteWorkflowApi
from workflow_core import errors
from workflow_core.api import BackfillRequest, RegisterRequest, RetryRequest, RunRequest, UnregisterFilters
from workflow_core.api.calls import CALLS
from workflow_core.domain.backfill import Reprocess
from workflow_core.domain.names import dag_id_for
from workflow_core.ports.airflow import EndState
from workflow_core.service import WorkflowService
from workflow_core.testing.api import ApiWorld
from workflow_core.testing.api.subject import NAME, a_registration
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.errors import STATUS
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


BASE: Final = "http://dli.test/team"
ROOT: Final = f"{BASE}/api/v1/workflows"
TOKEN: Final = "s3cret-t0ken"
SAID: Final = "what the gateway said"
HTML: Final = httpx.Response(502, html=f"<html>{SAID}</html>")
RUN_ID: Final = f"{NAME}_20260101_100000"
BACKFILL_ID: Final = f"{NAME}_backfill_20260101_20260101"
DAY: Final = date(2026, 1, 1)
ENDED_ID: Final = f"{RUN_ID}_2"

READS: Final[dict[str, Callable[[RemoteWorkflowApi], object]]] = {
    "workflow": lambda api: api.workflow(NAME),
    "workflows": lambda api: api.workflows(),
    "history": lambda api: api.history(),
    "status": lambda api: api.status(RUN_ID),
    "backfill_status": lambda api: api.backfill_status(BACKFILL_ID),
    "backfills": lambda api: api.backfills(NAME),
    "explain_workflow": lambda api: api.explain_workflow(NAME),
    "explain_run": lambda api: api.explain_run(RUN_ID),
    "health": lambda api: api.health(),
    "whoami": lambda api: api.whoami(),
    "audit": lambda api: api.audit(),
    "revisions": lambda api: api.revisions(NAME),
    "diff": lambda api: api.diff(NAME, 1),
    "next_runs": lambda api: api.next_runs(NAME),
    "validate": lambda api: api.validate(RegisterRequest(dataset_name=NAME, yaml_content="x")),
}
CHANGES: Final[dict[str, Callable[[RemoteWorkflowApi], object]]] = {
    "register": lambda api: api.register(RegisterRequest(dataset_name=NAME, yaml_content="x")),
    "run": lambda api: api.run(NAME),
    "pause": lambda api: api.pause(NAME),
    "unpause": lambda api: api.unpause(NAME),
    "restore": lambda api: api.restore(NAME, 1),
    "stop": lambda api: api.stop(RUN_ID),
    "sync": lambda api: api.sync(),
    "retry": lambda api: api.retry(ENDED_ID, RetryRequest(only_failed=False)),
    "unregister": lambda api: api.unregister(NAME, UnregisterFilters(force=True)),
    "backfill": lambda api: api.backfill(NAME, BackfillRequest(start_date=DAY, end_date=DAY)),
    "pause_backfill": lambda api: api.pause_backfill(BACKFILL_ID),
    "resume_backfill": lambda api: api.resume_backfill(BACKFILL_ID),
    "stop_backfill": lambda api: api.stop_backfill(BACKFILL_ID),
}
ALL: Final = {**READS, **CHANGES}


@pytest.fixture
def api() -> Iterator[RemoteWorkflowApi]:
    with RemoteWorkflowApi(BASE, token=TOKEN, patience=0) as remote:
        yield remote


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """The pauses before each retry, which are recorded and skipped."""
    pauses: list[float] = []
    monkeypatch.setattr("workflow_adapters.remote.retry.sleep", pauses.append)
    return pauses


def unknown_if_it_changes(name: str) -> type[errors.WorkflowError]:
    return errors.ServerOutcomeUnknown if name in CHANGES else errors.ServerUnavailable


def raised(api: RemoteWorkflowApi, name: str) -> errors.WorkflowError:
    """The error of this call, after a check that neither it nor its causes contain the response or the token."""
    with pytest.raises(errors.WorkflowError) as caught:
        ALL[name](api)
    text = "".join(traceback.format_exception(caught.value))
    assert SAID not in text
    assert TOKEN not in text
    return caught.value


def test_every_call_of_the_protocol_is_tested_here():
    """Each row of the table of calls is among the reads or the changes, as the row specifies."""
    assert READS.keys() == {name for name, call in CALLS.items() if not call.changes}
    assert CHANGES.keys() == {name for name, call in CALLS.items() if call.changes}


def test_the_readmes_example_runs(capsys):
    """The third Python block of the README runs, with another address."""
    text = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[3].split("```")[0]
    world = ApiWorld()
    world.service.register(a_registration())
    with serving() as board:
        board.app = create_app(world.service, Settings(user="x"))
        assert "http://127.0.0.1:8000" in code
        exec(compile(code.replace("http://127.0.0.1:8000", board.url), "README.md", "exec"), {})
    assert capsys.readouterr().out == f"{RUN_ID} PENDING\n"


# Errors of the service.


@pytest.mark.parametrize(
    "kind",
    [kind for kind in every_error() if "code" in vars(kind) and STATUS[kind.code] != 500],
    ids=lambda kind: kind.__name__,
)
def test_every_error_keeps_its_type(monkeypatch, kind):
    """Class (if it has a separate code), code, message and findings pass through a real server."""
    world = ApiWorld()
    found = [errors.Problem(message="ünï", field="tasks[0].x", line=3, column=7), errors.Problem(message="b")]
    error = kind.with_message("what wént wrong 🙂", problems=found)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(WorkflowService, "workflow", fail)
    with serving() as board, RemoteWorkflowApi(board.url) as api:
        board.app = create_app(world.service, Settings(user="x"))
        with pytest.raises(kind) as caught:
            api.workflow(NAME)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message, caught.value.problems) == (kind.code, error.message, tuple(found))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.Unauthenticated),
        (403, errors.PermissionDenied),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.InvalidRequest),
        (415, errors.InvalidRequest),
        (422, errors.InvalidRequest),
        (429, errors.TooManyRequests),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
def test_an_unknown_code_is_kept_with_a_class_by_its_status(respx_mock, api, status, kind):
    """Programs can handle the code of a newer server, and the exit code fits."""
    respx_mock.get(f"{ROOT}/{NAME}").mock(return_value=problem(status, "NEW_CODE", "so it is"))
    error = raised(api, "workflow")
    assert type(error) is kind
    assert (error.code, error.message) == ("NEW_CODE", "so it is")
    assert kind.code != "NEW_CODE"


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED")])
@pytest.mark.parametrize("name", ALL)
def test_a_missing_route_is_not_a_missing_workflow(respx_mock, api, name, status, code):
    """An older server or another one must never lead to "there is no such run"."""
    respx_mock.route().mock(return_value=problem(status, code, "There is nothing at this path."))
    error = raised(api, name)
    assert type(error) is errors.ServerUnavailable
    assert "older version" in error.message


def problem(status: int, code: str, detail: str, **more: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "x", "status": status, "code": code, "detail": detail, "new": {"a": 1}}
    return httpx.Response(
        status, content=json.dumps(body), headers={"Content-Type": "application/problem+json", **more}
    )


# Answers that are not of the service.


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 413, 429])
@pytest.mark.parametrize("name", ALL)
def test_a_rejection_by_a_gateway_has_no_effect(respx_mock, api, name, status):
    """A redirect, a login page and a proxy's 404 are "unavailable", and no redirect is followed."""
    headers = {"Location": "http://elsewhere.test/"}
    route = respx_mock.route().mock(return_value=httpx.Response(status, html=SAID, headers=headers))
    error = raised(api, name)
    assert type(error) is errors.ServerUnavailable
    assert str(status) in error.message
    assert route.call_count == 1


@pytest.mark.parametrize("status", [303, 408, 500, 502, 503, 504])
@pytest.mark.parametrize("name", ALL)
def test_a_failure_of_a_gateway_leaves_a_change_unknown(respx_mock, api, name, status):
    """The gateway may have forwarded the request; its page is not repeated."""
    respx_mock.route().mock(return_value=httpx.Response(status, html=SAID))
    assert type(raised(api, name)) is unknown_if_it_changes(name)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"{}", b"[]", b"1", b'"x"', b"{", b'[{"x": 1}]', SAID.encode(), b"\xff\xfe", b"[" * 100_000,
        b'{"dataset_name": "a.b", "status": 5}',
    ],
    ids=lambda body: ascii(body[:12]),
)  # fmt: skip
@pytest.mark.parametrize("name", ALL)
def test_an_unexpected_body_is_an_error(respx_mock, api, name, body):
    """This includes a success status; a change may have had its effect."""
    respx_mock.route().mock(return_value=httpx.Response(200, content=body))
    assert type(raised(api, name)) is unknown_if_it_changes(name)  # [] without X-Total-Count is no list of ours, either


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"code": 5}', b'{"code": "X"}', SAID.encode()])
@pytest.mark.parametrize("name", ALL)
def test_an_invalid_problem_is_an_error(respx_mock, api, name, body):
    """The media type alone is not trusted."""
    headers = {"Content-Type": "application/problem+json"}
    respx_mock.route().mock(return_value=httpx.Response(409, content=body, headers=headers))
    assert type(raised(api, name)) is unknown_if_it_changes(name)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Total-Count": "many"},
        {"X-Total-Count": "-1"},
        {"X-Total-Count": "²"},
        {"X-Total-Count": "1", "Link": '</x>; rel="next"'},
        {"X-Total-Count": "1", "Link": '</x?cursor=a&cursor=b>; rel="next"'},
    ],
)
def test_a_list_needs_its_headers(respx_mock, api, headers):
    """The total count and a valid link are required."""
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    respx_mock.route().mock(return_value=httpx.Response(200, content=b"[]", headers=encoded))
    assert type(raised(api, "workflows")) is errors.ServerUnavailable


def test_a_compressed_response_is_not_read(respx_mock, api):
    """The client did not request it, and it could have any size."""
    answer = httpx.Response(200, content=b"x", headers={"Content-Encoding": "gzip"})
    respx_mock.route().mock(side_effect=lambda _: answer)
    assert type(raised(api, "workflow")) is errors.ServerUnavailable


# Versions.


@pytest.fixture
def recorded() -> Iterator[tuple[RemoteWorkflowApi, Callable[[Callable[[Any], Any]], None]]]:
    """A real server whose responses are changed in transit, and its client."""
    world = ApiWorld()
    world.service.register(a_registration())
    world.service.run(NAME, RunRequest(params={"region": "EU"}))
    world.service.backfill(NAME, BackfillRequest(start_date=DAY, end_date=DAY, reprocess=Reprocess.ALL))
    world.service.run(NAME)
    world.airflow.end_run(dag_id_for(NAME), ENDED_ID, EndState.FAILED)
    world.service.status(ENDED_ID)
    changing: list[Callable[[Any], Any]] = [lambda body: body]
    app = create_app(world.service, Settings(user="x"))

    async def changed(scope: Any, receive: Any, send: Any) -> None:
        async def changed_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
            if message.get("body"):
                message["body"] = json.dumps(changing[0](json.loads(message["body"]))).encode()
            await send(message)

        await app(scope, receive, changed_send)

    with serving() as board, RemoteWorkflowApi(board.url) as api:
        board.app = changed

        def change(how: Callable[[Any], Any]) -> None:
            changing[0] = how

        yield api, change


def with_more(value: Any) -> Any:
    """The response of a newer server: an additional field in each object, except where fields are data."""
    if isinstance(value, dict):
        data = {"params", "parts", "spec", "counts", "before", "after"}
        more = {name: inner if name in data else with_more(inner) for name, inner in value.items()}
        return {**more, "new": {"x": [1]}}
    return [with_more(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", [name for name in ALL if name != "register"])
def test_fields_of_a_newer_server_are_ignored(recorded, name):
    """This applies to each object in each response."""
    api, change = recorded
    if name in READS:
        before = READS[name](api)
        change(with_more)
        assert READS[name](api) == before
    else:
        change(with_more)
        CHANGES[name](api)


@pytest.mark.parametrize(
    "name", ["workflow", "workflows", "history", "status", "health", "pause", "backfills", "backfill_status"]
)
def test_a_missing_field_is_an_error(recorded, name):
    """This applies to each required field."""
    api, change = recorded
    sent: list[Any] = []

    def kept(body: Any) -> Any:
        sent.append(body)
        return body

    change(kept)
    ALL[name](api)
    fields = sent[0][0] if isinstance(sent[0], list) else sent[0]

    def without(field: str, body: Any) -> Any:
        if isinstance(body, list):
            return [without(field, item) for item in body]
        return {key: value for key, value in body.items() if key != field}

    optional = {"parts", "ended_at", "warnings"}
    for field in set(fields) - optional:
        change(partial(without, field))
        assert type(raised(api, name)) is unknown_if_it_changes(name), field


@pytest.mark.parametrize("name", ["workflow", "workflows", "history", "status", "pause"])
def test_values_are_not_converted(recorded, name):
    """A number is not read as a time, nor a text as a number."""
    api, change = recorded

    def twisted(value: Any) -> Any:
        if isinstance(value, dict):
            return {field: twisted(inner) for field, inner in value.items()}
        if isinstance(value, list):
            return [twisted(inner) for inner in value]
        if isinstance(value, int):
            return str(value)
        return 0 if isinstance(value, str) and value.endswith("00Z") else value

    change(twisted)
    assert type(raised(api, name)) is unknown_if_it_changes(name)


# What is sent.


def test_the_token_and_the_path_prefix_are_used(respx_mock, api):
    """Each request has them."""
    route = respx_mock.get(f"{ROOT}/{NAME}").mock(return_value=HTML)
    raised(api, "workflow")
    assert route.calls.last.request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_without_a_token_there_is_no_header(respx_mock):
    """An empty token is treated as none."""
    route = respx_mock.get(f"{ROOT}/{NAME}").mock(return_value=HTML)
    with RemoteWorkflowApi(BASE) as api:
        raised(api, "workflow")
    assert "Authorization" not in route.calls.last.request.headers


@pytest.mark.parametrize("token", ["", " x", "a\nb", "ü"])
def test_an_invalid_token_is_rejected(token):
    """The constructor rejects it without displaying it."""
    with pytest.raises(errors.ConfigurationError, match="DLI_TOKEN") as caught:
        RemoteWorkflowApi("https://dli.test", token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"), [("http://dli.test", True), ("https://dli.test", False), ("http://127.0.0.1:1", False)]
)
def test_an_unencrypted_token_is_warned_about(caplog, url, told):
    """Plain HTTP to another host exposes the token."""
    with caplog.at_level(logging.WARNING), RemoteWorkflowApi(url, token=TOKEN):
        assert ("unencrypted" in caplog.text) == told
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "url", ["", "dli.test", "ftp://dli.test", "http://", "http://me:pw@dli.test", "http://x/?y=1", "http://[::1"]
)
def test_an_invalid_address_is_rejected(url):
    """The error names the setting."""
    with pytest.raises(errors.ConfigurationError, match="DLI_SERVER_URL"):
        RemoteWorkflowApi(url)


# Changes that are sent again.


@pytest.fixture
def patient() -> Iterator[RemoteWorkflowApi]:
    with RemoteWorkflowApi(BASE, token=TOKEN) as remote:
        yield remote


PAUSED: Final = {
    "dataset_name": NAME,
    "status": "paused",
    "paused_by": "x",
    "paused_at": "2026-01-01T10:00:00Z",
    "reason": None,
}


def keys_of(route: Any) -> list[str]:
    return [call.request.headers["Idempotency-Key"] for call in route.calls]


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_has_a_separate_key(respx_mock, patient, slept, name):
    """Each call has one key, which its retries repeat."""
    route = respx_mock.route().mock(side_effect=httpx.ReadError)
    for _ in range(2):
        assert type(raised(patient, name)) is errors.ServerOutcomeUnknown
    keys = keys_of(route)
    assert (len(set(keys[:4])), len(set(keys[4:])), len(set(keys))) == (1, 1, 2)
    assert len(keys) == 8


@pytest.mark.parametrize("name", READS)
def test_reads_have_no_key(respx_mock, patient, slept, name):
    """Reads are not delayed either."""
    route = respx_mock.route().mock(return_value=problem(503, "DATABASE_UNAVAILABLE", "x", **{"Retry-After": "1"}))
    raised(patient, name)
    assert [call for call in route.calls if "Idempotency-Key" in call.request.headers] == []
    assert slept == []


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("x"),
        httpx.ConnectTimeout("x"),
        httpx.PoolTimeout("x"),
        httpx.ReadError("x"),
        httpx.WriteError("x"),
        httpx.RemoteProtocolError("x"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_change_without_a_response_is_retried(respx_mock, patient, slept, fault):
    """The client retries with growing pauses until it gets a response."""
    route = respx_mock.route().mock(side_effect=[fault, fault, fault, httpx.Response(200, json=PAUSED)])
    assert patient.pause(NAME).paused_by == "x"
    assert len(set(keys_of(route))) == 1
    assert [0.1 <= slept[0] < 0.2, 0.5 <= slept[1] < 1, 2 <= slept[2] < 3] == [True] * 3


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "AIRFLOW_CONNECTION_FAILED"), (503, "X"), (429, "X"), (409, "IDEMPOTENCY_KEY_IN_USE")],
)
def test_retry_after_is_respected(respx_mock, patient, slept, status, code):
    """The client retries after the given seconds and a small random delay."""
    refusal = problem(status, code, "x", **{"Retry-After": "3"})
    respx_mock.route().mock(side_effect=[refusal, refusal, httpx.Response(200, json=PAUSED)])
    assert patient.pause(NAME).paused_by == "x"
    assert [3 <= pause < 4 for pause in slept] == [True, True]


@pytest.mark.parametrize(
    "refusal",
    [
        (503, "AIRFLOW_CONNECTION_FAILED", {}),
        (503, "AIRFLOW_CONNECTION_FAILED", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        (503, "AIRFLOW_CONNECTION_FAILED", {"Retry-After": "11"}),
        (409, "WORKFLOW_PAUSED", {"Retry-After": "1"}),
        (500, "INTERNAL_ERROR", {"Retry-After": "1"}),
    ],
    ids=str,
)
def test_other_rejections_are_final(respx_mock, patient, slept, refusal):
    """A rejection without Retry-After, or with one beyond the time limit, is not retried."""
    status, code, headers = refusal
    route = respx_mock.route().mock(return_value=problem(status, code, "x", **headers))
    assert raised(patient, "pause").code == code
    assert (route.call_count, slept) == (1, [])


def test_retries_are_limited_in_time(respx_mock, patient, slept):
    """After ten seconds in total, the last error is raised."""
    route = respx_mock.route().mock(return_value=problem(503, "X", "x", **{"Retry-After": "4"}))
    assert raised(patient, "pause").code == "X"
    assert route.call_count == 3
    assert 8 <= sum(slept) <= 10


def test_the_deadline_of_a_call_ends_its_retries(respx_mock, slept):
    """No pause extends beyond the deadline."""
    route = respx_mock.route().mock(return_value=problem(503, "X", "x", **{"Retry-After": "4"}))
    with RemoteWorkflowApi(BASE, token=TOKEN, change_timeout=3) as api:
        assert raised(api, "pause").code == "X"
    assert (route.call_count, slept) == (1, [])


@pytest.mark.parametrize("last", ["connect", "503", "404"])
def test_a_possible_effect_stays_unknown(respx_mock, patient, slept, last):
    """A later failure does not reveal whether the first request arrived."""
    ends: dict[str, Any] = {
        "connect": httpx.ConnectError("x"),
        "503": problem(503, "DATABASE_UNAVAILABLE", "x"),
        "404": httpx.Response(404, html=SAID),
    }
    respx_mock.route().mock(side_effect=[httpx.ReadError("x"), *[ends[last]] * 3])
    assert type(raised(patient, "pause")) is errors.ServerOutcomeUnknown


def test_a_rejection_after_a_lost_response_is_a_rejection(respx_mock, patient, slept):
    """The server knows the key, so that it would have repeated the response of an accepted request."""
    respx_mock.route().mock(side_effect=[httpx.ReadError("x"), problem(409, "WORKFLOW_PAUSED", "so it is")])
    assert type(raised(patient, "run")) is errors.WorkflowPaused


def test_a_request_that_stays_in_progress_is_unknown(respx_mock, patient, slept):
    """No other client has its key."""
    in_use = problem(409, "IDEMPOTENCY_KEY_IN_USE", "x", **{"Retry-After": "1"})
    respx_mock.route().mock(return_value=in_use)
    assert type(raised(patient, "run")) is errors.ServerOutcomeUnknown


# Time and connections, on real sockets.


def test_a_closed_port_is_unavailable(slept):
    """Nothing was done by any of the attempts."""
    [port] = free_ports(1)
    with RemoteWorkflowApi(f"http://127.0.0.1:{port}") as api:
        for name in ALL:
            assert type(raised(api, name)) is errors.ServerUnavailable


def test_a_dropped_connection_is_retried(slept):
    """A read is retried once without delay; a change three times with pauses."""
    accepted: list[int] = []

    def hang_up(connection: socket.socket) -> None:
        accepted.append(1)
        connection.shutdown(socket.SHUT_RDWR)

    with raw_server(hang_up) as url, RemoteWorkflowApi(url) as api:
        for name in ALL:
            accepted.clear()
            slept.clear()
            assert type(raised(api, name)) is unknown_if_it_changes(name)
            assert (len(accepted), len(slept)) == ((2, 0) if name in READS else (4, 3)), name


def test_a_truncated_body_is_rejected(slept):
    """The connection ended before the body did."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"dataset_name": "a.b"')
        connection.shutdown(socket.SHUT_RDWR)

    with raw_server(talk) as url, RemoteWorkflowApi(url) as api:
        for name in ("workflow", "pause"):
            assert type(raised(api, name)) is unknown_if_it_changes(name)


@pytest.mark.parametrize(
    "talk",
    [listen_only, drip(b"HTTP/1.1 200 OK\r\nX-Long: "), drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")],
    ids=["silent", "headers", "body"],
)
def test_the_deadline_ends_a_slow_response(talk):
    """Reads and changes have separate limits for the whole call."""
    with raw_server(talk) as url, RemoteWorkflowApi(url, read_timeout=0.3, change_timeout=0.9) as api:
        for name, least, most in (("workflow", 0.2, 0.8), ("pause", 0.8, 2.0)):
            started = time.monotonic()
            assert type(raised(api, name)) is unknown_if_it_changes(name)
            assert least < time.monotonic() - started < most


def test_an_endless_response_is_not_read_completely():
    """A response of 100 MB is aborted at the limit."""
    sent = [0]
    with raw_server(endless(sent)) as url, RemoteWorkflowApi(url) as api:
        assert type(raised(api, "workflow")) is errors.ServerUnavailable
    assert sent[0] < MAX_BODY + 16 * 2**20


def test_a_response_that_is_not_http_is_rejected():
    """The port belongs to another kind of server."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 smtp.test " + SAID.encode() + b"\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with raw_server(talk) as url, RemoteWorkflowApi(url) as api:
        assert type(raised(api, "workflow")) is errors.ServerUnavailable


def test_an_untrusted_certificate_is_rejected(tmp_path, monkeypatch):
    """TLS certificates are verified, also against SSL_CERT_FILE."""
    world = ApiWorld()
    world.service.register(a_registration())
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    certificate, key = certified(tmp_path)
    with serving(ssl_certfile=str(certificate), ssl_keyfile=str(key)) as board:
        board.app = create_app(world.service, Settings(user="x"))
        url = board.url.replace("http:", "https:")
        with RemoteWorkflowApi(url, token=TOKEN) as api:
            assert type(raised(api, "pause")) is errors.ServerUnavailable
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with RemoteWorkflowApi(url, token=TOKEN) as api:
            assert api.workflow(NAME).paused_by is None


def certified(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dli.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(key.private_bytes(*private))
    return files
