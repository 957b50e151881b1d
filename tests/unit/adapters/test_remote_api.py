"""``RemoteWorkflowApi`` against faults that a real service does not produce on demand; the rest is in its contract suite."""

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
    """The pauses before something is sent again, none of which is made."""
    pauses: list[float] = []
    monkeypatch.setattr("workflow_adapters.remote.retry.sleep", pauses.append)
    return pauses


def unknown_if_it_changes(name: str) -> type[errors.WorkflowError]:
    return errors.ServerOutcomeUnknown if name in CHANGES else errors.ServerUnavailable


def raised(api: RemoteWorkflowApi, name: str) -> errors.WorkflowError:
    """The error of this call; nothing in it, its causes included, repeats the answer or the token."""
    with pytest.raises(errors.WorkflowError) as caught:
        ALL[name](api)
    text = "".join(traceback.format_exception(caught.value))
    assert SAID not in text
    assert TOKEN not in text
    return caught.value


def test_every_call_of_the_protocol_is_tried_here():
    """Every row of the table of calls is among the reads or the changes, as the row says."""
    assert READS.keys() == {name for name, call in CALLS.items() if not call.changes}
    assert CHANGES.keys() == {name for name, call in CALLS.items() if call.changes}


def test_the_readmes_example_runs(capsys):
    """The third Python block of the README, but for the address."""
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
def test_every_error_arrives_as_itself(monkeypatch, kind):
    """Class (of those with a code of their own), code, message and findings, through a real server."""
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
def test_a_code_of_a_newer_server_is_kept_with_a_class_by_its_status(respx_mock, api, status, kind):
    """Programs can switch on the code, and the exit code fits."""
    respx_mock.get(f"{ROOT}/{NAME}").mock(return_value=problem(status, "NEW_CODE", "so it is"))
    error = raised(api, "workflow")
    assert type(error) is kind
    assert (error.code, error.message) == ("NEW_CODE", "so it is")
    assert kind.code != "NEW_CODE"


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED")])
@pytest.mark.parametrize("name", ALL)
def test_a_route_that_the_server_does_not_have_is_no_missing_workflow(respx_mock, api, name, status, code):
    """An older server, or another one: never "there is no such run"."""
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
def test_a_refusal_in_front_of_the_server_did_nothing(respx_mock, api, name, status):
    """A redirect, a login page, a proxy's own 404: unavailable, and followed nowhere."""
    headers = {"Location": "http://elsewhere.test/"}
    route = respx_mock.route().mock(return_value=httpx.Response(status, html=SAID, headers=headers))
    error = raised(api, name)
    assert type(error) is errors.ServerUnavailable
    assert str(status) in error.message
    assert route.call_count == 1


@pytest.mark.parametrize("status", [303, 408, 500, 502, 503, 504])
@pytest.mark.parametrize("name", ALL)
def test_a_failure_in_front_of_the_server_leaves_a_change_unknown(respx_mock, api, name, status):
    """It may have been passed on; nothing of the page is repeated."""
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
def test_a_body_that_is_another_is_an_error(respx_mock, api, name, body):
    """With a good status, too; a change may have been carried out."""
    respx_mock.route().mock(return_value=httpx.Response(200, content=body))
    assert type(raised(api, name)) is unknown_if_it_changes(name)  # [] without X-Total-Count is no list of ours, either


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"code": 5}', b'{"code": "X"}', SAID.encode()])
@pytest.mark.parametrize("name", ALL)
def test_a_problem_that_is_none_is_an_error(respx_mock, api, name, body):
    """The media type alone is not believed."""
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
    """The total, and a link that leads on."""
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    respx_mock.route().mock(return_value=httpx.Response(200, content=b"[]", headers=encoded))
    assert type(raised(api, "workflows")) is errors.ServerUnavailable


def test_a_compressed_answer_is_not_read(respx_mock, api):
    """It was not asked for, and could be any size."""
    answer = httpx.Response(200, content=b"x", headers={"Content-Encoding": "gzip"})
    respx_mock.route().mock(side_effect=lambda _: answer)
    assert type(raised(api, "workflow")) is errors.ServerUnavailable


