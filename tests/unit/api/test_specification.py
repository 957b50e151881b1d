"""``docs/specification.md`` is the contract: every request of it is sent, in its order, and every name on it exists."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
import typer.main
from attrs import frozen

from devstack.docs import DOCS
from tests.support.http_stack import USER, Stack, http_stack
from workflow_core import api
from workflow_core.domain.caller import Caller
from workflow_entrypoints.cli.app import app
from workflow_entrypoints.http.errors import STATUS
from workflow_entrypoints.http.openapi import openapi_document
from workflow_entrypoints.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE: Final = (DOCS / "specification.md").read_text(encoding="utf-8")
ROOT: Final = "/api/v1/workflows"
CLICKS: Final = "iceberg.analytics.daily_clicks"
NEW: Final = "iceberg.analytics.new_workflow"


@frozen
class Endpoint:
    """One endpoint of the page: the request and the answer that stand there, and the further fields that it names."""

    method: str
    path: str
    request: Any
    status: int
    answer: Any
    also: frozenset[str]

    @property
    def item(self) -> dict[str, Any]:
        """The answer, or the one item of a list."""
        return dict(self.answer[0] if isinstance(self.answer, list) else self.answer)


def endpoints() -> Iterator[Endpoint]:
    """The endpoints, in the order of the page."""
    chapter = PAGE.partition("## Endpoints\n")[2].partition("\n## ")[0]
    for section in chapter.split("\n### ")[1:]:
        method, path = re.findall(r"`([A-Z]+) (\S+)`", section.splitlines()[0])[0]
        requests = re.findall(r"```json request\n(.*?)```", section, re.DOTALL)
        [(status, answer)] = re.findall(r"```json answer (\d+)\n(.*?)```", section, re.DOTALL)
        also = re.findall(r"^Also: (.*)\.$", section, re.MULTILINE)
        yield Endpoint(
            method,
            path,
            json.loads(requests[0]) if requests else None,
            int(status),
            json.loads(answer),
            frozenset(re.findall(r"`(\w+)`", also[0])) if also else frozenset(),
        )


ENDPOINTS: Final = tuple(endpoints())
REGISTER: Final = next(one for one in ENDPOINTS if one.path.endswith("/register"))


def chapter(title: str) -> str:
    """The text below a heading of the page."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def routes(text: str) -> list[str]:
    """Each method and path that is written as code."""
    return re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /\S+)`", text)


def registration_of(name: str) -> dict[str, Any]:
    """The registration of the page, for a workflow of another name."""
    body = json.dumps(REGISTER.request).replace("new_workflow", name.rpartition(".")[2])
    return dict(json.loads(body))


@pytest.fixture
def stack() -> Iterator[Stack]:
    """On the day after the dates of the backfill, with the workflow of the examples registered as the page registers one."""
    with http_stack() as running:
        running.clock.sleep((datetime(2026, 1, 8, 10, tzinfo=UTC) - running.clock.now()).total_seconds())
        answer = running.call("POST", "register", json=registration_of(CLICKS))
        assert answer.status_code == 201, answer.text
        yield running


def let_everything_end(stack: Stack) -> None:
    for _ in range(40):
        stack.clock.sleep(2)
        stack.sweeper.sweep()


def check_like(endpoint: Endpoint, answer: Any) -> None:
    """Assert that an answer has the fields of the page, none that it does not name, and values of the same kinds."""
    items = answer if isinstance(endpoint.answer, list) else [answer]
    assert items
    for item in items:
        assert set(endpoint.item) <= set(item) <= set(endpoint.item) | endpoint.also
    if not isinstance(endpoint.answer, list):
        assert answer["status"] == endpoint.answer["status"] or endpoint.method == "GET"


def test_every_request_of_the_page_is_answered_as_it_says(stack: Stack) -> None:
    """Over HTTP, in the order of the page: its statuses, its fields, and for what the caller chose, its values."""
    run_id = ""
    for endpoint in ENDPOINTS:
        if endpoint.method == "DELETE":
            let_everything_end(stack)
        path = endpoint.path.replace("{dataset_name}", CLICKS).replace("{run_id}", run_id)
        sent = {"json": endpoint.request} if endpoint.request is not None else {}
        answer = stack.call(endpoint.method, path, **sent)
        assert answer.status_code == endpoint.status, f"{endpoint.method} {path}: {answer.text}"
        check_like(endpoint, answer.json())
        if endpoint.path.endswith("/run"):
            run_id = answer.json()["run_id"]
            assert run_id == f"{CLICKS}_20260108_100000"
            assert answer.json()["params"] == endpoint.request["params"]
        if endpoint.path.endswith("/backfill"):
            check_backfill(endpoint.answer, answer.json(), taken=run_id)


def check_backfill(expected: dict[str, Any], answer: dict[str, Any], *, taken: str) -> None:
    """Assert that each date of the page's backfill has a run: the first the one that was started before, the others new ones."""
    own = ("run_ids", "total_runs", "skipped", "warnings")
    assert {name: value for name, value in answer.items() if name not in own} == {
        name: value for name, value in expected.items() if name not in own
    }
    assert answer["skipped"] == [{"date": "2026-01-01", "run_id": taken, "status": "PENDING"}]
    assert answer["warnings"] == ["6 of 7 dates will run: 1 already has a run under way (1 PENDING)."]
    days = [f"202601{day:02}" for day in range(2, 8)]
    assert answer["run_ids"] == [f"{expected['backfill_id']}_{day}" for day in days]
    assert answer["total_runs"] + len(answer["skipped"]) == expected["total_runs"]


def test_the_same_calls_are_answered_in_one_process(stack: Stack) -> None:
    """The models of the library take the same requests, and answer with the same fields."""
    local = stack.service.as_(Caller(name=USER))
    sent = {(one.method, one.path.removeprefix(ROOT)): one for one in ENDPOINTS}

    def like(method: str, path: str, call: Callable[[Any], Any]) -> Any:
        """Make the call with the request of the page, and compare the answer; the answer as data."""
        endpoint = sent[method, path]
        answer = call(endpoint.request)
        items = answer.items if isinstance(answer, api.Listing) else [answer]
        bodies = [item.model_dump(mode="json") for item in items]
        check_like(endpoint, bodies if isinstance(answer, api.Listing) else bodies[0])
        return bodies[0]

    run = like("POST", "/{dataset_name}/run", lambda body: local.run(CLICKS, api.RunRequest(**body)))
    run_id = run["run_id"]
    like("POST", "/{dataset_name}/backfill", lambda body: local.backfill(CLICKS, api.BackfillRequest(**body)))
    like("POST", "/runs/{run_id}/stop", lambda body: local.stop(run_id, api.StopRequest(**body)))
    like("GET", "/runs/{run_id}", lambda _: local.status(run_id))
    like("GET", "", lambda _: local.workflows())
    like("GET", "/history", lambda _: local.history(api.HistoryFilters(dataset_name=CLICKS)))
    like("POST", "/{dataset_name}/pause", lambda body: local.pause(CLICKS, api.PauseRequest(**body)))
    like("POST", "/{dataset_name}/unpause", lambda _: local.unpause(CLICKS))
    like("POST", "/register", lambda body: local.register(api.RegisterRequest(**body)))
    let_everything_end(stack)
    like("DELETE", "/{dataset_name}", lambda _: local.unregister(CLICKS))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"dataset_name": CLICKS}, 1),
        ({"dataset_name": NEW}, 0),
        ({"start_date": "2026-01-08", "end_date": "2026-01-08"}, 1),
        ({"start_date": "2026-01-09"}, 0),
        ({"end_date": "2026-01-07"}, 0),
        ({"limit": "1"}, 1),
    ],
)
def test_the_filters_of_the_history(stack: Stack, query: dict[str, str], found: int) -> None:
    """Both dates are included, whole days in UTC."""
    stack.post(f"{CLICKS}/run")
    assert len(stack.get("history", params=query).json()) == found


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_the_page_names_every_field_of_an_answer(endpoint: Endpoint) -> None:
    """Those of the example and those after *also* are exactly those of the OpenAPI document."""
    document = openapi_document()
    answers = document["paths"][endpoint.path][endpoint.method.lower()]["responses"]
    schema = answers[str(endpoint.status)]["content"]["application/json"]["schema"]
    schema = schema.get("items", schema)
    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert set(schema["properties"]) == set(endpoint.item) | endpoint.also
    assert set(schema["required"]) == set(endpoint.item)


def test_the_page_has_every_route() -> None:
    """The specification's ten among its endpoints and commands, all others among the additions; and none that does not exist."""
    existing = {
        f"{method.upper()} {path}"
        for path, operations in openapi_document()["paths"].items()
        for method in operations
        if method in {"get", "post", "put", "patch", "delete"}
    }
    specified = [f"{one.method} {one.path}" for one in ENDPOINTS]
    assert len(specified) == 10
    assert sorted(specified + routes(chapter("Additions"))) == sorted(existing)
    assert sorted(routes(chapter("Commands"))) == sorted(specified)
    assert set(routes(PAGE)) <= existing


def test_every_code_of_the_page_exists_with_its_status() -> None:
    """The six of the specification among them."""
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", chapter("Error codes"), re.MULTILINE))
    assert {code: STATUS.get(code) for code in table} == {code: int(status) for code, status in table.items()}
    assert list(table)[:6] == [
        "WORKFLOW_NOT_FOUND",
        "WORKFLOW_ALREADY_EXISTS",
        "WORKFLOW_PERMISSION_DENIED",
        "WORKFLOW_RUN_NOT_FOUND",
        "AIRFLOW_CONNECTION_FAILED",
        "INVALID_CRON_EXPRESSION",
    ]


def test_every_command_of_the_page_has_its_options() -> None:
    """As the command line has them."""
    root: Any = typer.main.get_command(app)
    rows = re.findall(r"^\| `dli workflow (\w+)[^`]*` \| `[^`]+` \|(.*)\|$", chapter("Commands"), re.MULTILINE)
    assert len(rows) == 10
    for name, options in rows:
        parameters = root.commands["workflow"].commands[name].params
        known = {option for parameter in parameters for option in parameter.opts}
        assert set(re.findall(r"`(--[a-z-]+)`", options)) <= known, name


def test_every_value_of_the_enums_is_one_of_the_document() -> None:
    """In their order."""
    schemas = openapi_document()["components"]["schemas"]
    table = dict(re.findall(r"^\| `?([\w ]+?)`? \| (`.*`) \|$", chapter("Enums"), re.MULTILINE))
    written = {name: re.findall(r"`(\w+)`", values) for name, values in table.items()}
    assert written["WorkflowSourceType"] == schemas["SourceType"]["enum"]
    assert written["WorkflowStatus"] == schemas["WorkflowStatus"]["enum"]
    assert written["WorkflowRunStatus"] == schemas["RunStatus"]["enum"]
    assert set(written["run type"]) <= set(schemas["RunType"]["enum"])


def test_the_configuration_of_the_page_is_read(tmp_path: Any) -> None:
    """The file as it stands there, with its defaults."""
    [text] = re.findall(r"```yaml\n(.*?)```", chapter("Configuration"), re.DOTALL)
    file = tmp_path / "application.yaml"
    file.write_text(text)
    settings = load_settings({"WORKFLOWS_CONFIG": str(file)})
    assert settings.airflow_base_url == "http://localhost:8080"
    assert (settings.airflow_username, settings.airflow_password.get_secret_value()) == ("admin", "admin")
    assert settings.storage == "s3://data-workflows/workflows"
