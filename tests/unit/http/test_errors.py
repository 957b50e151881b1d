"""Tests of error responses: each has the one body shape, the right status and code, names the field, and leaves no side
effect.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.support.http_stack import NAME, ROOT, USER, YAML, check_answer, http_stack
from tests.support.log_lines import logged
from workflow_core import errors
from workflow_core.service import WorkflowService
from workflow_entrypoints.http import create_app
from workflow_entrypoints.http.errors import HTTP_CODES, STATUS, title
from workflow_entrypoints.settings import Settings

LONG = "a." + "b" * 298
JSON = {"Content-Type": "application/json"}
NAMES = ["one", "a%00b.c", "a%20b.c", "%C3%A4.b", "a..b", "..a", "a.-b", "a%0A.b", "%FF.b", LONG, "%2E%2E%5Ca.b"]
CYCLE = (
    "version: v1\nname: w\ntasks:\n"
    "  - {task_id: a, operator: empty, dependencies: [b]}\n  - {task_id: b, operator: empty, dependencies: [a]}\n"
)
BOMB = "version: v1\nname: w\nx0: &x0 [1]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.fixture
def stack():
    with http_stack(max_body_bytes=200_000) as running:
        running.register()
        yield running


def registration(**changes: Any) -> dict[str, Any]:
    """A valid request with these changes; None removes a field."""
    body = {
        "dataset_name": "a.w",
        "schedule": {"cron": "0 6 * * *", "timezone": "UTC"},
        "owner": "data@example.com",
        "yaml_content": "version: v1\nname: w\ntasks:\n  - {task_id: a, operator: empty}\n",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def spec(text: str) -> dict[str, Any]:
    """A registration with this YAML."""
    return registration(yaml_content=text)


def refused(stack: Any, method: str, path: str, **given: Any) -> Any:
    """The body of an error response, after a check that nothing was stored."""
    before = stack.stored()
    answer = stack.call(method, path, **given)
    assert stack.stored() == before
    assert 400 <= answer.status_code < 500, answer.text
    return answer.json()


def fields(body: Any) -> set[str]:
    """The fields that an error names."""
    return {item.get("field", "") for item in body["errors"]}


REGISTRATIONS = {
    "no name": (registration(dataset_name=None), "INVALID_REQUEST", "dataset_name"),
    "one segment": (registration(dataset_name="w"), "INVALID_REQUEST", "dataset_name"),
    "slash": (registration(dataset_name="a/b.w"), "INVALID_REQUEST", "dataset_name"),
    "dots": (registration(dataset_name="../a.w"), "INVALID_REQUEST", "dataset_name"),
    "nul in name": (registration(dataset_name="a\0.w"), "INVALID_REQUEST", "dataset_name"),
    "space": (registration(dataset_name="a .w"), "INVALID_REQUEST", "dataset_name"),
    "non-ascii": (registration(dataset_name="ä.w"), "INVALID_REQUEST", "dataset_name"),
    "300 characters": (registration(dataset_name=LONG), "INVALID_REQUEST", "dataset_name"),
    "name is a number": (registration(dataset_name=5), "INVALID_REQUEST", "dataset_name"),
    "no yaml": (registration(yaml_content=None), "INVALID_REQUEST", "yaml_content"),
    "no owner": (registration(owner=None), "INVALID_REQUEST", "owner"),
    "empty owner": (registration(owner=""), "INVALID_REQUEST", "owner"),
    "nul in owner": (registration(owner="a\0b"), "INVALID_REQUEST", "owner"),
    "no schedule": (registration(schedule=None), "INVALID_REQUEST", "schedule"),
    "schedule is text": (registration(schedule="0 6 * * *"), "INVALID_REQUEST", "schedule"),
    "unknown field": (registration(ownr="x"), "INVALID_REQUEST", "ownr"),
    "unknown field below": (
        registration(schedule={"cron": "0 6 * * *", "tz": "UTC"}),
        "INVALID_REQUEST",
        "schedule.tz",
    ),
    "unknown source": (registration(source_type="GIT"), "INVALID_REQUEST", "source_type"),
    "minute 61": (registration(schedule={"cron": "61 * * * *"}), "INVALID_CRON_EXPRESSION", "schedule.cron"),
    "six fields": (registration(schedule={"cron": "0 0 6 * * *"}), "INVALID_CRON_EXPRESSION", "schedule.cron"),
    "words": (registration(schedule={"cron": "every day at six"}), "INVALID_CRON_EXPRESSION", "schedule.cron"),
    "10 KB of cron": (registration(schedule={"cron": "0," * 5000}), "INVALID_CRON_EXPRESSION", "schedule.cron"),
    "time zone": (
        registration(schedule={"cron": "0 6 * * *", "timezone": "Mars/Base"}),
        "INVALID_REQUEST",
        "schedule.timezone",
    ),
    "broken yaml": (spec("version: [v1"), "INVALID_WORKFLOW_SPEC", None),
    "yaml is a list": (spec("- a"), "INVALID_WORKFLOW_SPEC", None),
    "100,000 brackets": (spec("x: " + "[" * 100_000), "INVALID_WORKFLOW_SPEC", None),
    "alias bomb": (spec(BOMB), "INVALID_WORKFLOW_SPEC", None),
    "python object": (spec("version: v1\nname: !!python/object:os.system x\n"), "INVALID_WORKFLOW_SPEC", None),
    "duplicate key": (spec("version: v1\nname: w\nname: w\n"), "INVALID_WORKFLOW_SPEC", None),
    "impossible date": (spec("version: v1\nname: w\nstart_date: 2026-02-30\n"), "INVALID_WORKFLOW_SPEC", None),
    "cycle": (spec(CYCLE), "INVALID_WORKFLOW_SPEC", "tasks[0].dependencies"),
    "unknown dependency": (
        spec("version: v1\nname: w\ntasks:\n  - {task_id: a, operator: empty, dependencies: [z]}\n"),
        "INVALID_WORKFLOW_SPEC",
        "tasks[0].dependencies[0]",
    ),
    "duplicate task": (
        spec("version: v1\nname: w\ntasks:\n" + "  - {task_id: a, operator: empty}\n" * 2),
        "INVALID_WORKFLOW_SPEC",
        "tasks[1].task_id",
    ),
    "operator not allowed": (
        spec("version: v1\nname: w\ntasks:\n  - {task_id: a, operator: os.system}\n"),
        "INVALID_WORKFLOW_SPEC",
        "tasks[0].operator",
    ),
    "other name": (spec("version: v1\nname: other\n"), "INVALID_WORKFLOW_SPEC", "name"),
    "unknown key": (spec("version: v1\nname: w\ntask: []\n"), "INVALID_WORKFLOW_SPEC", "task"),
}


@pytest.mark.parametrize(("body", "code", "field"), REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_invalid_registrations_are_400(stack, body, code, field):
    """An invalid registration is rejected with its code and the invalid field."""
    answer = refused(stack, "POST", "register", json=body)
    assert (answer["status"], answer["code"]) == (400, code)
    assert field is None or field in fields(answer)


def test_yaml_over_the_size_limit_is_rejected(stack):
    """YAML over its limit is 400, even if the body is within the limit for bodies."""
    with http_stack() as roomy:
        answer = refused(roomy, "POST", "register", json=spec("# " + "x" * 300_000))
    assert answer["code"] == "INVALID_WORKFLOW_SPEC"


def test_findings_in_the_yaml_have_line_and_column(stack):
    """Each finding contains its position in the text."""
    answer = refused(stack, "POST", "register", json=spec("version: v1\nname: w\ntask: []\nkey: 1\n"))
    assert [(item["line"], item["column"]) for item in answer["errors"]] == [(3, 1), (4, 1)]


def test_an_existing_name_is_409(stack):
    """A registered name cannot be registered again."""
    answer = refused(stack, "POST", "register", json={"dataset_name": NAME, "yaml_content": YAML})
    assert (answer["status"], answer["code"]) == (409, "WORKFLOW_ALREADY_EXISTS")


def test_a_second_name_with_the_same_dag_id_is_409(stack):
    """The error names the workflow that has the DAG id."""
    yaml = YAML.replace("daily_clicks", "daily-clicks")
    body = {"dataset_name": "iceberg.analytics.daily-clicks", "yaml_content": yaml}
    answer = refused(stack, "POST", "register", json=body)
    assert (answer["status"], answer["code"]) == (409, "WORKFLOW_ALREADY_EXISTS")
    assert f"{NAME!r} holds" in answer["detail"]


def test_registering_as_code_is_403(stack):
    """Only a pipeline publishes CODE workflows."""
    answer = refused(stack, "POST", "register", json=registration(source_type="CODE"))
    assert (answer["status"], answer["code"]) == (403, "WORKFLOW_PERMISSION_DENIED")


RUNS = {
    "params is a list": ({"params": [1]}, "params"),
    "params is text": ({"params": "x"}, "params"),
    "params is null": ({"params": None}, "params"),
    "not declared": ({"params": {"regoin": "US"}}, "params.regoin"),
    "wrong type": ({"params": {"region": 5}}, "params.region"),
    "no date": ({"params": {"date": "2026-02-30"}}, "params.date"),
    "nul": ({"params": {"region": "\0"}}, "params.region"),
    "nul in a name": ({"params": {"\0": 1}}, "params.'\\x00'"),
    "too large": ({"params": {"region": "x" * 70_000}}, "params"),
    "unknown field": ({"parms": {}}, "parms"),
    "text for a flag": ({"dry_run": "true"}, "dry_run"),
    "number for a flag": ({"dry_run": 1}, "dry_run"),
}


@pytest.mark.parametrize(("body", "field"), RUNS.values(), ids=RUNS)
def test_invalid_runs_are_400(stack, body, field):
    """Invalid params and flags are rejected by field."""
    answer = refused(stack, "POST", f"{NAME}/run", json=body)
    assert (answer["status"], answer["code"]) == (400, "INVALID_REQUEST")
    assert field in fields(answer)


@pytest.mark.parametrize("flag", [True, False])
def test_a_run_of_a_paused_workflow_is_409(stack, flag):
    """The service rejects the run, which Airflow would queue; a dry run is also rejected."""
    stack.post(f"{NAME}/pause")
    answer = refused(stack, "POST", f"{NAME}/run", json={"dry_run": flag})
    assert (answer["status"], answer["code"]) == (409, "WORKFLOW_PAUSED")


@pytest.mark.parametrize("path", ["/run", "/pause", "/unpause", ""])
@pytest.mark.parametrize("name", NAMES)
def test_invalid_names_in_paths_are_400(stack, name, path):
    """A segment that is not a valid dataset name is rejected in each route that has one."""
    answer = refused(stack, "POST" if path else "GET", f"{name}{path}")
    assert (answer["status"], answer["code"], fields(answer)) == (400, "INVALID_REQUEST", {"dataset_name"})


@pytest.mark.parametrize("name", ["history", "register"])
def test_route_names_are_not_workflow_names(stack, name):
    """A single segment is never a dataset name, so that no route can hide a workflow."""
    assert fields(refused(stack, "POST", f"{name}/run")) == {"dataset_name"}


@pytest.mark.parametrize("run_id", ["a%20b", "a..b", "a%00", "x" * 251, "%C3%A9", "a%5Cb"])
def test_invalid_run_ids_are_400(stack, run_id):
    """A run id that Airflow would reject is rejected here."""
    answer = refused(stack, "GET", f"runs/{run_id}")
    assert (answer["status"], answer["code"], fields(answer)) == (400, "INVALID_REQUEST", {"run_id"})


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "no.such", "WORKFLOW_NOT_FOUND"),
        ("POST", "no.such/run", "WORKFLOW_NOT_FOUND"),
        ("POST", "no.such/pause", "WORKFLOW_NOT_FOUND"),
        ("POST", "no.such/unpause", "WORKFLOW_NOT_FOUND"),
        ("GET", "runs/no.such_20260101_100000", "WORKFLOW_RUN_NOT_FOUND"),
    ],
)
def test_missing_resources_are_404(stack, method, path, code):
    """Unknown workflows and unknown runs have separate codes."""
    answer = refused(stack, method, path)
    assert (answer["status"], answer["code"]) == (404, code)


@pytest.mark.parametrize("listed", ["", "history"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("limit=5.0", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%D9%A5", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("offset=-1", "offset"),
        ("offset=2147483648", "offset"),
        ("cursor=", "cursor"),
        ("cursor=%2B", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("cursor=WyJcdTAwMDAiXQ", "cursor"),
        ("page=2", "page"),
        ("LIMIT=2", "LIMIT"),
        ("%00=2", "'\\x00'"),
    ],
)
def test_invalid_paging_is_400(stack, listed, query, field):
    """Invalid paging and unknown parameters are rejected by name."""
    answer = refused(stack, "GET", f"{listed}?{query}")
    assert (answer["status"], answer["code"], fields(answer)) == (400, "INVALID_REQUEST", {field})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?status=ACTIVE", "status"),
        ("?status=deleted", "status"),
        ("?status=", "status"),
        ("?source_type=manual", "source_type"),
        ("?owner=", "owner"),
        ("?owner=%00", "owner"),
        ("?dataset_name=a.b", "dataset_name"),
        ("history?dataset_name=one", "dataset_name"),
        ("history?dataset_name=", "dataset_name"),
        ("history?start_date=2026-02-30", "start_date"),
        ("history?start_date=1767225600", "start_date"),
        ("history?start_date=20260101", "start_date"),
        ("history?end_date=2026-01-01T00:00:00Z", "end_date"),
        ("history?start_date=2026-01-02&end_date=2026-01-01", "end_date"),
        ("history?status=SUCCESS", "status"),
        (f"{NAME}?verbose=1", "verbose"),
        ("runs/a.b?x=1", "x"),
    ],
)
def test_invalid_filters_are_400(stack, query, field):
    """Invalid filters are rejected by name."""
    answer = refused(stack, "GET", query)
    assert (answer["status"], answer["code"], fields(answer)) == (400, "INVALID_REQUEST", {field})


def test_all_findings_are_returned_together(stack):
    """The response has one entry for each error, so that a caller can fix all of them in one step."""
    answer = refused(stack, "GET", "?limit=0&offset=x&status=y&z=1")
    assert fields(answer) == {"limit", "offset", "status", "z"}
    assert "(and 3 more)" in answer["detail"]


@pytest.mark.parametrize("path", [f"{NAME}/pause", f"{NAME}/run"])
def test_findings_are_truncated(stack, path):
    """A body of a thousand unknown fields is answered with the first fifty findings and the number of the others."""
    many = {f"x{n}": n for n in range(1000)}
    answer = refused(stack, "POST", path, json={"params": many} if path.endswith("run") else many)
    assert len(answer["errors"]) == 50
    assert "(and 999 more)" in answer["detail"]


def test_a_query_that_is_not_utf8_is_400(stack):
    """Invalid bytes are rejected, not guessed."""
    assert refused(stack, "GET", "?owner=%FF")["code"] == "INVALID_REQUEST"


def test_a_query_with_too_many_parameters_is_400(stack):
    """The number of parameters is limited."""
    assert refused(stack, "GET", "?" + "&".join(["limit=1"] * 101))["code"] == "INVALID_REQUEST"


# Bodies.

BODIES = {
    "empty": b"",
    "blank": b" ",
    "broken": b'{"reason": ',
    "two values": b"{} {}",
    "not UTF-8": b'{"reason": "\xff"}',
    "UTF-16": '{"reason": "x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone surrogate": b'{"reason": "\\ud800"}',
    "100,000 brackets": b"[" * 100_000,
    "100,000 closed brackets": b"[" * 50_000 + b"]" * 50_000,
    "300 levels": b'{"reason": ' + b"[" * 300 + b"]" * 300 + b"}",
    "5,000 digits": b'{"reason": ' + b"9" * 5000 + b"}",
    "NaN": b'{"reason": NaN}',
    "Infinity": b'{"reason": -Infinity}',
    "single quotes": b"{'reason': 'x'}",
    "comment": b"{} // x",
    "array": b"[]",
    "null": b"null",
    "text": b'"x"',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_bodies_that_are_not_a_json_object_are_400(stack, body):
    """A body that is not one JSON object in UTF-8 is rejected quickly and without side effects."""
    started = time.perf_counter()
    answer = refused(stack, "POST", "register", content=body, headers=JSON)
    assert (answer["status"], answer["code"]) == (400, "INVALID_REQUEST")
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_outside_json_are_rejected(stack, number):
    """NaN and infinities are rejected at any depth."""
    body = b'{"params": {"region": [' + number + b"]}}"
    assert "not JSON" in refused(stack, "POST", f"{NAME}/run", content=body, headers=JSON)["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"reason": "a", "reason": "b"}', "reason"),
        (b'{"reason": "a", "\\u0072eason": "a"}', "reason"),
        (b'{"params": {"x": {"y": 1, "y": 1}}}', "y"),
    ],
)
def test_a_duplicate_key_is_400(stack, body, field):
    """The service cannot know which of the two values the caller intended."""
    answer = refused(stack, "POST", f"{NAME}/{'run' if b'params' in body else 'pause'}", content=body, headers=JSON)
    assert field in fields(answer)


@pytest.mark.parametrize("body", [{"reason": "x"}, {"dataset_name": NAME}])
def test_unpause_takes_no_fields(stack, body):
    """A body of unpause must be empty."""
    assert refused(stack, "POST", f"{NAME}/unpause", json=body)["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize("reason", ["x" * 1001, 5, ["x"], "a\0b"])
def test_invalid_reasons_are_400(stack, reason):
    """A reason is a text of at most 1,000 characters that can be stored."""
    assert fields(refused(stack, "POST", f"{NAME}/pause", json={"reason": reason})) == {"reason"}


@pytest.mark.parametrize(
    "given",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/jsonx",
        ";",
    ],
)
def test_other_media_types_are_415(stack, given):
    """A body whose media type is not JSON in UTF-8 is not parsed as JSON."""
    answer = refused(stack, "POST", f"{NAME}/pause", content=b"{}", headers={"Content-Type": given})
    assert (answer["status"], answer["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "given",
    ["application/json", "Application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"', "application/x+json"],
)
def test_each_spelling_of_the_json_media_type_is_accepted(stack, given):
    """The media type is compared without regard to case, as RFC 9110 requires."""
    assert stack.post(f"{NAME}/pause", content=b"{}", headers={"Content-Type": given}).status_code == 200


@pytest.mark.parametrize("size", [200_001, 3_000_000])
@pytest.mark.parametrize("path", ["register", f"{NAME}/run", f"{NAME}/pause", f"{NAME}/unpause"])
def test_a_body_over_the_limit_is_413(stack, path, size):
    """The limit applies to any content."""
    answer = refused(stack, "POST", path, content=b" " * size, headers=JSON)
    assert (answer["status"], answer["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_body_at_the_limit_is_read(stack):
    """A body of exactly the maximum size is accepted."""
    answer = stack.post(f"{NAME}/pause", content=b"{}".ljust(200_000), headers=JSON)
    assert answer.status_code == 200


def test_requests_from_other_sites_are_403(stack):
    """A web page in a browser on this host cannot trigger runs here."""
    answer = refused(stack, "POST", f"{NAME}/run", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer["status"], answer["code"]) == (403, "PERMISSION_DENIED")


# Other systems.


@pytest.mark.parametrize(
    ("system", "method", "path", "body", "code"),
    [
        ("airflow", "POST", "register", registration(), "AIRFLOW_CONNECTION_FAILED"),
        ("storage", "POST", "register", registration(), "STORAGE_UNAVAILABLE"),
        ("database", "POST", "register", registration(), "DATABASE_UNAVAILABLE"),
        ("airflow", "POST", f"{NAME}/run", {}, "AIRFLOW_CONNECTION_FAILED"),
        ("airflow", "POST", f"{NAME}/run", {"dry_run": True}, "AIRFLOW_CONNECTION_FAILED"),
        ("database", "POST", f"{NAME}/run", {}, "DATABASE_UNAVAILABLE"),
        ("airflow", "POST", f"{NAME}/pause", {}, "AIRFLOW_CONNECTION_FAILED"),
        ("airflow", "POST", f"{NAME}/unpause", {}, "AIRFLOW_CONNECTION_FAILED"),
        ("database", "GET", "", None, "DATABASE_UNAVAILABLE"),
        ("database", "GET", "history", None, "DATABASE_UNAVAILABLE"),
        ("database", "GET", NAME, None, "DATABASE_UNAVAILABLE"),
        ("database", "GET", "runs/a.b", None, "DATABASE_UNAVAILABLE"),
    ],
)
def test_an_unavailable_system_is_503_and_nothing_is_recorded(stack, system, method, path, body, code):
    """The code names the system, Retry-After contains the delay, and no step of the request has happened."""
    before = stack.stored()
    getattr(stack, system).go_down()
    answer = stack.call(method, path, json=body) if body is not None else stack.call(method, path)
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) > 0
    getattr(stack, system).come_back()
    assert stack.stored() == before


# The shape.


def every_error() -> list[type[errors.WorkflowError]]:
    """The root of the error tree and all of its subclasses."""
    found = [errors.WorkflowError]
    for error in found:
        found += error.__subclasses__()
    return [error for error in dict.fromkeys(found) if error.__module__.startswith(f"{errors.__name__}.")]


def made(error: type[errors.WorkflowError]) -> errors.WorkflowError:
    """An instance of the error with placeholder arguments."""
    found = error.__new__(error)
    errors.WorkflowError.__init__(found, "what went wrong")
    if isinstance(found, errors.InvalidRequest):
        found._problems = (errors.Problem(message="what went wrong", field="x"),)
    return found


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_has_a_status(error):
    """Each error of the project has a status, so that none becomes a 500."""
    assert STATUS[error.code] in {400, 401, 403, 404, 409, 412, 422, 429, 500, 502, 503}


def test_every_code_in_the_status_table_belongs_to_an_error():
    """The table contains no unused code."""
    assert set(STATUS) == {error.code for error in every_error()}


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_is_a_problem(stack, error, monkeypatch):
    """Each error that a use case can raise gets the one body shape with its code and status."""
    monkeypatch.setattr(WorkflowService, "workflow", raising(made(error)))
    answer = stack.client.get(f"{ROOT}/{NAME}")
    code = error.code if STATUS[error.code] != 500 else "INTERNAL_ERROR"
    assert_problem(answer, STATUS[error.code], code)
    assert ("retry-after" in answer.headers) == (answer.status_code == 503 or error is errors.KeyInUse)


REFUSALS = {
    "400 query": ("GET", f"{ROOT}?x=1", {}, 400),
    "400 body": ("POST", f"{ROOT}/register", {"content": b"{"}, 400),
    "400 name": ("GET", f"{ROOT}/one", {}, 400),
    "400 encoded slash": ("GET", f"{ROOT}/%2Fa.b", {}, 400),
    "403": ("POST", f"{ROOT}/a.b/run", {"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
    "404 workflow": ("GET", f"{ROOT}/a.b", {}, 404),
    "404 root": ("GET", "/", {}, 404),
    "404 route": ("GET", "/nope", {}, 404),
    "404 below a name": ("POST", f"{ROOT}/a.b/run/now", {}, 404),
    "404 slash": ("GET", f"{ROOT}/", {}, 404),
    "405": ("DELETE", ROOT, {}, 405),
    "405 literal route": ("GET", f"{ROOT}/register", {}, 405),
    "405 odd method": ("BREW", "/healthz", {}, 405),
    "413": ("POST", f"{ROOT}/register", {"content": b" " * 300_000, "headers": JSON}, 413),
    "415": ("POST", f"{ROOT}/register", {"content": b"{}"}, 415),
}


@pytest.mark.parametrize(("method", "path", "given", "status"), REFUSALS.values(), ids=REFUSALS)
def test_every_early_error_has_the_same_shape(stack, method, path, given, status):
    """Errors that occur before a use case is called have the same shape as those from use cases."""
    if status == 400 and "content" in given:
        given = {**given, "headers": JSON}
    answer = stack.client.request(method, path, **given)
    assert_problem(answer, status, answer.json()["code"])


def test_method_not_allowed_lists_the_methods(stack):
    """A 405 contains Allow."""
    answer = stack.call("DELETE", f"{ROOT}/{NAME}/run")
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert {part.strip() for part in answer.headers["allow"].split(",")} == {"POST", "OPTIONS"}


def test_an_unexpected_error_is_logged_and_not_disclosed(stack, monkeypatch):
    """The log contains the traceback, without secrets, under the id of the response; the response contains no detail."""
    monkeypatch.setattr(WorkflowService, "workflow", raising(RuntimeError("seen with password=hunter2")))
    with logged("workflow_entrypoints.http.errors") as lines:
        answer = stack.get(NAME, headers={"X-Request-ID": "find-me"})
    assert_problem(answer, 500, "INTERNAL_ERROR")
    assert "RuntimeError" not in answer.text
    assert "hunter2" not in answer.text + str(lines)
    assert lines[0]["request_id"] == "find-me"
    assert "Traceback" in lines[0]["traceback"]
    assert "RuntimeError: seen with password=****" in lines[0]["traceback"]


def test_an_unexpected_error_is_not_disclosed_in_debug_mode(stack, monkeypatch):
    """Litestar's pages with tracebacks are never served, regardless of its environment variables."""
    monkeypatch.setenv("LITESTAR_DEBUG", "1")
    monkeypatch.setattr(WorkflowService, "workflow", raising(RuntimeError("hunter2")))
    with TestClient(create_app(stack.service, Settings(user=USER)), raise_server_exceptions=False) as client:
        answer = client.get(f"{ROOT}/{NAME}", headers={"Accept": "text/html"})
    check_answer(answer)
    assert "hunter2" not in answer.text


def raising(error: Exception) -> Any:
    """A function that raises."""

    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def assert_problem(answer: Any, status: int, code: str) -> None:
    """Assert that the response is an RFC 9457 problem with this project's fields."""
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["code"] == code
    assert code in {*STATUS, *HTTP_CODES.values()}
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("/")
    assert set(body) <= {"type", "title", "status", "code", "detail", "instance", "errors"}
    assert json.dumps(body).isascii()
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(("status", "name"), [(413, "Content Too Large"), (422, "Unprocessable Content")])
def test_status_titles_are_those_of_rfc_9110(status, name):
    """The titles do not depend on the version of Python, whose names differ."""
    assert title(status) == name
