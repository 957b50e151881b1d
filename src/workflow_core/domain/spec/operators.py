"""The findings about the arguments of one task: forbidden, unknown, missing, or of the wrong kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.names import quoted
from workflow_core.domain.spec.advice import ANY_TASK, SHORT_TASK, guess
from workflow_core.domain.spec.arguments import COMMON, OWN, kinds_of, objects_of, short_name
from workflow_core.domain.spec.values import YES_OR_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workflow_core.domain.spec.text import Path, YamlText
    from workflow_core.errors import Problem

OWN_KEYS: Final = ("task_id", "operator", "dependencies")
"""The keys of a task that are not arguments of its operator."""

_CODE: Final = (
    "execution_date_fn", "execution_date_fn_file", "execution_date_fn_name", "failure_check_file", "failure_check_lambda",
    "failure_check_name", "output_processor", "pagination_function", "post_execute", "pre_execute", "python_callable_file",
    "python_callable_name", "response_check_file", "response_check_lambda", "response_check_name", "response_filter",
    "success_check_file", "success_check_lambda", "success_check_name",
)  # fmt: skip
_NO_CODE: Final = (
    "code from a file or a text is not supported; write a task with `operator: python` and"
    " `python_callable: package.module.function`"
)
_NO_CALLBACK: Final = "callbacks are not supported; write a task with a `trigger_rule`, such as `one_failed`"

FORBIDDEN_ARGUMENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_CODE, _NO_CODE),
    **dict.fromkeys(("decorator", "expand", "partial"), "mapped and decorated tasks are not supported"),
    **dict.fromkeys(("task_group", "task_group_name", "parent_group_name"), "task groups are not supported"),
    **dict.fromkeys(("dag", "default_args"), "is not supported in a task; write the arguments themselves"),
    **dict.fromkeys(("start_date", "end_date"), "is not supported in a task; `start_date` stands at the top level"),
    **dict.fromkeys(
        ("retry_policy", "start_from_trigger", "start_trigger_args"), "takes an object, which is not supported"
    ),
    "variables_as_arguments": "is not supported; write `{{ var.value.name }}` in the argument itself",
}
"""Arguments that are forbidden for every operator, each with the reason.

With some of them dag-factory reads files of the host, or imports or compiles a text (``dagfactory/dagbuilder.py``, 1.1); others reach
beyond their task.
"""

_FORBIDDEN_ENDINGS: Final[Mapping[str, str]] = {
    "_lambda": _NO_CODE,
    **dict.fromkeys(("_callback", "_callback_file", "_callback_name"), _NO_CALLBACK),
}


def forbidden_arguments(arguments: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the arguments that are forbidden for every operator, each with the reason."""
    for name, value in arguments.items():
        reason = FORBIDDEN_ARGUMENTS.get(name) or next(
            (reason for ending, reason in _FORBIDDEN_ENDINGS.items() if name.endswith(ending)), None
        )
        if reason:
            yield name, reason
        elif name in {"inlets", "outlets"} and (wrong := COMMON[name].wrong(value)):
            yield name, wrong  # dag-factory reads the file that a mapping names