# Versions.


@pytest.fixture
def recorded() -> Iterator[tuple[RemoteWorkflowApi, Callable[[Callable[[Any], Any]], None]]]:
    """A real server whose answers are changed on their way, and the client of it."""
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
    """The answer of a server that has learned something: one more field in every object but those whose fields are data."""
    if isinstance(value, dict):
        data = {"params", "parts", "spec", "counts", "before", "after"}
        more = {name: inner if name in data else with_more(inner) for name, inner in value.items()}
        return {**more, "new": {"x": [1]}}
    return [with_more(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", [name for name in ALL if name != "register"])
def test_fields_of_a_newer_server_are_passed_over(recorded, name):
    """In every object of every answer."""
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
def test_a_field_that_is_missing_is_an_error(recorded, name):
    """Every single one that is always there."""
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
    """A number is not taken for a time, nor a text for a number."""
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


def test_the_token_and_the_path_in_front_are_used(respx_mock, api):
    """Each request has them."""
    route = respx_mock.get(f"{ROOT}/{NAME}").mock(return_value=HTML)
    raised(api, "workflow")
    assert route.calls.last.request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_without_a_token_there_is_no_header(respx_mock):
    """Nor one that is empty."""
    route = respx_mock.get(f"{ROOT}/{NAME}").mock(return_value=HTML)
    with RemoteWorkflowApi(BASE) as api:
        raised(api, "workflow")
    assert "Authorization" not in route.calls.last.request.headers


@pytest.mark.parametrize("token", ["", " x", "a\nb", "ü"])
def test_a_token_that_no_header_can_hold_is_refused(token):
    """At once, and it is not shown."""
    with pytest.raises(errors.ConfigurationError, match="DLI_TOKEN") as caught:
        RemoteWorkflowApi("https://dli.test", token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"), [("http://dli.test", True), ("https://dli.test", False), ("http://127.0.0.1:1", False)]
)
def test_a_token_that_anybody_can_read_on_its_way_is_told(caplog, url, told):
    """Plain HTTP to another host."""
    with caplog.at_level(logging.WARNING), RemoteWorkflowApi(url, token=TOKEN):
        assert ("unencrypted" in caplog.text) == told
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "url", ["", "dli.test", "ftp://dli.test", "http://", "http://me:pw@dli.test", "http://x/?y=1", "http://[::1"]
)
def test_what_is_no_address_is_refused(url):
    """Naming the setting."""
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
def test_every_change_has_a_key_of_its_own(respx_mock, patient, slept, name):
    """One for each call, the same each time that the call is sent."""
    route = respx_mock.route().mock(side_effect=httpx.ReadError)
    for _ in range(2):
        assert type(raised(patient, name)) is errors.ServerOutcomeUnknown
    keys = keys_of(route)
    assert (len(set(keys[:4])), len(set(keys[4:])), len(set(keys))) == (1, 1, 2)
    assert len(keys) == 8


@pytest.mark.parametrize("name", READS)
def test_reads_have_no_key(respx_mock, patient, slept, name):
    """And wait for nothing."""
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
def test_a_change_without_an_answer_is_sent_again(respx_mock, patient, slept, fault):
    """With growing pauses, until it has one."""
    route = respx_mock.route().mock(side_effect=[fault, fault, fault, httpx.Response(200, json=PAUSED)])
    assert patient.pause(NAME).paused_by == "x"
    assert len(set(keys_of(route))) == 1
    assert [0.1 <= slept[0] < 0.2, 0.5 <= slept[1] < 1, 2 <= slept[2] < 3] == [True] * 3


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "AIRFLOW_CONNECTION_FAILED"), (503, "X"), (429, "X"), (409, "IDEMPOTENCY_KEY_IN_USE")],
)
def test_a_server_that_says_when_to_come_back_is_asked_again_then(respx_mock, patient, slept, status, code):
    """After so many seconds, a little more."""
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
def test_other_refusals_are_final(respx_mock, patient, slept, refusal):
    """Nothing that says when, or later than there is patience for."""
    status, code, headers = refusal
    route = respx_mock.route().mock(return_value=problem(status, code, "x", **headers))
    assert raised(patient, "pause").code == code
    assert (route.call_count, slept) == (1, [])


