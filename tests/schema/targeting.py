"""Direct a generated request to existing resources, and limit its duration; the rest of the request is unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from schemathesis import Case

    from tests.schema.known_names import KnownNames

LONGEST_WAIT: Final = 1
"""Seconds; the service would let a request wait a minute."""

_TO_WHAT_EXISTS: Final = {"unregisterWorkflow": 0.2}
"""How often; not so often that nothing is left."""


def can_be_invalid(operation: dict[str, Any]) -> bool:
    """Whether the operation has a body or a parameter that can be invalid; a header of any text cannot."""
    parameters = operation.get("parameters", [])
    can_be_wrong = [one for one in parameters if (one["in"], one["schema"]) != ("header", {"type": "string"})]
    return "requestBody" in operation or bool(can_be_wrong)


def aim(case: Case[Any], operation: str, known: KnownNames, *, negative: bool) -> None:
    """Change ``case`` in place; of a ``negative`` case, which is invalid, change only what is necessary."""
    query = dict(case.query or {})
    if str(query.get("wait", "0")).isdecimal() and int(str(query.get("wait", "0"))) > LONGEST_WAIT:
        case.query = {**query, "wait": LONGEST_WAIT if known.happens(0.1) else 0}
    if negative and not can_be_invalid(case.operation.definition.raw):
        case.query = {"unknown": "x"}
    if known.happens(0.1):
        return
    if known.happens(_TO_WHAT_EXISTS.get(operation, 0.5 if negative else 1)):
        _path(case, known)
    if negative:
        return
    _headers(case, known)
    _query(case, operation, known)
    if isinstance(case.body, dict) and known.happens(0.7):
        case.body = _body(dict(case.body), operation, known)


def _path(case: Case[Any], known: KnownNames) -> None:
    given = dict(case.path_parameters or {})
    for name in given:
        value = known.one_of(name)
        if value is not None:
            given[name] = value
    if given:
        case.path_parameters = given


def _headers(case: Case[Any], known: KnownNames) -> None:
    headers = CaseInsensitiveDict(case.headers or {})
    for name, usual in {"Idempotency-Key": known.a_key(), "If-Match": '"1"', "Prefer": f"wait={LONGEST_WAIT}"}.items():
        if name in headers and known.happens(0.7):
            del headers[name]
        if name in headers and known.happens(0.5):
            headers[name] = usual
    case.headers = headers


def _query(case: Case[Any], operation: str, known: KnownNames) -> None:
    query = dict(case.query or {})
    if "cursor" in query:
        found = known.cursors[operation]
        del query["cursor"]
        if found and known.happens(0.3):
            query.pop("offset", None)
            query["cursor"] = known.random.choice(found)
    for name, value in (("dataset_name", known.one_of("dataset_name")), ("run_id", known.one_of("run_id"))):
        if name in query and value is not None and known.happens(0.5):
            query[name] = value
    case.query = query


def _body(body: dict[str, Any], operation: str, known: KnownNames) -> dict[str, Any]:
    if operation in {"registerWorkflow", "validateWorkflow"}:
        is_new = known.happens(0.4)
        name = known.new_name() if is_new else known.one_of("dataset_name") or known.new_name()
        kept = {
            key: value for key, value in body.items() if key not in {"source_type", "schedule"} and known.happens(0.5)
        }
        return {**kept, "force": not is_new, "dataset_name": name, "yaml_content": known.yaml(name)}
    if operation == "backfillWorkflow":
        return {**body, **known.dates(), "params": {}}
    if operation == "runWorkflow" and known.happens(0.7):
        return {**body, "params": {}}
    return body
