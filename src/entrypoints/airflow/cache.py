"""Specs on this host's disk, by DAG id: what a parse has read, the next parse and the tasks need not read again."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from workflow_core.domain.workflow import SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator


@frozen(kw_only=True)
class CachedSpec:
    """A stored spec as it was read: ``etag`` says which state of the object, ``text`` is its whole content.

    ``parsed`` is the spec as JSON under the rules named by ``checked_by``, None if the text is no good spec. ``unreadable`` says why
    the object has no text at all.
    """

    dataset_name: str
    source: SourceType
    etag: str
    text: str
    checked_by: str = ""
    parsed: str | None = None
    unreadable: str | None = None


class SpecCache:
    """A folder with one file for each DAG id. Several processes may share it; a file that cannot be read counts as absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, dag_id: str) -> CachedSpec | None:
        """What is kept for this DAG, or None."""
        try:
            facts: dict[str, Any] = json.loads((self._folder / f"{dag_id}.json").read_text(encoding="utf-8"))
            return CachedSpec(**{**facts, "source": SourceType(facts["source"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, dag_id: str, spec: CachedSpec) -> None:
        """Keep a spec. A disk that cannot be written costs time at the next parse, and nothing else."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, half = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".half")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(spec), file)
            Path(half).replace(self._folder / f"{dag_id}.json")

    def drop(self, dag_id: str) -> None:
        """Forget a DAG."""
        with contextlib.suppress(OSError):
            (self._folder / f"{dag_id}.json").unlink(missing_ok=True)

    def dag_ids(self) -> Iterator[str]:
        """Every DAG that something is kept for, in no order."""
        if self._folder.is_dir():
            yield from (path.stem for path in self._folder.glob("[!.]*.json"))
