"""Names and ids: which are valid, and how each is derived from the others.

Rules from ``docs/adr/0003-names-and-ids.md``; the limits of run ids are Airflow's own.
"""

from __future__ import annotations

import re
import secrets
import zlib
from typing import TYPE_CHECKING
from uuid import UUID

from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_DATASET_NAME = 200
"""Characters in a dataset name, so that run ids stay below Airflow's limit of 250."""

MAX_RUN_ID = 250

_LONGEST_PART = 60

_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
DATASET_NAME_PATTERN = rf"^{_SEGMENT}(\.{_SEGMENT})+$"
RUN_ID_PATTERN = r"^[A-Za-z0-9_.~:+-]+$"
_DATASET_NAME = re.compile(DATASET_NAME_PATTERN.replace("$", r"\Z"))
_RUN_ID = re.compile(RUN_ID_PATTERN.replace("$", r"\Z"))
_ONE_SEGMENT = re.compile(rf"{_SEGMENT}\Z")
_SENTINEL = re.compile(r"workflow_core_loader_\d\d_of_\d\d\Z")
_OUTSIDE_DAG_ID = re.compile(r"[^A-Za-z0-9_]")


def check_dataset_name(value: str, *, field: str = "dataset_name") -> str:
    """Return ``value`` if it is a legal dataset name.

    Raises:
        InvalidRequest: it is not two or more dot-separated segments of ``[A-Za-z0-9_][A-Za-z0-9_-]*``, or is longer
            than 200 characters. No legal name can collide with a route, a file path or a storage key.
    """
    if len(value) > MAX_DATASET_NAME:
        msg = f"is {len(value)} characters long; at most {MAX_DATASET_NAME} are allowed"
        raise InvalidRequest(msg, field=field)
    if not _DATASET_NAME.match(value):
        msg = (
            f"{quoted(value)} is not a dataset name. Write two or more segments joined by dots, each of letters, digits,"
            " '_' and '-' (not first), such as 'iceberg.analytics.daily_clicks'"
        )
        raise InvalidRequest(msg, field=field)
    return value


def is_segment(text: str) -> bool:
    """Whether this is a legal segment of a dataset name."""
    return _ONE_SEGMENT.match(text) is not None


def check_run_id(value: str, *, field: str = "run_id") -> str:
    """Return ``value`` if Airflow would take it as a run id; raise :class:`InvalidRequest` otherwise."""
    if len(value) > MAX_RUN_ID or not _RUN_ID.match(value) or ".." in value:
        msg = (
            f"{quoted(value)} is not a run id: at most {MAX_RUN_ID} characters out of letters, digits and '_.~:+-',"
            " without '..'"
        )
        raise InvalidRequest(msg, field=field)
    return value


def dag_id_for(dataset_name: str) -> str:
    """The id of the workflow's DAG in Airflow: every character outside ``[A-Za-z0-9_]`` becomes ``_``."""
    return _OUTSIDE_DAG_ID.sub("_", dataset_name)


def run_id_for(dataset_name: str, at: datetime, *, nth: int = 1) -> str:
    """The id of the ``nth`` run of a workflow accepted in the second of ``at`` (UTC)."""
    suffix = "" if nth == 1 else f"_{nth}"
    return f"{dataset_name}_{at:%Y%m%d_%H%M%S}{suffix}"


def loader_for(dag_id: str, loaders: int) -> int:
    """The index (0-based) of the loader file that serves this DAG. Stable over processes, hosts and versions."""
    return zlib.crc32(dag_id.encode()) % loaders


def sentinel_dag_id(index: int, loaders: int) -> str:
    """Return the id of the paused DAG that every loader file defines, so that its file can always be found in Airflow."""
    return f"workflow_core_loader_{index:02d}_of_{loaders:02d}"


def is_sentinel(dag_id: str) -> bool:
    """Whether this is the DAG id of a sentinel, of any index and count, which no workflow may use."""
    return _SENTINEL.match(dag_id) is not None


def uuid7(at: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds of ``at``, then random bits; sorts by time."""
    value = (int(at.timestamp() * 1000) & (2**48 - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


def quoted(value: str, limit: int = 60) -> str:
    """Return ``value`` for use in a message: quoted, control characters escaped, cut at ``limit`` characters."""
    cut = value if len(value) <= limit else value[: limit - 3] + "..."
    return ascii(cut)


def dotted(path: Iterable[str | int]) -> str:
    """``("tasks", 2, "operator")`` as ``tasks[2].operator``; names that are not plain words are quoted, escaped and cut."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.isascii() and part.isprintable() and 0 < len(part) <= _LONGEST_PART
            text += f"{'.' if text else ''}{part if plain else quoted(part)}"
    return text


def unstorable(text: str) -> str | None:
    """Return why databases cannot store this text (NUL, or a lone surrogate); None if they can."""
    if "\0" in text:
        return "contains a NUL character, which cannot be stored"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains a lone surrogate, which is not a character"
    return None
