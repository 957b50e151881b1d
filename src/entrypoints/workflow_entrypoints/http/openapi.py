"""The OpenAPI document, made from the table of calls and pydantic's schemas of the models.

The service reads and writes the same models, so the document cannot differ from it.
"""

from __future__ import annotations

import json
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from workflow_core.api import ProblemAnswer
from workflow_core.domain.names import DATASET_NAME_PATTERN, MAX_DATASET_NAME, MAX_RUN_ID, RUN_ID_PATTERN
from workflow_core.errors import (
    DatabaseOutcomeUnknown,
    DatabaseUnavailable,
    IdentityProviderUnavailable,
    KeyInUse,
    KeyReused,
    TooManyRequests,
    Unauthenticated,
)
from workflow_entrypoints.http.conditional import LIST_HEADERS
from workflow_entrypoints.http.endpoint import call_of
from workflow_entrypoints.http.errors import HTTP_CODES, PROBLEM_JSON, STATUS, title
from workflow_entrypoints.http.idempotency import KEY_HEADER, KEY_PATTERN, REPLAYED_HEADER
from workflow_entrypoints.http.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import BaseModel

    from workflow_core.api.call import Call

UNIDENTIFIED: Final = (Unauthenticated, TooManyRequests, DatabaseUnavailable, IdentityProviderUnavailable)
"""The errors that any request can meet in authentication, and right after it."""

