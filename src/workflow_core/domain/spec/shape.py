"""The findings about the shape of a spec: its keys and types, with their positions in the YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from workflow_core.domain.names import quoted
from workflow_core.domain.schedule import check_cron
from workflow_core.domain.spec.advice import TOP_LEVEL, guess, meant
from workflow_core.domain.spec.document import ScheduleSpec, WorkflowSpec
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workflow_core.domain.spec.text import Path, YamlText
    from workflow_core.errors import Problem

MAX_FINDINGS: Final = 100
"""The maximum number of reported findings of one kind: a guess for each of 20,000 unknown keys would take minutes."""

_MESSAGES: Final = {
    "extra_forbidden": "unknown key",
    "missing": "this key is required",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "value_error": "{error}",
}
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "": tuple(WorkflowSpec.model_fields),
    "schedule": tuple(ScheduleSpec.model_fields),
}
_CRON: Final = "0 6 * * *"
_IDS: Final = "may contain letters, digits, '_' and '-' only, and must begin with a letter or '_'"
_NAMES: Final = "may contain letters, digits and '_' only, and must begin with a letter or '_'"
_EXAMPLES: Final[Mapping[Path, str]] = {("params",): "name: default", ("version",): "version: v1"}
_DAG_FACTORY: Final = (
    "this looks like a file of dag-factory; write one workflow per file, its keys at the top level, beginning with `version: v1`"
    " and `name: …`"
)


def spec_of(document: YamlText) -> tuple[WorkflowSpec | None, list[Problem]]:
    """Return the spec, or None and the findings about its shape. ``params.py`` reports the keys of declared params."""
    if other := _of_another_format(document):
        return None, [other]
    problems = list(_nulls(document))
    try:
        spec = WorkflowSpec.model_validate(document.data)
    except ValidationError as error:
        errors: list[dict[str, Any]] = [dict(item) for item in error.errors()[:MAX_FINDINGS]]
    else:
        return (None if problems else spec), problems
    stand_in = {(*error["loc"][:-1], key) for error in errors if (key := _stands_for(document, error))}
    for details in errors:
        path = _path(details)
        reported_elsewhere = details["type"] == "extra_forbidden" and path in stand_in
        if not reported_elsewhere and not _of_declaration(path, details["type"]):
            problems.append(_translated(document, path, details))
    return None, problems


def _of_another_format(document: YamlText) -> Problem | None:
    if {"version", "name", "tasks"} & set(document.data):
        return None
    for name, value in document.data.items():
        if isinstance(value, dict) and "tasks" in value:
            return document.problem((name,), _DAG_FACTORY, at_key=True)
    return None


def _nulls(document: YamlText) -> Iterator[Problem]:
    """Yield the problems with keys whose null value differs from an absent key."""
    data = document.data
    if "schedule" in data and data["schedule"] is None:
        message = f'a workflow needs a schedule; write `schedule: {{cron: "{_CRON}"}}` (a workflow without a schedule is not supported yet)'
        yield document.problem(("schedule",), message)
    if "params" in data and data["params"] is None:
        yield document.problem(("params",), "must be a mapping; write `params: {}` for a workflow that takes no params")


def _path(error: Mapping[str, Any]) -> Path:
    return tuple(part for part in error["loc"] if part != "[key]")


def _of_declaration(path: Path, kind: str) -> bool:
    """Whether ``params.py`` reports this finding in more detail."""
    return (
        len(path) == len(("params", "name", "key")) and path[0] == "params" and kind in {"extra_forbidden", "missing"}
    )


def _translated(document: YamlText, path: Path, error: Mapping[str, Any]) -> Problem:
    kind, value = error["type"], error["input"]
    context = {"expected": "", "error": "", **error.get("ctx", {})}
    message = _MESSAGES.get(kind, error["msg"]).format(**{name: str(item) for name, item in context.items()})
    if kind == "extra_forbidden":
        return document.problem(path, _unknown(path), at_key=True)
    if kind == "missing":
        return _missing(document, path, error)
    if kind == "string_pattern_mismatch":
        message = f"{quoted(str(value))} {_IDS if path[-1] == 'task_id' else _NAMES}"
    if fix := _fix(path, value):
        message += f"; {fix}"
    return document.problem(path, message)


def _unknown(path: Path) -> str:
    name = str(path[-1])
    known = _KNOWN.get(".".join(map(str, path[:-1])), ())
    if len(path) == 1 and name in TOP_LEVEL:
        return f"unknown key {quoted(name)}: {TOP_LEVEL[name]}"
    close = guess(name, known) or (guess(name, TOP_LEVEL) if len(path) == 1 else None)
    if close is not None and close not in known:
        return f"unknown key {quoted(name)}; {close!r} {TOP_LEVEL[close]}"
    hint = f"; did you mean {close!r}?" if close else ""
    return f"unknown key {quoted(name)}{hint or ';'} {'T' if hint else 't'}he known ones are {', '.join(known)}"


def _stands_for(document: YamlText, error: Mapping[str, Any]) -> str | None:
    """Return the key that was written instead of the missing required one."""
    if error["type"] != "missing" or not isinstance(error["input"], dict):
        return None
    path = _path(error)
    known = _KNOWN.get(".".join(map(str, path[:-1])), ("task_id", "operator", "dependencies"))
    others = [key for key in error["input"] if key not in known and (*path[:-1], key) in document.keys]
    return meant(str(path[-1]), others)


def _missing(document: YamlText, path: Path, error: Mapping[str, Any]) -> Problem:
    key = str(path[-1])
    if written := _stands_for(document, error):
        message = f"unknown key {quoted(written)}; did you mean {key!r}? It is required"
        return document.problem((*path[:-1], written), message, at_key=True)
    examples = {"version": "v1", "cron": f'"{_CRON}"', "operator": "bash", "task_id": "extract"}
    example = f"; write `{key}: {examples[key]}`" if key in examples else ""
    return document.problem(path, f"this key is required{example}")


def _fix(path: Path, value: Any) -> str | None:
    """Return what to write instead of a value of the wrong type."""
    if path == ("schedule",) and not isinstance(value, dict):
        return _schedule_fix(value)
    if path == ("tasks",):
        first = next((key for key in value if key.isidentifier()), "extract") if isinstance(value, dict) else "extract"
        return f"write `- task_id: {first[:60]}` for each task"
    if path[-1] == "dependencies" and isinstance(value, str):
        return f"write `dependencies: [{value[:60]}]`"
    if path in _EXAMPLES:
        return f"write `{_EXAMPLES[path]}`"
    if isinstance(value, bool | int | float) and path[0] not in {"start_date", "params"} and path[-1] != "dependencies":
        return f'quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
    return None


def _schedule_fix(value: Any) -> str:
    general = f'write `schedule: {{cron: "{_CRON}"}}`'
    if not isinstance(value, str):
        return general
    if value.strip().lower() in {"none", "null", "@once", "@none", "manual"}:
        return f"{general}; a workflow without a schedule is not supported yet"
    try:
        check_cron(value)
    except InvalidRequest as error:
        return f"{general}; {error.problems[0].message}"
    return f'write `schedule: {{cron: "{value}"}}`'
