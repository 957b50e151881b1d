"""The HTTP API over the fakes, with each response verified against the service's OpenAPI document."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import frozen
from jsonschema import Draft202012Validator
from litestar.testing import TestClient

from tests.support.use_cases import UseCases
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import SourceType
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper
from workflow_entrypoints.http import create_app, openapi_document
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx import Response

    from workflow_core.fakes.tokens import InMemoryTokens
    from workflow_core.usecases.config import ServiceConfig

ROOT = "/api/v1/workflows"
NAME = "iceberg.analytics.daily_clicks"
USER = "user@example.com"
TEN = datetime(2026, 1, 1, 10, tzinfo=UTC)
"""The moment of the specification's examples."""

YAML = """\
version: v1
name: daily_clicks
owner: data@example.com
team: "@data-eng"
schedule: {cron: 0 6 * * *, timezone: UTC}
params: {region: US}
tasks:
  - {task_id: extract, operator: bash, bash_command: "true"}
  - {task_id: clean, operator: empty, dependencies: [extract]}
  - {task_id: validate, operator: empty, dependencies: [clean]}
  - {task_id: aggregate_clicks, operator: empty, dependencies: [validate]}
  - {task_id: report, operator: empty, dependencies: [aggregate_clicks]}
"""


@frozen(kw_only=True)
class Stack:
    """A client of the API, and the fakes behind it. :meth:`call` checks each answer against the document."""

    client: TestClient[Any]
    service: WorkflowService
    database: InMemoryDatabase
    airflow: InMemoryAirflow
    storage: InMemoryStorage
    clock: ManualClock

    @property
    def usecases(self) -> UseCases:
        """The use cases behind the API, for tests that check entities."""
        return UseCases(self.service.context)

    @property
    def sweeper(self) -> Sweeper:
        """A worker of the service."""
        return Sweeper(self.service.context)

    def call(self, method: str, path: str, **given: Any) -> Response:
        """Send a request; a ``path`` without a slash in front is below the API's root."""
        between = "" if path[:1] in {"", "?"} else "/"
        url = path if path.startswith("/") else f"{ROOT}{between}{path}"
        answer: Response = self.client.request(method, url, **given)
        check_answer(answer)
        return answer

    def get(self, path: str, **given: Any) -> Response:
        return self.call("GET", path, **given)

    def post(self, path: str, json: Any = None, **given: Any) -> Response:
        return self.call("POST", path, **({"json": json} if json is not None else {}), **given)

    def register(self, name: str = NAME, yaml: str = YAML) -> None:
        """Register a workflow behind the API."""
        self.usecases.register(name, yaml.replace("daily_clicks", name.rpartition(".")[2]))

    def stored(self) -> tuple[Any, ...]:
        """The content of the three systems, read behind the API."""
        objects = [
            (ref.source, ref.dataset_name, ref.etag) for source in SourceType for ref in self.storage.list(source)
        ]
        return (
            self.database.workflows.list_workflows(WorkflowFilter(), PageRequest(limit=500)).items,
            self.database.workflows.history(HistoryFilter(), PageRequest(limit=500)).items,
            objects,
            list(self.airflow.changed_runs(datetime(2000, 1, 1, tzinfo=UTC)).runs),
        )


@contextmanager
def http_stack(
    *,
    queue_seconds: float = 1.0,
    task_seconds: float = 1.0,
    policy: ServiceConfig | None = None,
    client: TestClient[Any] | None = None,
    tokens: InMemoryTokens | None = None,
    **settings: Any,
) -> Iterator[Stack]:
    """A running application over empty fakes, at ten o'clock; or the fakes for a ``client`` of one that runs already."""
    clock = ManualClock(TEN)
    storage = InMemoryStorage()
    airflow = InMemoryAirflow(storage=storage, clock=clock, queue_seconds=queue_seconds, task_seconds=task_seconds)
    database = InMemoryDatabase()
    service = WorkflowService(database=database, airflow=airflow, storage=storage, clock=clock, policy=policy)
    parts = {"service": service, "database": database, "airflow": airflow, "storage": storage, "clock": clock}
    if client is not None:
        yield Stack(client=client, **parts)  # type: ignore[arg-type]
        return
    app = create_app(service, Settings(user=USER, **settings), tokens=tokens)
    with TestClient(app, raise_server_exceptions=False) as running:
        yield Stack(client=running, **parts)  # type: ignore[arg-type]


def check_answer(answer: Response) -> None:
    """Assert that the document declares this response: status, media type, headers and body."""
    method = answer.request.method
    assert answer.headers["x-request-id"]
    if method in {"HEAD", "OPTIONS"}:
        assert answer.content == b""
        return
    declared = _declared(method, answer.request.url.raw_path.decode().partition("?")[0])
    if declared is None:
        assert answer.status_code in {404, 405}, "an answer that the document does not know"
        _check_body(answer, {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}})
        return
    assert str(answer.status_code) in declared, f"{answer.status_code} is not declared: {answer.text}"
    response = declared[str(answer.status_code)]
    for name, header in response["headers"].items():
        rules = _document()["components"]["headers"][header["$ref"].rpartition("/")[2]]
        assert name in answer.headers or not rules.get("required"), f"{name} is missing"
    if answer.status_code == 304:
        assert answer.content == b""
        return
    _check_body(answer, response["content"])
    if "x-codes" in response:
        body = answer.json()
        assert body["status"] == answer.status_code
        assert body["code"] in response["x-codes"], f"{body['code']} is not declared for {answer.status_code}"


def _declared(method: str, path: str) -> dict[str, Any] | None:
    paths = _document()["paths"]
    literal = [template for template in paths if template == path]
    fitting = literal or [template for template in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)]
    operation = paths[fitting[0]].get(method.lower()) if fitting else None
    return operation["responses"] if operation else None


def _check_body(answer: Response, content: dict[str, Any]) -> None:
    media_type = answer.headers["content-type"]
    assert media_type in content or media_type.partition(";")[0] in content, f"{media_type} is not declared"
    if media_type.startswith("text/event-stream"):
        return
    assert [error.message for error in validator(content[media_type]["schema"]).iter_errors(answer.json())] == []


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema in the document, which rejects undeclared fields."""
    whole = {**schema, "components": _strict_document()["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


@cache
def _document() -> dict[str, Any]:
    return openapi_document()


@cache
def _strict_document() -> dict[str, Any]:
    document = openapi_document()
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return document
