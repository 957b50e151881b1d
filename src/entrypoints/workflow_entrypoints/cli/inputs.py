"""Read and check input of the command line; every error names the option."""

from __future__ import annotations

import sys
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from workflow_core.domain.names import quoted
from workflow_core.errors import InvalidRequest, Problem, WorkflowError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from workflow_core.api import WorkflowApi


def read_bytes(file: Path, option: str) -> bytes:
    """Return the content of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        place = "standard input" if str(file) == "-" else str(file)
        raise InvalidRequest(f"cannot read {place}: {reason_of(error)}", field=option) from None


def read_line(option: str) -> str:
    """The text on standard input, without white space around it."""
    try:
        return sys.stdin.read().strip()
    except UnicodeDecodeError:
        raise InvalidRequest("standard input is not text in the encoding of the terminal", field=option) from None
    except OSError as error:
        raise InvalidRequest(f"cannot read standard input: {reason_of(error)}", field=option) from None


def check_confirmed(question: str) -> None:
    """Ask for confirmation on a terminal and exit unless the answer is yes. A script has no terminal and continues."""
    import typer

    from workflow_entrypoints.cli import exit_codes
    from workflow_entrypoints.cli.output import on_terminal, printable

    if not (sys.stdin.isatty() and on_terminal(stderr=True)):
        return
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        print("Nothing was changed.", file=sys.stderr)
        raise typer.Exit(exit_codes.INTERRUPTED)


def reason_of(error: OSError | ValueError) -> str:
    """Return the reason of the operating system why a file cannot be read."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def read_yaml(file: Path | None, text: str | None) -> str:
    """Return the YAML of ``--file`` or ``--yaml-content``."""
    if file is not None and text is not None:
        raise InvalidRequest("cannot be given with --file; leave one of them out", field="--yaml-content")
    if text is not None:
        return text
    if file is None:
        raise InvalidRequest("is required, or --yaml-content with the text itself", field="--file")
    return decoded(read_bytes(file, "--file"))


def read_schedule(cron: str | None, timezone: str | None, text: str) -> dict[str, str] | None:
    """Return the schedule of the options, which overrides the YAML; ``--timezone`` alone keeps the cron expression of the YAML."""
    if cron is None and timezone is None:
        return None
    written = _schedule_of(text)
    cron = cron if cron is not None else written.get("cron")
    if cron is None:
        raise InvalidRequest("needs --cron: the YAML has no schedule.cron that it could apply to", field="--timezone")
    return {"cron": cron, "timezone": timezone if timezone is not None else written.get("timezone", "UTC")}


def _schedule_of(text: str) -> dict[str, str]:
    """Return the texts in ``schedule`` of the YAML; empty if there are none. The service reports errors in the YAML."""
    from workflow_core.domain.spec.text import read_yaml as read_document

    try:
        tree = read_document(text, max_bytes=len(text) * 4).data
    except InvalidRequest:
        return {}
    schedule = tree.get("schedule") if isinstance(tree, dict) else None
    pairs = schedule.items() if isinstance(schedule, dict) else ()
    return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}


def decoded(data: bytes) -> str:
    """Return the text; bytes that are not UTF-8 are a finding with line and column."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        found = Problem(message=f"not UTF-8: byte {error.start + 1} cannot be read", line=line, column=column)
        raise InvalidRequest.of([found]) from None


def read_params(pairs: list[str], text: str | None, dataset_name: str, api: WorkflowApi) -> dict[str, Any]:
    """Return the params; each ``--param`` overrides ``--params``.

    The value of a ``--param`` is JSON, or text if it is not JSON. Where the workflow declares a string, the value is the typed text;
    the workflow is read only if a value could be either.
    """
    given = _json(text, "--params") if text is not None else {}
    if not isinstance(given, dict):
        raise InvalidRequest('must be a JSON object, such as \'{"date": "2026-01-02"}\'', field="--params")
    typed: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InvalidRequest(f"{quoted(pair)} is not KEY=VALUE", field="--param")
        if key in typed:
            raise InvalidRequest(f"{quoted(key)} is given twice; give each parameter once", field="--param")
        typed[key] = value
    values = {key: _json(value, "--param", otherwise=value) for key, value in typed.items()}
    if any(not isinstance(value, str) for value in values.values()):
        texts = _declared_texts(dataset_name, api)
        values |= {key: typed[key] for key in texts & values.keys() if not isinstance(values[key], str)}
    return {**given, **values}


def _declared_texts(dataset_name: str, api: WorkflowApi) -> set[str]:
    """Return the params that the workflow declares as strings; none if it cannot be read, because the request then reports the reason."""
    from workflow_core.domain.spec.document import DATE_PARAM

    try:
        declared = api.workflow(dataset_name).spec.get("params")
    except WorkflowError:
        declared = None
    params = declared if isinstance(declared, dict) else {}
    return {DATE_PARAM} | {key for key, param in params.items() if isinstance(param, dict) and _is_text(param)}


def _is_text(param: dict[str, Any]) -> bool:
    return bool(param.get("type", "string" if isinstance(param.get("default"), str) else None) == "string")


class _Ambiguous(ValueError):
    """JSON with one key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [key for key, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise _Ambiguous(f"{quoted(name)} stands twice in one object")
    return dict(pairs)


def _number(text: str) -> float:
    """Return the number; refuse values that JSON cannot represent: ``NaN``, ``Infinity``, ``1e999``."""
    number = float(text)
    if not isfinite(number):
        msg = f"{text} is not a number of JSON"
        raise ValueError(msg)
    return number


def _json(text: str, option: str, *, otherwise: Any = None) -> Any:
    import json

    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_number, parse_float=_number)
    except _Ambiguous as error:
        raise InvalidRequest(str(error), field=option) from None
    except ValueError as error:
        if otherwise is not None:
            return otherwise
        raise InvalidRequest(f"is not JSON: {error}", field=option) from None
    except RecursionError:
        raise InvalidRequest("is nested too deep", field=option) from None


def read_date(value: str | None, option: str) -> date | None:
    """The day that was typed."""
    try:
        return datetime.strptime(value, "%Y-%m-%d").date() if value is not None else None  # noqa: DTZ007 - a date only
    except ValueError:
        raise _wrong(option, value or "", "a date, YYYY-MM-DD") from None


def _wrong(option: str, value: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{quoted(value)} is not {wanted}", field=option)
