"""The findings about declared params."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from workflow_core.domain.names import quoted
from workflow_core.domain.spec.advice import guess, meant
from workflow_core.domain.spec.document import DATE_PARAM, ParamSpec, declaration_of
from workflow_core.domain.spec.operators import magic_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workflow_core.domain.spec.text import Path, YamlText
    from workflow_core.errors import Problem

_KEYS: Final = tuple(sorted(ParamSpec.model_fields, key=("default", "type", "enum", "description").index))
_TAKES: Final = f"declaration takes {', '.join(_KEYS)}"
_SCHEMA_WORDS: Final = frozenset({
    "$comment", "$defs", "$id", "$ref", "$schema", "additionalItems", "additionalProperties", "allOf", "anyOf", "const", "contains",
    "contentEncoding", "contentMediaType", "contentSchema", "definitions", "dependencies", "dependentRequired", "dependentSchemas",
    "deprecated", "description_md", "else", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "if", "items", "maxContains",
    "maxItems", "maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum",
    "multipleOf", "not", "nullable", "oneOf", "pattern", "patternProperties", "prefixItems", "properties", "propertyNames", "readOnly",
    "required", "schema", "section", "then", "title", "unevaluatedItems", "unevaluatedProperties", "uniqueItems", "values_display",
    "writeOnly",
})  # fmt: skip
"""The keywords of JSON Schema, and the additional ones of Airflow's params."""


def param_problems(document: YamlText, params: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems with each declaration."""
    for name, value in params.items():
        path: Path = ("params", name)
        yield from (document.problem(place, message, at_key=True) for place, message in magic_keys(value, path))
        if isinstance(value, dict):
            yield from _key_problems(document, path, value)
        try:
            param = ParamSpec.model_validate(declaration_of(value))
        except ValidationError:
            continue
        yield from _value_problems(document, path, param)


def _key_problems(document: YamlText, path: Path, value: Mapping[str, Any]) -> Iterator[Problem]:
    unknown = [key for key in value if key not in _KEYS and not (key.startswith("__") and key.endswith("__"))]
    about = [key for key in value if key in _KEYS or key in _SCHEMA_WORDS or guess(key, _KEYS) or key == "value"]
    if not about:
        if unknown or not value:
            message = f"a mapping is a declaration of the param; write an object as default like this: `{path[1]}: {{default: {{…}}}}`"
            yield document.problem(path, message)
        return
    instead = None if "default" in value else meant("default", unknown)
    for key in unknown:
        close = "default" if key == instead else None if key in _SCHEMA_WORDS else guess(key, _KEYS)
        hint = f"; did you mean {close!r}? A" if close else "; a"
        later = "; the other keywords of JSON Schema are not supported yet" if key in _SCHEMA_WORDS else ""
        yield document.problem((*path, key), f"unknown key {quoted(key)}{hint} {_TAKES}{later}", at_key=True)
    if "default" not in value and instead is None:
        message = (
            "a declaration needs a default, the value of scheduled runs; add `default: …` (`default: null` for none)"
        )
        yield document.problem(path, message)


def _value_problems(document: YamlText, path: Path, param: ParamSpec) -> Iterator[Problem]:
    wrong = param.accepts(param.default)
    if wrong and param.default is not None:
        yield document.problem(path, f"the default {wrong}")
    for index, value in enumerate(param.enum or ()):
        misfit = ParamSpec(default=param.default, type=param.type).accepts(value)
        if misfit and not (value is None and param.default is None):
            yield document.problem((*path, "enum", index), f"this value {misfit}, so no run could use it")
    if path[1] == DATE_PARAM and not _is_date(param.default):
        yield document.problem(path, f"{quoted(str(param.default))} is not a calendar date like '2026-01-31'")


def _is_date(value: Any) -> bool:
    if value is None or value == "":
        return True
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
