"""Request bodies that try to set read-only fields, or to make the service call another address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.hostile import answer, hostile
from tests.support.http_stack import NAME, YAML
from workflow_entrypoints.http import openapi_document

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = openapi_document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
INNER = [
    "id",
    "workflow_id",
    "phase",
    "generation",
    "observed_generation",
    "spec_hash",
    "epoch",
    "lease_until",
    "access",
    "role",
    "is_admin",
]
"""What entities have and no answer shows, or others might have."""

WELL: dict[str, dict[str, Any]] = {"register": {"dataset_name": "a.daily_clicks", "yaml_content": YAML}}
"""What a body needs in any case, by the end of its path."""


def writes() -> Iterator[tuple[str, str]]:
    """Each operation that takes a body."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                yield method.upper(), path


def properties(method: str, path: str) -> set[str]:
    """The fields that the body of an operation may have."""
    content = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    return set(SCHEMAS[content["$ref"].rpartition("/")[2]].get("properties", {}))


ANSWERED = {name for schema in SCHEMAS.values() for name in schema.get("properties", {})} | set(INNER)


@pytest.mark.parametrize(("method", "path"), list(writes()), ids=str)
def test_no_body_sets_a_read_only_field(stack, method, path):
    """Each field of a response or entity that is not a field of the request is unknown: the answer is 400 with its
    name, and nothing changes.
    """
    url = path.replace("{dataset_name}", NAME).replace("{number}", "1")
    url = url.replace("{run_id}", "a.b_20260101_100000").replace("{backfill_id}", "a.b_backfill_20260101_20260102")
    before = stack.stored()
    others = sorted(ANSWERED - properties(method, path))
    assert {"triggered_by", "status", "owner_id", "is_admin", "created_at"} & set(others)
    for name in others:
        body = WELL.get(path.rpartition("/")[2], {}) | {name: "eve"}
        found = stack.call(method, url, json=body)
        assert (found.status_code, found.json()["code"]) == (400, "INVALID_REQUEST"), name
        assert name in {item.get("field") for item in found.json()["errors"]}
    assert stack.stored() == before


@pytest.mark.parametrize(
    "name", ["__proto__", "constructor", "__class__", "__init__", "self", "model_fields", "$ref", "@type", "_id"]
)
def test_no_field_name_reaches_the_program(stack, name):
    """Names with a meaning in a programming language are unknown fields."""
    found = stack.post(f"{NAME}/run", {name: {"is_admin": True}})
    assert (found.status_code, found.json()["code"]) == (400, "INVALID_REQUEST")


def test_no_field_makes_the_service_call_an_address(stack):
    """An address in each text of a request, including the YAML, is stored as text and never called."""
    with hostile(lambda _: answer("{}")) as inside:
        url = f"{inside.url}/latest/meta-data/"
        yaml = f"""\
version: v1
name: ssrf
owner: {url}
team: {url}
description: {url}
schedule: {{cron: 0 6 * * *}}
params: {{region: {url}, schema: {{default: {url}, description: {url}}}}}
tasks:
  - {{task_id: a, operator: http, endpoint: {url}, http_conn_id: {url}, data: {url}}}
  - {{task_id: b, operator: bash, bash_command: {url}, env: {{http_proxy: {url}}}}}
"""
        body = {"dataset_name": "a.ssrf", "yaml_content": yaml, "owner": url, "team": url, "description": url}
        assert stack.post("register", body).status_code == 201
        run = stack.post(
            "a.ssrf/run", {"params": {"region": url, "schema": url}}, headers={"Idempotency-Key": "k", "Referer": url}
        )
        assert run.status_code == 202
        said = json.dumps({"reason": url}).encode()
        for path in ("a.ssrf/pause", f"runs/{run.json()['run_id']}/stop"):
            assert stack.post(path, content=said, headers={"Content-Type": "application/json"}).status_code in {
                200,
                202,
            }
        assert stack.get(f"?owner={url}").json()[0]["owner"] == url
        for header in ("Callback-URL", "X-Webhook", "Link", "Origin", "traceparent", "X-Forwarded-Host"):
            stack.get("a.ssrf", headers={header: url})
        stack.sweeper.sweep()
    assert inside.asked == []