CODES: Final = "x-codes"
"""An extension of a response: the codes of its problem. In the schema, client generators would skip the response."""

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_SCHEMAS: Final = "#/components/schemas/"
_VALIDATION: Final = "validation"
_SERIALIZATION: Final = "serialization"
_PATH_PARAMETERS: Final[dict[str, Any]] = {
    "number": {
        "description": "The number of a revision, from 1.",
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
        "example": "2",
    },
    "dataset_name": {
        "description": "The workflow: two or more segments joined by dots.",
        "schema": {"type": "string", "pattern": DATASET_NAME_PATTERN, "maxLength": MAX_DATASET_NAME},
        "example": "iceberg.analytics.daily_clicks",
    },
    "run_id": {
        "description": "The run id from the answer that accepted the run.",
        "schema": {"type": "string", "pattern": RUN_ID_PATTERN, "maxLength": MAX_RUN_ID},
        "example": "iceberg.analytics.daily_clicks_20260101_100000",
    },
}
_IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the workflow that the caller expects, or its revision alone, in quotes. Only the"
    " revision is compared: if another one is current, nothing is done (412).",
    "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,8}(-[0-9a-f]{1,64})?"$'},
    "example": '"3"',
}
_IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags of earlier answers, or `*`: if the answer has one of them, 304 without a body is returned"
    " instead.",
    "schema": {"type": "string"},
    "example": '"0f1e2d3c4b5a6978"',
}
_PREFER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=30`: equal to the parameter `wait`; a longer time is reduced to the maximum.",
    "schema": {"type": "string"},
    "example": "wait=30",
}
_LAST_EVENT: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event that the client received.",
    "schema": {"type": "string"},
    "example": "7",
}
_KEY: Final[dict[str, Any]] = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "A unique name for this request, chosen by the client, such as a UUID. A repeated request with the"
    " same key has no second effect and gets the same answer. Kept for WORKFLOWS_KEEP_KEYS seconds (a day).",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
    "example": "6e9b3b0e-3c0c-4f0a-9a3e-0d0d3c1f5a10",
}
_PATH_PARAMETERS["backfill_id"] = {
    **_PATH_PARAMETERS["run_id"],
    "description": "The backfill id from the answer that accepted the backfill.",
    "example": "iceberg.analytics.daily_clicks_backfill_20260101_20260107",
}
_HEADERS: Final[dict[str, Any]] = {
    "ETag": {
        "description": "Identifies this answer, for `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9a-f]+"$'},
    },
    "ETag-Revision": {
        "description": "Identifies this answer, and begins with the revision of the workflow, for `If-None-Match` and"
        " `If-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*-[0-9a-f]+"$'},
    },
    "X-Request-ID": {
        "description": "Identifies this request in the log: the value that the client sent under this name if it is a"
        " short plain word, else a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
    "ETag-Weak": {
        "description": "Identifies the state of the run except `duration_seconds`, for `If-None-Match`, with `wait`"
        " and without.",
        "required": True,
        "schema": {"type": "string", "pattern": '^W/"[0-9a-f]+"$'},
    },
    "Preference-Applied": {
        "description": "The wait that `Prefer` requested.",
        "schema": {"type": "string"},
    },
    "X-Total-Count": {
        "description": "Number of items on all pages.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Link": {
        "description": 'The next page, `<...>; rel="next"` (RFC 8288); absent on the last one.',
        "schema": {"type": "string"},
    },
    REPLAYED_HEADER: {
        "description": "`true`: this is the answer to an earlier request with the same `Idempotency-Key`. Absent"
        " otherwise.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {
        "description": "The kind of credential that is required (RFC 6750).",
        "required": True,
        "schema": {"type": "string", "enum": ["Bearer"]},
    },
    "Retry-After-In-Use": {
        "description": "Seconds to wait before the next attempt; present with `IDEMPOTENCY_KEY_IN_USE`.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
}
_EVENT_STREAM: Final[dict[str, Any]] = {
    "schema": {
        "type": "string",
        "description": "Server-sent events. Each event `run` has the version of the run as its `id`, and the answer of"
        " `getRun` in JSON as its `data`.",
    },
    "example": 'id: 7\nevent: run\ndata: {"run_id": "iceberg.analytics.daily_clicks_20260101_100000", "status": "RUNNING"}\n\n',
}
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API token, or a JSON Web Token of the identity provider, depending on WORKFLOWS_AUTH.",
}
_TAGS: Final = {
    "Workflows": "Registered workflows and their revisions.",
    "Runs": "Past, active and pending runs.",
    "Backfills": "Runs for the dates of a range.",
    "Audit": "Accepted changes and their authors.",
    "Caller": "The authenticated caller.",
    "Health": "The state of the service and of the systems that it depends on.",
}
_DESCRIPTION: Final = """\
Register, run and observe scheduled dataset workflows; Airflow executes them.

Times are UTC, RFC 3339 with `Z`. Every error is a problem (RFC 9457) with a stable `code`. Unknown fields and unknown
query parameters are refused. Clients must ignore unknown fields in answers."""


@cache
def openapi_json() -> bytes:
    """The document, in the form in which it is served."""
    return json.dumps(openapi_document(), ensure_ascii=False).encode()


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of every route that serves a call. Returns a new object each time."""
    calls = [call for handler in ROUTES if (call := call_of(handler))]
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Workflow API", "version": "0.1.0", "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "security": [{"bearer": []}, {}],  # {}: a proxy in front authenticates callers, or there is no authentication
        "paths": paths,
        "components": {
            "schemas": _schemas(calls),
            "headers": _HEADERS,
            "securitySchemes": {"bearer": _BEARER},
        },
    }


def _operation(call: Call[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": call.operation_id,
        "tags": [call.tag],
        "summary": call.summary,
        "description": call.description,
    }
    if call.public:
        operation["security"] = []
    parameters = [*_path_parameters(call), *_query_parameters(call)]
    if call.conditional:
        parameters.append(_IF_MATCH)
    if call.waits:
        parameters.append(_PREFER)
    if call.is_tagged:
        parameters.append(_IF_NONE_MATCH)
    if call.streams:
        parameters.append(_LAST_EVENT)
    if call.changes:
        parameters.append(_KEY)
    if parameters:
        operation["parameters"] = parameters
    if call.takes_body:
        operation["requestBody"] = {
            "required": not call.body_optional,
            "content": {_JSON: _media(call.body, many=False)},
        }
    operation["responses"] = {str(status): response for status, response in sorted(_responses(call).items())}
    return operation


def _path_parameters(call: Call[Any, Any]) -> Iterator[dict[str, Any]]:
    for name in call.names:
        yield {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}


def _query_parameters(call: Call[Any, Any]) -> Iterator[dict[str, Any]]:
    if call.filters is None:
        return
    schema = call.filters.model_json_schema(ref_template=_SCHEMAS + "{model}")
    for name, field in schema.get("properties", {}).items():
        given = {key: value for key, value in field.items() if key not in {"title", "description", "anyOf"}}
        for choice in field.get("anyOf", ()):  # leaving it out is the only null of a query
            if choice != {"type": "null"}:
                given |= choice
        plain = {
            key: value
            for key, value in given.items()
            if key not in {"title", "description"} and not (key == "default" and value is None)
        }
        yield {"name": name, "in": "query", "required": False, "description": field["description"], "schema": plain}


def _responses(call: Call[Any, Any]) -> dict[int, dict[str, Any]]:
    headers = _referenced(
        "X-Request-ID", *(LIST_HEADERS if call.many else ()), *((REPLAYED_HEADER,) if call.changes else ())
    )
    if call.waits:
        headers |= _referenced("Preference-Applied")
    found: dict[int, dict[str, Any]] = {
        call.status: {
            "description": title(call.status),
            "headers": headers,
            "content": {_EVENTS: _EVENT_STREAM} if call.streams else {_JSON: _media(call.item, many=call.many)},
        }
    }
    if call.is_tagged:
        tag = {"ETag": {"$ref": f"#/components/headers/{_tag_of(call)}"}}
        headers |= tag
        found[304] = {"description": f"{title(304)}: the caller has it", "headers": _referenced("X-Request-ID") | tag}
    if call.streams:
        found[204] = {"description": title(204), "headers": _referenced("X-Request-ID")}
    for status, codes in _problems(call).items():
        found[status] = _problem(status, codes)
    for status, answer in call.other_answers.items():
        found[status] = {
            "description": title(status),
            "headers": _referenced(
                "X-Request-ID", *(("Retry-After",) if status == HTTPStatus.SERVICE_UNAVAILABLE else ())
            ),
            "content": {_JSON: _media(answer, many=False)},
        }
    return found


def _tag_of(call: Call[Any, Any]) -> str:
    return "ETag-Weak" if call.waits else "ETag-Revision" if call.revisioned else "ETag"


def _problems(call: Call[Any, Any]) -> dict[int, list[str]]:
    """The codes by status: the errors of the call, and those that any such request can meet."""
    codes = [error.code for error in call.errors]
    if not call.public:
        codes += [error.code for error in UNIDENTIFIED if error not in call.errors]
    if call.changes:
        codes += [KeyInUse.code, KeyReused.code, DatabaseOutcomeUnknown.code]
    found: dict[int, list[str]] = {}
    if call.filters is not None or call.conditional or call.changes:
        found[400] = [HTTP_CODES[400]]
    if not call.public:
        found[403] = [HTTP_CODES[403]]
    if call.takes_body:
        found |= {status: [HTTP_CODES[status]] for status in (408, 413, 415)}
    for code in codes:
        if code not in found.setdefault(STATUS[code], []):
            found[STATUS[code]].append(code)
    found[500] = [HTTP_CODES[500]]
    return found


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    names = ("X-Request-ID", *(("Retry-After",) if status == HTTPStatus.SERVICE_UNAVAILABLE else ()))
    if status == HTTPStatus.UNAUTHORIZED:
        names = (*names, "WWW-Authenticate")
    headers = _referenced(*names)
    if KeyInUse.code in codes:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After-In-Use"}
    return {
        "description": f"{title(status)}: {', '.join(f'`{code}`' for code in codes)}",
        "headers": headers,
        "content": {PROBLEM_JSON: {"schema": {"$ref": f"{_SCHEMAS}ProblemAnswer"}}},
        CODES: codes,
    }


def _media(model: type[BaseModel], *, many: bool) -> dict[str, Any]:
    reference = {"$ref": _SCHEMAS + model.__name__}
    extra = model.model_config.get("json_schema_extra")
    examples = extra.get("examples") if isinstance(extra, dict) else None
    media: dict[str, Any] = {"schema": {"type": "array", "items": reference} if many else reference}
    if isinstance(examples, list):
        media["example"] = examples[:1] if many else examples[0]
    return media


def _referenced(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schemas(calls: Sequence[Call[Any, Any]]) -> dict[str, Any]:
    models: list[tuple[type[BaseModel], Any]] = [(ProblemAnswer, _SERIALIZATION)]
    for call in calls:
        models += [(model, _SERIALIZATION) for model in (call.item, *call.other_answers.values())]
        if call.takes_body:
            models.append((call.body, _VALIDATION))
    _, schema = models_json_schema(list(dict.fromkeys(models)), ref_template=_SCHEMAS + "{model}")
    return _in_queries(calls) | dict(schema["$defs"])


def _in_queries(calls: Sequence[Call[Any, Any]]) -> dict[str, Any]:
    """The schemas that query parameters refer to: their enums."""
    found: dict[str, Any] = {}
    for call in calls:
        if call.filters is not None:
            found |= call.filters.model_json_schema(ref_template=_SCHEMAS + "{model}").get("$defs", {})
    return found
