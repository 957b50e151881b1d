"""Tests of the OpenAPI document: it is valid, complete and correct."""

from __future__ import annotations

import json
from typing import Any

import pytest
from litestar.utils.sync import AsyncCallable
from openapi_spec_validator import validate

from tests.support.http_stack import http_stack, validator
from workflow_entrypoints.http import create_app, openapi_document
from workflow_entrypoints.http.errors import HTTP_CODES, STATUS
from workflow_entrypoints.http.openapi import CODES
from workflow_entrypoints.settings import Settings

DOCUMENT = openapi_document()
OPERATIONS = {operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()}


@pytest.fixture
def stack():
    with http_stack() as running:
        yield running


def test_the_document_is_valid():
    """The validator of the OpenAPI project reports no error."""
    validate(DOCUMENT)


def test_the_service_serves_it(stack):
    """The service serves the document as JSON, without references to other documents."""
    answer = stack.client.get("/schema/openapi.json")
    assert answer.json() == json.loads(json.dumps(DOCUMENT))
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"
    text = answer.text.replace("https://airflow.example.com", "")
    assert ("http://" in text, "https://" in text) == (False, False)


def test_every_route_is_in_the_document(stack):
    """The document has exactly the routes and methods of the application."""
    app = create_app(stack.service, Settings(user="x"))
    served = {
        (route.path_format, method)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method not in {"OPTIONS", "HEAD"} and not route.path.startswith(("/schema", "/metrics"))
    }
    assert served == {(path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item}


def test_a_handler_uses_one_thread(stack):
    """This includes paths with two methods: registered separately, Litestar would wrap the first of them twice."""
    app = create_app(stack.service, Settings(user="x"))
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    wrapped = [handler.fn.func for handler in handlers if isinstance(handler.fn, AsyncCallable)]
    assert len(wrapped) > 10
    assert not [func for func in wrapped if isinstance(func, AsyncCallable)]


def test_operation_ids_are_stable():
    """Generated clients derive their names from them."""
    assert sorted(OPERATIONS) == [
        "backfillWorkflow",
        "diffRevision",
        "explainRun",
        "explainWorkflow",
        "followRun",
        "getAlive",
        "getBackfill",
        "getCaller",
        "getDependencies",
        "getReady",
        "getRun",
        "getWorkflow",
        "listAudit",
        "listBackfills",
        "listNextRuns",
        "listRevisions",
        "listRuns",
        "listWorkflows",
        "pauseBackfill",
        "pauseWorkflow",
        "registerWorkflow",
        "restoreRevision",
        "resumeBackfill",
        "retryRun",
        "runWorkflow",
        "stopBackfill",
        "stopRun",
        "syncWorkflows",
        "unpauseWorkflow",
        "unregisterWorkflow",
        "validateWorkflow",
    ]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_is_described(operation):
    """Each operation has a summary, a description, one described tag and a success response."""
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert [status for status in operation["responses"] if status.startswith("2")]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_failure_is_a_problem_with_its_codes(operation):
    """Each declared error lists its codes under the status of the code; 422 is for reused keys."""
    statuses = {code: [status] for code, status in STATUS.items()}
    for status, code in HTTP_CODES.items():
        statuses.setdefault(code, []).append(status)
    has_key = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    assert ("422" in operation["responses"]) is has_key
    for status, response in operation["responses"].items():
        if status >= "4" and "application/json" not in response["content"]:
            codes = response[CODES]
            assert codes
            assert all(f"`{code}`" in response["description"] for code in codes)
            assert all(int(status) in statuses[code] for code in codes)
            assert len(codes) == len(set(codes))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_example_is_valid_under_its_schema(operation):
    """This applies to examples of requests and responses."""
    bodies = [
        operation.get("requestBody", {}).get("content", {}),
        *(r["content"] for r in operation["responses"].values() if "content" in r),
    ]
    for media in (media for content in bodies for media in content.values() if "example" in media):
        assert [error.message for error in validator(media["schema"]).iter_errors(media["example"])] == []


@pytest.mark.parametrize(
    "name", ["RegisterRequest", "RunRequest", "PauseRequest", "BackfillRequest", "BackfillReasonRequest"]
)
def test_requests_reject_unknown_fields(name):
    """The document declares this as the service does it."""
    assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


@pytest.mark.parametrize(("operation", "default"), [("listWorkflows", 50), ("listRuns", 20), ("listBackfills", 20)])
def test_limits_are_declared(operation, default):
    """Limits are 1 to 500, with the defaults of the specification."""
    limit = next(item for item in OPERATIONS[operation]["parameters"] if item["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": default}


def test_lists_declare_their_headers():
    """The total count and the link are part of the contract."""
    for operation in ("listWorkflows", "listRuns", "listBackfills"):
        assert {"X-Total-Count", "Link", "X-Request-ID", "ETag"} == set(
            OPERATIONS[operation]["responses"]["200"]["headers"]
        )


def test_the_examples_of_the_specification_are_in_the_document():
    """Registration, run and pause contain the specification's requests."""
    shown = {
        name: OPERATIONS[name]["requestBody"]["content"]["application/json"]["example"]
        for name in ("registerWorkflow", "runWorkflow", "pauseWorkflow", "backfillWorkflow")
    }
    assert shown["runWorkflow"] == {"params": {"date": "2026-01-01"}, "dry_run": False}
    assert shown["backfillWorkflow"] == {
        "start_date": "2026-01-01", "end_date": "2026-01-07", "params": {"region": "US"}, "parallel": True,
    }  # fmt: skip
    assert shown["pauseWorkflow"] == {"reason": "Maintenance window"}
    assert shown["registerWorkflow"]["yaml_content"] == "version: v1\nname: new_workflow\n..."


def test_no_response_has_a_shape_that_generators_skip():
    """Each body is a named schema, a list of one, or a text, because openapi-python-client skips compositions that it
    cannot merge.
    """
    found = []
    for name, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            for media in response.get("content", {}).values():
                schema = media["schema"]
                schema = schema.get("items", schema)
                if set(schema) != {"$ref"} and schema.get("type") != "string":
                    found.append(f"{name} {status}")
    assert found == []


def test_no_schema_has_a_single_choice():
    """For ``const``, ``allOf`` and enums of one value, generated clients warn or have unusual types."""

    def shapes(schema: Any, path: str) -> Any:
        if isinstance(schema, dict):
            if "const" in schema or "allOf" in schema or len(schema.get("enum", [1, 2])) < 2:
                yield path
            for key, value in schema.items():
                yield from shapes(value, f"{path}/{key}")
        elif isinstance(schema, list):
            for index, value in enumerate(schema):
                yield from shapes(value, f"{path}/{index}")

    assert list(shapes({"paths": DOCUMENT["paths"], "schemas": DOCUMENT["components"]["schemas"]}, "")) == []


def test_an_enum_has_one_name():
    """A client has one type for an enum in bodies and queries."""
    for operation in OPERATIONS.values():
        for parameter in operation.get("parameters", ()):
            assert "enum" not in parameter["schema"], parameter["name"]


def test_the_event_stream_is_described_as_events():
    """The schema is a text of events, not the run in their data."""
    content = OPERATIONS["followRun"]["responses"]["200"]["content"]
    assert content["text/event-stream"]["schema"]["type"] == "string"
