"""Output: tables for people, JSON and YAML for programs, one line for each error."""

from __future__ import annotations

import json
import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from workflow_entrypoints.cli.streams import is_unicode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

    from workflow_core.api import BackfillStatusAnswer, ExplainAnswer
    from workflow_core.api.base import Answer
    from workflow_core.errors import WorkflowError


class Format(StrEnum):
    """The output format. JSON and YAML are exactly the responses of the HTTP API."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


_STYLES: Final = {
    "SUCCESS": "green", "FAILED": "red", "RUNNING": "cyan", "PENDING": "yellow", "PAUSED": "yellow", "STOPPING": "magenta",
    "STOPPED": "magenta", "active": "green", "paused": "yellow", "disabled": "red",
}  # fmt: skip

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal interprets instead of showing them: control characters, direction changes, lone surrogates."""


def printable(text: str, *, keep: str = "") -> str:
    r"""Return the text with characters that a terminal would interpret escaped (``\x1b``), except those to keep.

    Names, reasons and descriptions come from one user and appear in the terminal of another.
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else ascii(match[0])[1:-1], text)


def on_terminal(*, stderr: bool = False) -> bool:
    """Whether the stream is a terminal; unlike rich's answer, independent of FORCE_COLOR."""
    return (sys.stderr if stderr else sys.stdout).isatty()


def console(*, stderr: bool = False) -> Console:
    """Return a console that uses colours on terminals (NO_COLOR and FORCE_COLOR override this) and never folds lines in a pipe."""
    from rich.console import Console

    width = None if on_terminal(stderr=stderr) else 10_000
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)


def print_answer(answer: Answer, form: Format) -> None:
    """Print one answer. As a table: one field per line, then its lists; the YAML of a workflow last, instead of its parsed spec."""
    data = answer.model_dump(mode="json")
    if form is not Format.TABLE:
        print_data(data, form)
        return
    from rich.text import Text

    out = console()
    apart = {"yaml_content", "spec", "warnings", "conditions"}  # warnings: on standard error
    lists = {name: data.pop(name) for name in list(data) if isinstance(data[name], list) and name not in apart}
    names = [name for name in data if name not in apart]
    width = max(map(len, names), default=0)
    for name in names:
        # soft wrap: a URL that the terminal folds can still be copied
        out.print(Text.assemble((name.ljust(width), "bold"), "  ", _cell(data, name)), soft_wrap=True)
    for name, items in lists.items():
        _print_list(name, items)
    for condition in data.get("conditions", ()):
        style = "bold red" if condition["severity"] == "error" else "yellow"
        line = Text.assemble((condition["severity"].ljust(width), style), "  ", printable(condition["message"]))
        out.print(line.append(f" [{condition['type']} since {condition['since']}]", "dim"), soft_wrap=True)
    if yaml := data.get("yaml_content"):
        out.print(Text("\n" + printable(yaml.rstrip(), keep="\n")), soft_wrap=True)


def _print_list(name: str, items: list[Any]) -> None:
    """Print a list of an answer under its name, one item per line."""
    from rich.text import Text

    if not items:
        return
    out = console()
    out.print(Text(f"\n{name}", "bold"))
    rows = [item if isinstance(item, dict) else {"": item} for item in items]
    paths = list(dict.fromkeys(path for row in rows for path in row))
    widths = {path: max(len(str(_cell(row, path))) for row in rows) for path in paths}
    for row in rows:
        cells = [_cell(row, path) for path in paths]
        for path, cell in zip(paths[:-1], cells, strict=False):
            cell.pad_right(widths[path] - cell.cell_len)
        out.print(Text("  ") + Text("  ").join(cells), soft_wrap=True)


def print_backfill(answer: BackfillStatusAnswer, form: Format) -> None:
    """Print a backfill. As a table: its fields, then its dates; in other formats, the whole answer."""
    if form is not Format.TABLE:
        print_answer(answer, form)
        return
    from workflow_core.api import BackfillItem

    print_answer(BackfillItem.model_validate(answer.model_dump()), form)
    for name in ("eta", "held"):
        if value := answer.model_dump(mode="json").get(name):
            print(f"{name.ljust(12)}  {printable(value)}")
    if answer.runs:
        print()
        columns = {"date": "DATE", "status": "STATUS", "started_at": "STARTED", "ended_at": "ENDED", "run_id": "RUN"}
        print_answers(answer.runs, form, columns, total=len(answer.runs), drop=("started_at", "ended_at"))
    if answer.skipped:
        print("\nSkipped: these dates had a run already")
        columns = {"date": "DATE", "status": "STATUS", "run_id": "RUN"}
        print_answers(answer.skipped, form, columns, total=len(answer.skipped))


def print_answers(
    answers: Sequence[Answer],
    form: Format,
    columns: Mapping[str, str],
    *,
    total: int,
    drop: Sequence[str] = (),
    empty: str = "Nothing found.",
) -> None:
    """Many answers: a table for people, with ``columns`` from dotted field to heading.

    Values are never cut, since ids are there to be copied. In a terminal that is too narrow the columns in ``drop`` give way, the first
    one first.
    """
    rows = [answer.model_dump(mode="json") for answer in answers]
    if form is not Format.TABLE:
        print_data(rows, form)
        return
    if not rows and on_terminal(stderr=True):
        print_hint(empty)
        return
    from rich.text import Text

    out, err = console(), console(stderr=True)
    cells = {path: [Text(head, "bold"), *(_cell(row, path) for row in rows)] for path, head in columns.items()}
    dropped = _narrowed(cells, out.width, drop)
    last = list(cells)[-1]
    for path, column in cells.items():
        width = max(cell.cell_len for cell in column)
        for cell in column:
            cell.pad_right(0 if path == last else width - cell.cell_len)
    for line in zip(*cells.values(), strict=True):
        out.print(Text("  ").join(line), soft_wrap=True)
    if dropped:
        names = ", ".join(columns[path] for path in columns if path in dropped)
        err.print(f"[dim]The terminal is too narrow for {names}[/]", soft_wrap=True)
    if total > len(rows):
        err.print(f"[dim]{len(rows)} of {total}; --limit and --offset show more[/]", soft_wrap=True)


