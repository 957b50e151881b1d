"""From YAML text to a validated :class:`WorkflowSpec`, or all problems at once with their lines and columns."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from attrs import frozen

from workflow_core.domain.names import MAX_DATASET_NAME, is_segment, quoted
from workflow_core.domain.schedule import Schedule, check_cron, check_timezone
from workflow_core.domain.spec.cautions import cautions
from workflow_core.domain.spec.moments import moment_in, read_moment
from workflow_core.domain.spec.params import param_problems
from workflow_core.domain.spec.rules import SpecRules
from workflow_core.domain.spec.shape import MAX_FINDINGS, spec_of
from workflow_core.domain.spec.tasks import task_problems
from workflow_core.domain.spec.text import YamlText, read_yaml
from workflow_core.errors import InvalidCronExpression, InvalidRequest, InvalidWorkflowSpec, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workflow_core.domain.spec.document import WorkflowSpec


@frozen(kw_only=True)
class CheckedSpec:
    """A valid spec, with warnings about parts that are probably unintended."""

    spec: WorkflowSpec
    warnings: tuple[Problem, ...] = ()


@frozen(kw_only=True)
class CompleteSpec(CheckedSpec):
    """A spec that contains its schedule and owner."""

    schedule: Schedule
    owner: str


def check_spec(
    text: str, *, dataset_name: str | None = None, timezone: str | None = None, rules: SpecRules | None = None
) -> CheckedSpec:
    """Read and check a workflow's YAML.

    Args:
        text: the YAML.
        dataset_name: the required name of the spec, in full or its last segment; None to accept any.
        timezone: the time zone of the schedule, over that of the spec: a ``start_date`` without an offset is read in it.
        rules: size limit and allowed operators.

    Raises:
        InvalidCronExpression: the only problem is the cron expression.
        InvalidWorkflowSpec: anything else; ``problems`` lists every finding, in the order of lines and columns.
    """
    rules = rules or SpecRules()
    document = read_yaml(text, max_bytes=rules.max_bytes)
    if not isinstance(document.data, dict):
        raise InvalidWorkflowSpec.of(
            [document.problem((), "the YAML must be a mapping that starts with `version: v1`")]
        )
    spec, problems = spec_of(document)
    problems += _name_problems(document, dataset_name)
    problems += islice(param_problems(document, _mapping(document, "params")), MAX_FINDINGS)
    tasks = document.data.get("tasks")
    problems += islice(task_problems(document, tasks if isinstance(tasks, list) else [], rules), MAX_FINDINGS)
    cron = _schedule_problems(document)
    start, wrong = _start(document, timezone) if not cron else (None, [])
    problems += wrong
    if cron and not problems and all(isinstance(error, InvalidCronExpression) for error, _ in cron):
        raise InvalidCronExpression.of([problem for _, problem in cron])
    problems += [problem for _, problem in cron]
    if problems or spec is None:
        raise InvalidWorkflowSpec.of(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    if start is not None:
        spec = spec.model_copy(update={"start_date": start})
    return CheckedSpec(spec=spec, warnings=tuple(document.problem(*caution) for caution in cautions(spec)))


def parse_spec(
    text: str, *, dataset_name: str | None = None, timezone: str | None = None, rules: SpecRules | None = None
) -> WorkflowSpec:
    """Return the spec in a workflow's YAML, checked by :func:`check_spec`."""
    return check_spec(text, dataset_name=dataset_name, timezone=timezone, rules=rules).spec


def parse_complete_spec(text: str, *, dataset_name: str | None = None, rules: SpecRules | None = None) -> CompleteSpec:
    """Check a spec that no request completes, such as one of CODE: it must contain schedule and owner."""
    checked = check_spec(text, dataset_name=dataset_name, rules=rules)
    spec = checked.spec
    if spec.schedule is None or spec.owner is None:
        raise InvalidWorkflowSpec.of(
            [
                Problem(field=name, message="is required: no request completes this file", line=1, column=1)
                for name in ("schedule", "owner")
                if getattr(spec, name) is None
            ]
        )
    schedule = Schedule(**spec.schedule.model_dump())
    return CompleteSpec(spec=spec, warnings=checked.warnings, schedule=schedule, owner=spec.owner)


def _mapping(document: YamlText, name: str) -> dict[str, Any]:
    value = document.data.get(name)
    return value if isinstance(value, dict) else {}


def _name_problems(document: YamlText, dataset_name: str | None) -> Iterator[Problem]:
    name = document.data.get("name")
    if not isinstance(name, str):
        return
    if dataset_name is not None and name not in {dataset_name, dataset_name.rpartition(".")[2]}:
        last = dataset_name.rpartition(".")[2]
        yield document.problem(("name",), f"{quoted(name)} must be {dataset_name!r} or its last segment {last!r}")
    elif dataset_name is None and (len(name) > MAX_DATASET_NAME or not all(map(is_segment, name.split(".")))):
        message = (
            f"{quoted(name)} is neither a dataset name nor the last segment of one; write segments joined by dots, each of letters, digits,"
            f" '_' and '-' (not first), of {MAX_DATASET_NAME} characters at most"
        )
        yield document.problem(("name",), message)


def _start(document: YamlText, timezone: str | None) -> tuple[datetime | None, list[Problem]]:
    """Return the start date in UTC, if it is valid and the time zone exists, and the problems."""
    text = document.data.get("start_date")
    zone = timezone or _mapping(document, "schedule").get("timezone", "UTC")
    if not isinstance(text, str) or not isinstance(zone, str):
        return None, []
    try:
        read_moment(text)
    except ValueError:
        return None, []  # a finding about the shape reports it
    try:
        return moment_in(text, ZoneInfo(zone), zone), []
    except ValueError as error:
        return None, [document.problem(("start_date",), str(error))]


def _schedule_problems(document: YamlText) -> list[tuple[InvalidRequest, Problem]]:
    schedule = _mapping(document, "schedule")
    problems = []
    for name, check in (("cron", check_cron), ("timezone", check_timezone)):
        if not isinstance(schedule.get(name), str):
            continue
        try:
            check(schedule[name])
        except InvalidRequest as error:
            problems.append((error, document.problem(("schedule", name), error.problems[0].message)))
    return problems
