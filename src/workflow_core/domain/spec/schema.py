"""The JSON Schema of the YAML: that of the model, and the rules that are checked outside the model."""

from __future__ import annotations

from typing import Any, Final

from workflow_core.domain.spec.arguments import COMMON, OWN, TRIGGER_RULES
from workflow_core.domain.spec.document import SHORT_OPERATORS, WorkflowSpec
from workflow_core.domain.spec.operators import OWN_KEYS

_DESCRIPTIONS: Final = {
    "execution_timeout": "Seconds after which the task fails.",
    "max_retry_delay": "The longest delay between retries, in seconds.",
    "priority_weight": "Tasks with a larger weight are queued first.",
    "retries": "The number of retries after a failure.",
    "retry_delay": "Seconds between a failure and the next try.",
    "retry_exponential_backoff": "Whether the delay doubles with each retry.",
    "trigger_rule": f"When the task runs, depending on the results of its dependencies; default {TRIGGER_RULES[0]}.",
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema with which editors complete and validate a workflow's YAML."""
    schema = WorkflowSpec.model_json_schema()
    properties = schema["properties"]
    for name in ("params", "schedule", "tasks"):  # a key without a value is refused
        properties[name] = _without_null(properties[name])
    params = properties["params"]
    params["additionalProperties"] = False
    for pattern, declared in params["patternProperties"].items():
        # `name: default` is short for `name: {default: …}`
        short = {"description": "The default.", "type": ["string", "number", "boolean", "array", "null"]}
        params["patternProperties"][pattern] = {"anyOf": [declared, short]}
    task = schema["$defs"]["TaskSpec"]
    for name, kind in COMMON.items():
        described = {"description": _DESCRIPTIONS[name]} if name in _DESCRIPTIONS else {}
        task["properties"][name] = {**described, **kind.json_schema()}
    task["allOf"] = [_of_short(name) for name in OWN]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    return {**choices[0], **rest} if choices else schema


def _of_short(name: str) -> dict[str, Any]:
    """Return the schema of the arguments of a short operator, given by its short name or class path."""
    own = OWN[name]
    takes = {argument: kind.json_schema() for argument, kind in sorted(own.kinds.items())}
    return {
        "if": {"properties": {"operator": {"enum": [name, SHORT_OPERATORS[name]]}}, "required": ["operator"]},
        "then": {
            "properties": takes,
            "propertyNames": {"enum": sorted({*OWN_KEYS, *COMMON, *own.kinds})},
            "required": list(own.required),
        },
    }
