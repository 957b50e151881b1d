"""The findings about tasks: ids, operators, arguments and dependencies."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.names import quoted
from workflow_core.domain.spec.advice import guess, is_old_path, present_path
from workflow_core.domain.spec.document import SHORT_OPERATORS
from workflow_core.domain.spec.operators import argument_problems
from workflow_core.domain.spec.rules import REACHING
from workflow_core.domain.spec.values import CALLABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workflow_core.domain.spec.rules import SpecRules
    from workflow_core.domain.spec.text import Path, YamlText
    from workflow_core.errors import Problem


_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z")


def task_problems(document: YamlText, tasks: Sequence[Any], rules: SpecRules) -> Iterator[Problem]:
    """Yield the problems with the tasks that are mappings; their shape is checked elsewhere."""
    task_ids: set[str] = set()
    mappings = {index: task for index, task in enumerate(tasks) if isinstance(task, dict)}
    for index, task in mappings.items():
        path: Path = ("tasks", index)
        task_id = task.get("task_id")
        if isinstance(task_id, str):
            if task_id in task_ids:
                yield document.problem(
                    (*path, "task_id"), f"a second task has the id {quoted(task_id)}; ids must be unique"
                )
            task_ids.add(task_id)
        if isinstance(task.get("operator"), str) and (wrong := _operator_problem(task["operator"], rules)):
            yield document.problem((*path, "operator"), wrong)
        yield from argument_problems(document, path, task)
        function = task.get("python_callable")
        if isinstance(function, str) and not CALLABLE.wrong(function) and (wrong := rules.callable_problem(function)):
            yield document.problem((*path, "python_callable"), wrong)
    waits = {index: _texts(task.get("dependencies")) for index, task in mappings.items()}
    for index, dependencies in waits.items():
        for position, dependency in dependencies.items():
            if dependency not in task_ids:
                close = guess(dependency, task_ids)
                message = f"there is no task {quoted(dependency)}{f'; did you mean {quoted(close)}?' if close else ''}"
                yield document.problem(("tasks", index, "dependencies", position), message)
    yield from _cycle_problems(document, mappings, waits)


def _texts(value: Any) -> Mapping[int, str]:
    items = value if isinstance(value, list) else []
    return {position: item for position, item in enumerate(items) if isinstance(item, str)}


def _operator_problem(operator: str, rules: SpecRules) -> str | None:
    now = present_path(operator, SHORT_OPERATORS)
    if "." not in operator and operator not in SHORT_OPERATORS:
        short = ", ".join(SHORT_OPERATORS)
        close = now or guess(operator.lower(), SHORT_OPERATORS)
        hint = f"; did you mean {close!r}?" if close else ""
        return f"{quoted(operator)} is neither a short name ({short}) nor the path of a class{hint}"
    path = SHORT_OPERATORS.get(operator, operator)
    if rules.allows(path):
        return None
    if path in REACHING:
        return (
            f"{quoted(path)} is not allowed here: it {REACHING[path]}; only WORKFLOWS_ALLOWED_OPERATORS with this exact path"
            " allows it"
        )
    if now:
        return f"{quoted(operator)} is a path of Airflow 2 or older; write `operator: {now}`"
    old = "; operators have moved from here into airflow.providers" if is_old_path(operator) else ""
    allowed = ", ".join(rules.operators)
    return f"{quoted(path)} is not allowed here{old}; WORKFLOWS_ALLOWED_OPERATORS allows {allowed}"


def _cycle_problems(
    document: YamlText, tasks: Mapping[int, Mapping[str, Any]], waits: Mapping[int, Mapping[int, str]]
) -> Iterator[Problem]:
    ids = {index: task["task_id"] for index, task in tasks.items() if isinstance(task.get("task_id"), str)}
    try:
        TopologicalSorter({task_id: list(waits[index].values()) for index, task_id in ids.items()}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        index = next(number for number, task_id in ids.items() if task_id == cycle[0])
        message = f"the dependencies form a cycle: {' -> '.join(map(_word, reversed(cycle)))}"
        yield document.problem(("tasks", index, "dependencies"), message)


def _word(task_id: str) -> str:
    return task_id if _PLAIN_ID.match(task_id) else quoted(task_id)
