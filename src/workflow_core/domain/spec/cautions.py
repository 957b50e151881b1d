"""Warnings about parts of a spec that are allowed but probably unintended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from workflow_core.domain.names import dotted, quoted
from workflow_core.domain.spec.arguments import short_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workflow_core.domain.spec.document import TaskSpec, WorkflowSpec
    from workflow_core.domain.spec.text import Path

_QUOTED: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_DATED: Final = re.compile(
    r"(?<![\w.])(?<!\|)(?<!\|\s)(ds|ds_nodash|ts|ts_nodash|ts_nodash_with_tz|logical_date|execution_date|data_interval_start|data_interval_end"
    r"|prev_ds|prev_ds_nodash|next_ds|next_ds_nodash|yesterday_ds|yesterday_ds_nodash|tomorrow_ds|tomorrow_ds_nodash"
    r"|prev_execution_date|prev_execution_date_success|next_execution_date|prev_data_interval_start_success"
    r"|prev_data_interval_end_success|prev_start_date_success|prev_end_date_success)\b(?!\s*(?:=|\()|\s+is\s|\s*\|\s*(?:default|d)\b)"
)
_REMOVED: Final = re.compile(r"(?:execution_date|prev_execution_date|next_|yesterday_|tomorrow_|prev_ds)")
_LAST_RUN: Final = re.compile(r"prev_\w+_success\Z")

_FILES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "bash": (("bash_command", "env", "cwd"), (".sh", ".bash")),
    "sql": (("sql", "parameters"), (".sql", ".json")),
}
"""For short operators: the arguments in which Airflow interprets a text with such an ending as a template file name."""


def cautions(spec: WorkflowSpec) -> Iterator[tuple[Path, str]]:
    """Yield the path of each part of a spec that deserves a warning, with the reason and the fix."""
    for index, task in enumerate(spec.tasks):
        for name, value in task.arguments.items():
            for path, text in _texts(value, ("tasks", index, name)):
                yield from ((path, message) for message in _of_text(task, name, text))


def warnings_of(spec: WorkflowSpec) -> tuple[str, ...]:
    """Return the warnings as sentences, for callers without the text of the spec."""
    return tuple(f"{dotted(path)}: {message}" for path, message in cautions(spec))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _of_text(task: TaskSpec, name: str, text: str) -> Iterator[str]:
    if _is_file(task, name, text):
        yield (
            f"Airflow takes {quoted(text)} for the name of a template file, which it looks for beside the loader file, because of its"
            " ending; add a space at the end if it is no file"
        )
    for word in dict.fromkeys(_dated_words(text)):
        yield _undefined(word)


def _is_file(task: TaskSpec, name: str, text: str) -> bool:
    short = short_name(task.operator)
    if short is not None and short in _FILES:
        names, endings = _FILES[short]
        return name in names and text.endswith(endings)
    return (name == "bash_command" and text.endswith((".sh", ".bash"))) or (name == "sql" and text.endswith(".sql"))


def _dated_words(text: str) -> Iterator[str]:
    for template in _templates(text):
        yield from (match.group(1) for match in _DATED.finditer(_QUOTED.sub("''", template)))


def _templates(text: str) -> Iterator[str]:
    """Yield the contents of the braces of a template, in time linear in the length of the text."""
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        start = text.find(opening)
        while start != -1 and (end := text.find(closing, start + len(opening))) != -1:
            yield text[start + len(opening) : end]
            start = text.find(opening, end + len(closing))


def _undefined(word: str) -> str:
    if _LAST_RUN.match(word):
        return f"`{word}` is null until a scheduled run has succeeded; write `{{{{ run_date() }}}}` for the date of the run"
    if _REMOVED.match(word):
        return f"`{word}` does not exist in Airflow 3; write `{{{{ run_date() }}}}`, the date of every kind of run"
    return (
        f"`{word}` is undefined in runs that are started by hand on Airflow 3; write `{{{{ run_date() }}}}`, the date of every kind"
        " of run"
    )
