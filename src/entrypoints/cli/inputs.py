"""What is typed on the command line, read and checked; every error names the option."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from workflow_core.domain.names import shown
from workflow_core.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

Member = TypeVar("Member", bound=StrEnum)


def read_bytes(file: Path, option: str) -> bytes:
    """The content of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"cannot read {file}: {error.strerror}", field=option) from None


def read_yaml(file: Path | None, text: str | None) -> str:
    """The YAML of ``--file`` or of ``--yaml-content``, whichever was given."""
    if file is not None and text is not None:
        raise InvalidRequest("cannot be given with --file; leave one of them out", field="--yaml-content")
    if text is not None:
        return text
    if file is None:
        raise InvalidRequest("is required, or --yaml-content with the text itself", field="--file")
    return decoded(read_bytes(file, "--file"))


def read_schedule(cron: str | None, timezone: str | None, text: str) -> dict[str, str] | None:
    """The schedule of the options, over that of the YAML: ``--timezone`` alone leaves the cron expression as it is there."""
    if cron is None and timezone is None:
        return None
    written = _schedule_of(text)
    cron = cron if cron is not None else written.get("cron")
    if cron is None:
        raise InvalidRequest("needs --cron: the YAML has no schedule.cron that it could apply to", field="--timezone")
    return {"cron": cron, "timezone": timezone if timezone is not None else written.get("timezone", "UTC")}


def _schedule_of(text: str) -> dict[str, str]:
    """The texts of the YAML's ``schedule``; nothing where it has none. What is wrong in the YAML the service reports."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        tree = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        return {}
    schedule = tree.get("schedule") if isinstance(tree, dict) else None
    pairs = schedule.items() if isinstance(schedule, dict) else ()
    return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}


def decoded(data: bytes) -> str:
    """The text; that it is none is a finding with line and column."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        found = Problem(message=f"not UTF-8: byte {error.start + 1} cannot be read", line=line, column=column)
        raise InvalidRequest.of([found]) from None


def read_params(pairs: list[str], text: str | None) -> dict[str, Any]:
    """``--params`` first, single ``--param`` over it; a value that is no JSON is text."""
    given = _json(text, "--params") if text is not None else {}
    if not isinstance(given, dict):
        raise InvalidRequest('must be a JSON object, such as \'{"date": "2026-01-02"}\'', field="--params")
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InvalidRequest(f"{shown(pair)} is not KEY=VALUE", field="--param")
        given[key] = _json(value, "--param", otherwise=value)
    return given


def _json(text: str, option: str, *, otherwise: Any = None) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        if otherwise is not None:
            return otherwise
        raise InvalidRequest(f"is not JSON: {error}", field=option) from None
    except RecursionError:
        raise InvalidRequest("is nested too deep", field=option) from None


def one_of(kind: type[Member], value: str | None, option: str) -> Member | None:
    """The member that was typed, in any case."""
    if value is None:
        return None
    for member in kind:
        if member.value.lower() == value.lower():
            return member
    raise _wrong(option, value, f"one of {', '.join(member.value for member in kind)}")


def read_date(value: str | None, option: str) -> date | None:
    """The day that was typed."""
    try:
        return datetime.strptime(value, "%Y-%m-%d").date() if value is not None else None  # noqa: DTZ007 - a date only
    except ValueError:
        raise _wrong(option, value or "", "a date, YYYY-MM-DD") from None


def _wrong(option: str, value: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{shown(value)} is not {wanted}", field=option)