def test_patience_ends(respx_mock, patient, slept):
    """Ten seconds in all, and then the error is the last one."""
    route = respx_mock.route().mock(return_value=problem(503, "X", "x", **{"Retry-After": "4"}))
    assert raised(patient, "pause").code == "X"
    assert route.call_count == 3
    assert 8 <= sum(slept) <= 10


def test_the_time_of_a_call_ends_its_repeats(respx_mock, slept):
    """No pause reaches beyond it."""
    route = respx_mock.route().mock(return_value=problem(503, "X", "x", **{"Retry-After": "4"}))
    with RemoteWorkflowApi(BASE, token=TOKEN, change_timeout=3) as api:
        assert raised(api, "pause").code == "X"
    assert (route.call_count, slept) == (1, [])


@pytest.mark.parametrize("last", ["connect", "503", "404"])
def test_what_may_have_been_done_stays_unknown(respx_mock, patient, slept, last):
    """Whatever failed after it: the first request may have arrived."""
    ends: dict[str, Any] = {
        "connect": httpx.ConnectError("x"),
        "503": problem(503, "DATABASE_UNAVAILABLE", "x"),
        "404": httpx.Response(404, html=SAID),
    }
    respx_mock.route().mock(side_effect=[httpx.ReadError("x"), *[ends[last]] * 3])
    assert type(raised(patient, "pause")) is errors.ServerOutcomeUnknown


def test_a_refusal_after_a_lost_answer_is_a_refusal(respx_mock, patient, slept):
    """The server knows the key: had the first request been accepted, the answer to that would have come."""
    respx_mock.route().mock(side_effect=[httpx.ReadError("x"), problem(409, "WORKFLOW_PAUSED", "so it is")])
    assert type(raised(patient, "run")) is errors.WorkflowPaused


def test_a_request_that_stays_under_way_is_unknown(respx_mock, patient, slept):
    """Nobody but this client knows its key."""
    in_use = problem(409, "IDEMPOTENCY_KEY_IN_USE", "x", **{"Retry-After": "1"})
    respx_mock.route().mock(return_value=in_use)
    assert type(raised(patient, "run")) is errors.ServerOutcomeUnknown


# Time and connections, on real sockets.


def test_a_closed_port_is_unavailable(slept):
    """Nobody listens: nothing was done, however often it was tried."""
    [port] = free_ports(1)
    with RemoteWorkflowApi(f"http://127.0.0.1:{port}") as api:
        for name in ALL:
            assert type(raised(api, name)) is errors.ServerUnavailable


def test_a_dropped_connection_is_tried_again(slept):
    """By a read once, at once; by a change three times, after pauses."""
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


def test_half_a_body_is_no_answer(slept):
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
def test_a_call_ends_in_time_however_the_answer_trickles(talk):
    """Reads and changes have limits of their own, over the whole call."""
    with raw_server(talk) as url, RemoteWorkflowApi(url, read_timeout=0.3, change_timeout=0.9) as api:
        for name, least, most in (("workflow", 0.2, 0.8), ("pause", 0.8, 2.0)):
            started = time.monotonic()
            assert type(raised(api, name)) is unknown_if_it_changes(name)
            assert least < time.monotonic() - started < most


def test_an_endless_answer_is_not_read_to_its_end():
    """An answer of 100 MB is given up at the limit."""
    sent = [0]
    with raw_server(endless(sent)) as url, RemoteWorkflowApi(url) as api:
        assert type(raised(api, "workflow")) is errors.ServerUnavailable
    assert sent[0] < MAX_BODY + 16 * 2**20


def test_what_is_not_http_is_no_answer():
    """Another kind of server."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 smtp.test " + SAID.encode() + b"\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with raw_server(talk) as url, RemoteWorkflowApi(url) as api:
        assert type(raised(api, "workflow")) is errors.ServerUnavailable


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path, monkeypatch):
    """TLS is verified, against what SSL_CERT_FILE says, too."""
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
    """A certificate for 127.0.0.1 that is signed by itself, and its key."""
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