def argument_problems(document: YamlText, path: Path, task: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems with the arguments of the task at ``path``, whose operator may be missing or wrong."""
    operator = task.get("operator")
    operator = operator if isinstance(operator, str) else ""
    short = short_name(operator)
    arguments = {name: value for name, value in task.items() if name not in OWN_KEYS}
    magic = list(magic_keys(arguments, path))
    for place, message in magic:
        yield document.problem(place, message, at_key=True)
    reported = {str(place[len(path)]) for place, _ in magic}
    for name, reason in _not_taken(arguments, operator, short):
        if name not in reported:
            reported.add(name)
            yield document.problem((*path, name), reason, at_key=True)
    for name in OWN[short].required if short else ():
        if name not in arguments:
            message = f"operator {short!r} needs the argument {name!r}"
            yield document.problem((*path, "operator"), message, at_key=True)
    rest = {name: value for name, value in arguments.items() if name not in reported}
    yield from _kind_problems(document, path, operator, rest)


def _kind_problems(document: YamlText, path: Path, operator: str, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    kinds = kinds_of(operator)
    for name, value in arguments.items():
        kind = kinds.get(name)
        if kind is not None and (wrong := kind.wrong(value)):
            yield document.problem((*path, name), wrong)
        elif kind is None or kind.loose:
            yield from _words(document, (*path, name), value)


def _not_taken(arguments: Mapping[str, Any], operator: str, short: str | None) -> Iterator[tuple[str, str]]:
    yield from forbidden_arguments(arguments)
    objects = objects_of(operator)
    known = {*COMMON, *OWN[short].kinds, *OWN_KEYS} if short else set()
    for name in arguments:
        if name in objects:
            yield name, objects[name]
        elif short is None:
            if name in ANY_TASK:
                yield name, ANY_TASK[name]
        elif name not in known:
            yield name, _unknown(name, short, known)


def _unknown(name: str, short: str, known: set[str]) -> str:
    advice = ANY_TASK.get(name) or SHORT_TASK.get(name)
    if advice:
        return advice
    if name == "response_check":
        return _NO_CODE
    close = guess(name, known)
    return f"operator {short!r} takes no such argument{f'; did you mean {close!r}?' if close else ''}"


def _words(document: YamlText, path: Path, value: Any) -> Iterator[Problem]:
    """Yield plain words that YAML 1.1 reads as a truth value, in places where the expected type is unknown."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _words(document, (*path, name), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _words(document, (*path, index), item)
    elif isinstance(value, str) and path in document.plain and YES_OR_NO.match(value):
        truth = "true" if value.lower() in {"y", "yes", "on"} else "false"
        yield document.problem(path, f'is the text "{value}" here; write {truth} if you mean that, or quote it')


_MAGIC: Final[Mapping[str, str]] = {
    "__type__": "objects are not supported",
    "__args__": "objects are not supported",
    "__join__": "is not supported; write one text, with `{{ … }}` for what varies",
    "__and__": "conditions are not supported; write a list",
    "__or__": "conditions are not supported; write a list",
}
_PLAIN_MAPPINGS: Final = (
    "write plain mappings, as in the Kubernetes documentation (`limits`, `requests`), or `pod_template_dict`"
)
_UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}


def magic_keys(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the keys of dag-factory's notation for objects, at any depth, each with the fix."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from magic_keys(item, (*path, index))
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if name.startswith("__") and name.endswith("__") and len(name) > len("____"):
            if name != "__args__" or "__type__" not in value:
                yield (*path, name), _instead(name, value, str(path[-1]) if path else "")
        else:
            yield from magic_keys(item, (*path, name))


def _instead(name: str, value: Mapping[str, Any], argument: str) -> str:
    message = _MAGIC.get(name, "keys with two underscores at both ends are not supported; write a plain key")
    kind = value.get("__type__")
    if name != "__type__" or not isinstance(kind, str):
        return message
    if kind.rpartition(".")[2] == "timedelta":
        return f"{message}; write the seconds: `{argument if argument.isidentifier() else 'retry_delay'}: {_seconds(value)}`"
    if kind.startswith("kubernetes."):
        return f"{message}; {_PLAIN_MAPPINGS}"
    return f"{message}; write {quoted(kind)} as a plain value, or do it in a function of `operator: python`"


def _seconds(value: Mapping[str, Any]) -> str:
    amounts = {unit: value[unit] for unit in _UNITS if unit in value}
    if not amounts or any(
        isinstance(amount, bool) or not isinstance(amount, int | float) for amount in amounts.values()
    ):
        return "300"
    return f"{sum(amount * _UNITS[unit] for unit, amount in amounts.items()):g}"
