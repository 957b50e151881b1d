"""From YAML text to a checked :class:`WorkflowSpec`: every problem at once, each with its line and column."""

from __future__ import annotations

from datetime import UTC
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from pydantic import ValidationError

from workflow_core.domain.names import shown
from workflow_core.domain.schedule import Schedule, check_cron, check_timezone
from workflow_core.domain.spec.document import SHORT_OPERATORS, WorkflowSpec
from workflow_core.domain.spec.operators import unknown_arguments
from workflow_core.domain.spec.text import YamlText, read_yaml
from workflow_core.errors import InvalidCronExpression, InvalidRequest, InvalidWorkflowSpec, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_OPERATORS: Final = (
    "airflow.providers.*.operators.*",
    "airflow.providers.*.sensors.*",
    "airflow.providers.*.transfers.*",
)
"""The operator classes allowed by default: what Airflow's own providers bring."""


FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2999
"""Years in which a ``start_date`` may lie."""


@frozen(kw_only=True)
class SpecRules:
    """What an installation allows in a spec. ``operators`` are shell-style patterns over full class paths."""

    max_bytes: int = 262_144
    operators: tuple[str, ...] = DEFAULT_OPERATORS

    def allows(self, operator_class: str) -> bool:
        """Whether specs may use this operator class."""
        return any(fnmatchcase(operator_class, pattern) for pattern in self.operators)


@frozen(kw_only=True)
class CompleteSpec:
    """A spec, and what it must say for itself where nobody else does."""

    spec: WorkflowSpec
    schedule: Schedule
    owner: str


def parse_spec(text: str, *, dataset_name: str | None = None, rules: SpecRules | None = None) -> WorkflowSpec:
    """Read and check a workflow's YAML.

    Args:
        text: the YAML.
        dataset_name: the name that the spec must carry, itself or as its last segment; None to accept any.
        rules: size limit and allowed operators.

    Raises:
        InvalidCronExpression: the only problem is the cron expression.
        InvalidWorkflowSpec: anything else; ``problems`` lists every finding with line and column.
    """
    rules = rules or SpecRules()
    document = read_yaml(text, max_bytes=rules.max_bytes)
    if not isinstance(document.data, dict):
        raise InvalidWorkflowSpec.of(
            [document.problem((), "the YAML must be a mapping that starts with `version: v1`")]
        )
    try:
        spec = WorkflowSpec.model_validate(document.data)
    except ValidationError as error:
        raise InvalidWorkflowSpec.of([_translated(document, dict(item)) for item in error.errors()]) from None
    problems = [*_name_problems(document, spec, dataset_name), *_task_problems(document, spec, rules)]
    problems += _param_problems(document, spec)
    problems += _start_problems(document, spec)
    cron = _schedule_problems(document, spec)
    if cron and not problems and all(isinstance(error, InvalidCronExpression) for error, _ in cron):
        raise InvalidCronExpression.of([problem for _, problem in cron])
    problems += [problem for _, problem in cron]
    if problems:
        raise InvalidWorkflowSpec.of(sorted(problems, key=lambda found: (found.line or 0, found.column or 0)))
    if spec.start_date is not None and spec.start_date.tzinfo is None:
        spec = spec.model_copy(update={"start_date": spec.start_date.replace(tzinfo=UTC)})
    return spec


def parse_complete_spec(text: str, *, dataset_name: str | None = None, rules: SpecRules | None = None) -> CompleteSpec:
    """As :func:`parse_spec`, for a spec that no request completes, such as one of CODE: schedule and owner must stand in it."""
    spec = parse_spec(text, dataset_name=dataset_name, rules=rules)
    if spec.schedule is None or spec.owner is None:
        raise InvalidWorkflowSpec.of(
            [
                Problem(field=name, message="is required: nobody but this file can say it", line=1, column=1)
                for name in ("schedule", "owner")
                if getattr(spec, name) is None
            ]
        )
    return CompleteSpec(spec=spec, schedule=Schedule(**spec.schedule.model_dump()), owner=spec.owner)


