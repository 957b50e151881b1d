"""Caches specs on the disk of this host, by DAG id: a spec that one parse has read, the next parse and the tasks need
not read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, frozen, validators

from workflow_core.domain.workflow import SourceType

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT = validators.instance_of(str)
_OPTIONAL = validators.optional(_TEXT)


@frozen(kw_only=True)
class CachedSpec:
    """A stored spec, and the result of its check.

    Attributes:
        dataset_name: the workflow.
        source: the source of the object.
        etag: the version of the object.
        modified_at: the time of that version (ISO 8601, to the second).
        text: the whole content; empty if it is too large or not text.
        checked_by: the key of the rules that it was checked by.
        parsed: the spec as JSON, or None.
        error: what is wrong with the spec, or None. Either ``parsed`` or ``error`` is set.
        text_since: the ``modified_at`` of the first version with this text, if that is another: an object may be
            rewritten with the same text.
    """

    dataset_name: str = field(validator=_TEXT)
    source: SourceType
    etag: str = field(validator=_TEXT)
    modified_at: str = field(validator=_TEXT)
    text: str = field(validator=_TEXT)
    checked_by: str = field(validator=_TEXT)
    parsed: str | None = field(default=None, validator=_OPTIONAL)
    error: str | None = field(default=None, validator=_OPTIONAL)
    text_since: str | None = field(default=None, validator=_OPTIONAL)

    def __attrs_post_init__(self) -> None:
        if (self.parsed is None) is (self.error is None):
            raise ValueError("either parsed or error is set")
        if self.published_at.tzinfo is None:
            raise ValueError("a time without a zone")

    @property
    def published_at(self) -> datetime:
        """The time since which the workflow has this text."""
        return datetime.fromisoformat(self.text_since or self.modified_at)

    def text_known_since(self, dataset_name: str, text: str) -> str | None:
        """Return since when the workflow has this text; None if the text is new."""
        same = self.dataset_name == dataset_name and self.text == text != ""
        return (self.text_since or self.modified_at) if same else None


class SpecCache:
    """A folder with one file for each DAG id. Several processes may share it; a file that cannot be read counts as
    absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, dag_id: str) -> CachedSpec | None:
        """Return the cached spec of a DAG, or None."""
        try:
            facts: dict[str, Any] = json.loads(self._path(dag_id).read_text(encoding="utf-8"))
            return CachedSpec(**{**facts, "source": SourceType(facts["source"])})
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def put(self, dag_id: str, spec: CachedSpec) -> None:
        """Cache a spec. A disk that cannot be written only costs time at the next parse."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, half = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".half")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(asdict(spec), file)
                Path(half).replace(self._path(dag_id))
            except BaseException:
                Path(half).unlink(missing_ok=True)
                raise

    def drop(self, dag_id: str) -> None:
        """Remove a DAG from the cache."""
        with contextlib.suppress(OSError):
            self._path(dag_id).unlink(missing_ok=True)
        self.mark_slow(dag_id, slow=False)

    def is_slow(self, dag_id: str) -> bool:
        """Whether the last parse on this host ran out of time for this DAG."""
        return self._slow_mark(dag_id).exists()

    def mark_slow(self, dag_id: str, *, slow: bool) -> None:
        """Record whether a DAG took too long to build."""
        with contextlib.suppress(OSError):
            if slow:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._slow_mark(dag_id).touch()
            else:
                self._slow_mark(dag_id).unlink(missing_ok=True)

    def dag_ids(self) -> Iterator[str]:
        """Yield the DAG ids in the cache, in no order."""
        with contextlib.suppress(OSError):
            yield from [path.stem for path in self._folder.glob("[!.]*.json")]

    def _slow_mark(self, dag_id: str) -> Path:
        return self._folder / f"{dag_id}.slow"

    def _path(self, dag_id: str) -> Path:
        return self._folder / f"{dag_id}.json"
