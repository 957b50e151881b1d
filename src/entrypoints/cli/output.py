"""Tables for people, JSON and YAML for programs; errors in a line each."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from workflow_core.api.base import Answer
    from workflow_core.errors import WorkflowError


class Format(StrEnum):
    """How answers are printed. JSON and YAML are exactly the answers of the HTTP API."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


_STYLES = {
    "SUCCESS": "green", "FAILED": "red", "RUNNING": "cyan", "PENDING": "yellow", "STOPPING": "magenta",
    "STOPPED": "magenta", "active": "green", "paused": "yellow", "disabled": "red",
}  # fmt: skip


def console(*, stderr: bool = False) -> Console:
    """A console that colours terminals only, and never folds the lines of a pipe."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=10_000)


def print_answer(answer: Answer, form: Format) -> None:
    """One answer: a field a line for people."""
    data = answer.model_dump(mode="json")
    if form is Format.TABLE:
        _print_fields(data)
    else:
        _print_data(data, form)


def print_answers(answers: Sequence[Answer], form: Format, columns: Mapping[str, str], *, total: int) -> None:
    """Many answers: a table for people, with ``columns`` from dotted field to heading."""
    rows = [answer.model_dump(mode="json") for answer in answers]
    if form is not Format.TABLE:
        _print_data(rows, form)
        return
    from rich.table import Table

    out = console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, no_wrap=True, overflow="ignore" if not out.is_terminal else "ellipsis")
    for row in rows:
        table.add_row(*(_cell(row, path) for path in columns))
    if out.is_terminal:
        out.print(table)
    else:  # a pipe gets no padding at the ends of lines
        with out.capture() as captured:
            out.print(table)
        print("\n".join(line.rstrip() for line in captured.get().splitlines()))
    if total > len(rows):
        console(stderr=True).print(f"[dim]{len(rows)} of {total}; --limit and --offset show more[/]")


def print_error(error: WorkflowError, form: Format = Format.TABLE) -> None:
    """What went wrong, on standard error: a line and its code, then each finding where there are several."""
    if form is Format.JSON:
        body: dict[str, Any] = {"code": error.code, "detail": error.message}
        if error.problems:
            body["errors"] = [
                {
                    key: value
                    for key in ("field", "message", "line", "column")
                    if (value := getattr(found, key)) is not None
                }
                for found in error.problems
            ]
        print(json.dumps(body), file=sys.stderr)
        return
    from rich.markup import escape

    err = console(stderr=True)
    err.print(f"[bold red]Error:[/] {escape(error.message)} [dim]\\[{error.code}][/]", soft_wrap=True)
    if len(error.problems) > 1:
        for found in error.problems:
            err.print(f"  {escape(str(found))}", soft_wrap=True)


def print_warnings(warnings: Iterable[str]) -> None:
    """What a caller should know though it worked, on standard error."""
    from rich.markup import escape

    for warning in warnings:
        console(stderr=True).print(f"[yellow]Warning:[/] {escape(warning)}", soft_wrap=True)


def _print_data(data: Any, form: Format) -> None:
    if form is Format.JSON:
        print(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(data, sys.stdout)


def _print_fields(data: Mapping[str, Any]) -> None:
    """A field a line; a workflow's YAML as it is, at the end, instead of its spec as data."""
    yaml = data.get("yaml_content")
    fields = {name: value for name, value in data.items() if name not in {"yaml_content", "spec"}}
    width = max(map(len, fields))
    out = console()
    for name, value in fields.items():
        out.print(f"[bold]{name:<{width}}[/]  {_cell({name: value}, name)}", soft_wrap=True)
    if yaml is not None:
        from rich.markup import escape

        out.print(f"\n{escape(yaml.rstrip())}", soft_wrap=True)


def _cell(row: Mapping[str, Any], path: str) -> str:
    from rich.markup import escape

    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None or value in ({}, []):
        return "[dim]-[/]"
    if isinstance(value, dict | list):
        return escape(json.dumps(value, ensure_ascii=False))
    style = _STYLES.get(str(value))
    return f"[{style}]{value}[/]" if style else escape(str(value))