_MESSAGES: Final = {
    "extra_forbidden": "unknown key",
    "missing": "this key is required",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


def _translated(document: YamlText, error: dict[str, Any]) -> Problem:
    """A pydantic finding in the words and places of the YAML."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    context = error.get("ctx", {})
    message = _MESSAGES.get(error["type"], error["msg"]).format(**{"expected": "", **context})
    if error["type"] == "extra_forbidden":
        allowed = WorkflowSpec.model_fields if len(path) == 1 else None
        message += f"; the known ones are {', '.join(allowed)}" if allowed else ""
    if error["type"] == "string_pattern_mismatch":
        message = f"{shown(str(error['input']))} may hold letters, digits and '_' only, and no digit first"
    return document.problem(path, message, at_key=error["type"] == "extra_forbidden")


def _name_problems(document: YamlText, spec: WorkflowSpec, dataset_name: str | None) -> Iterator[Problem]:
    if dataset_name is not None and spec.name not in {dataset_name, dataset_name.rpartition(".")[2]}:
        last = dataset_name.rpartition(".")[2]
        yield document.problem(("name",), f"{shown(spec.name)} must be {dataset_name!r} or its last segment {last!r}")


def _task_problems(document: YamlText, spec: WorkflowSpec, rules: SpecRules) -> Iterator[Problem]:
    known: set[str] = set()
    for index, task in enumerate(spec.tasks):
        path = ("tasks", index)
        if task.task_id in known:
            yield document.problem((*path, "task_id"), f"a second task is called {task.task_id!r}; ids are unique")
        known.add(task.task_id)
        if "." not in task.operator and task.operator not in SHORT_OPERATORS:
            short = ", ".join(SHORT_OPERATORS)
            message = f"{shown(task.operator)} is no short name ({short}) and not the path of a class"
            yield document.problem((*path, "operator"), message)
        elif not rules.allows(task.operator_class):
            message = f"{shown(task.operator_class)} is not allowed here; allowed are {', '.join(rules.operators)}"
            yield document.problem((*path, "operator"), message)
        for name, message in unknown_arguments(task):
            yield document.problem((*path, name), message, at_key=True)
    for index, task in enumerate(spec.tasks):
        for position, dependency in enumerate(task.dependencies):
            if dependency not in known:
                message = f"there is no task {shown(dependency)}"
                yield document.problem(("tasks", index, "dependencies", position), message)
    yield from _cycle_problems(document, spec)


def _cycle_problems(document: YamlText, spec: WorkflowSpec) -> Iterator[Problem]:
    try:
        TopologicalSorter({task.task_id: task.dependencies for task in spec.tasks}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        index = next(number for number, task in enumerate(spec.tasks) if task.task_id == cycle[0])
        message = f"the tasks wait for each other in a circle: {' -> '.join(reversed(cycle))}"
        yield document.problem(("tasks", index, "dependencies"), message)


def _param_problems(document: YamlText, spec: WorkflowSpec) -> Iterator[Problem]:
    for name, param in spec.params.items():
        wrong = param.accepts(param.default)
        if wrong and not (param.default is None and param.enum is None):
            yield document.problem(("params", name), f"the default {wrong}")


def _start_problems(document: YamlText, spec: WorkflowSpec) -> Iterator[Problem]:
    """Near the ends of the calendar, a moment has no counterpart in other time zones and no fire time after it."""
    if spec.start_date is not None and not FIRST_YEAR <= spec.start_date.year <= LAST_YEAR:
        yield document.problem(("start_date",), f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")


def _schedule_problems(document: YamlText, spec: WorkflowSpec) -> list[tuple[InvalidRequest, Problem]]:
    if spec.schedule is None:
        return []
    found = []
    for name, check in (("cron", check_cron), ("timezone", check_timezone)):
        try:
            check(getattr(spec.schedule, name))
        except InvalidRequest as error:
            found.append((error, document.problem(("schedule", name), error.problems[0].message)))
    return found