def _narrowed(cells: dict[str, list[Text]], width: int, drop: Sequence[str]) -> set[str]:
    """Remove columns until the others fit; return the removed ones."""
    dropped: set[str] = set()
    for path in drop:
        if sum(max(cell.cell_len for cell in column) + 2 for column in cells.values()) - 2 <= width:
            break
        del cells[path]
        dropped.add(path)
    return dropped


def print_reasons(answer: ExplainAnswer) -> None:
    """Print why something does not run, one sentence per line."""
    from rich.text import Text

    out = console()
    out.print(Text.assemble((answer.subject, "bold"), "  ", (answer.status, _STYLES.get(answer.status, ""))))
    for reason in answer.reasons:
        since = f" [since {reason.since:%Y-%m-%dT%H:%M:%SZ}]" if reason.since else ""
        out.print(Text.assemble("- ", printable(reason.message), (since, "dim")), soft_wrap=True)


def print_error(error: WorkflowError, form: Format = Format.TABLE) -> None:
    """Print an error on standard error: its message and code, then each finding if there are several."""
    if form is Format.JSON:
        body: dict[str, Any] = {"code": error.code, "detail": error.message}
        if error.problems:
            body["errors"] = [
                {
                    key: value
                    for key in ("field", "message", "line", "column")
                    if (value := getattr(problem, key)) is not None
                }
                for problem in error.problems
            ]
        print(json.dumps(body), file=sys.stderr)
        return
    from rich.text import Text

    err = console(stderr=True)
    message = printable(error.message)
    err.print(Text.assemble(("Error:", "bold red"), " ", message, " ", (f"[{error.code}]", "dim")), soft_wrap=True)
    if len(error.problems) > 1:
        for problem in error.problems:
            err.print(Text(f"  {printable(str(problem))}"), soft_wrap=True)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print warnings about a request that succeeded, on standard error."""
    from rich.text import Text

    err = console(stderr=True)
    for warning in warnings:
        err.print(Text.assemble(("Warning:", "yellow"), " ", printable(warning)), soft_wrap=True)


def print_diff(text: str) -> None:
    """Print a unified diff, in colours on a terminal."""
    from rich.text import Text

    out = console()
    for line in text.splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        out.print(Text(printable(line), style), soft_wrap=True)


def print_hint(text: str) -> None:
    """Print what the user can do next, on standard error."""
    from rich.text import Text

    console(stderr=True).print(Text(printable(text), "dim"), soft_wrap=True)


def print_data(data: Any, form: Format) -> None:
    """Print data for programs, in characters that the encoding of the stream supports."""
    unicode = is_unicode(sys.stdout)
    if form is Format.JSON:
        print(json.dumps(data, indent=2, ensure_ascii=not unicode))
        return
    from workflow_core.domain.spec.write import block, in_ascii

    print(block(data if unicode else in_ascii(data)), end="")


def _cell(row: Mapping[str, Any], path: str) -> Text:
    from rich.text import Text

    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    text = in_words(value)
    return Text(printable(text), _STYLES.get(text, "")) if text else Text("-", "dim")


def in_words(value: Any) -> str:  # noqa: PLR0911 - one for each kind of value
    """Return a value of an answer as text without JSON syntax; empty if there is no value."""
    if value is None or value in ({}, [], ""):
        return ""
    match value:
        case bool():
            return "true" if value else "false"
        case {"cron": cron, "timezone": timezone, **rest} if not rest:
            return f"{cron} ({timezone})"
        case {"role": role, "team": team, "names": names, **rest} if not rest:
            limits = [f"{kind} {limit}" for kind, limit in (("team", team), ("names", names)) if limit]
            return f"{role} ({', '.join(limits)})" if limits else str(role)
        case {"total_tasks": int(), "completed_tasks": int()}:
            return _progress(value)
        case {"run_id": _, "status": status, "started_at": started, **_rest}:
            return f"{status} ({started})" if started else str(status)
        case dict() if all(isinstance(count, int) and str(key).isupper() for key, count in value.items()):
            return ", ".join(f"{count} {key}" for key, count in value.items() if count) or "0"
        case dict():
            return ", ".join(f"{key}={_inner(item)}" for key, item in value.items())
        case list() | tuple():
            return ", ".join(in_words(item) or "-" for item in value)
        case _:
            return str(value)


def _progress(progress: Mapping[str, Any]) -> str:
    text = f"{progress['completed_tasks']} of {counted(progress['total_tasks'], 'task')}"
    if failed := progress.get("failed_tasks"):
        text = f"{text}, {failed} failed"
    return f"{text}, at {progress['current_task']}" if progress.get("current_task") else text


def _inner(value: Any) -> str:
    """Return a nested value; containers stay JSON, so that their end is visible."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else in_words(value) or "-"


def counted(number: int, noun: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
