"""The object store that holds one YAML per workflow and source; Airflow reads it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workflow_core.domain.workflow import SourceType


@frozen(kw_only=True)
class StoredRef:
    """An object as a listing tells it. ``etag`` changes whenever the content does; it is opaque."""

    source: SourceType
    dataset_name: str
    etag: str
    size: int
    modified_at: datetime


@frozen(kw_only=True)
class StoredSpec:
    """An object's content and the ETag it had."""

    text: str
    etag: str


@runtime_checkable
class StoragePort(Protocol):
    """``{prefix}/{manual|code}/{dataset_name}.yaml`` in some store. Names are legal dataset names, checked by the caller.

    A reader never sees half of a write, and what :meth:`put` returned for survives a crash. Any method may raise
    :class:`~workflow_core.errors.StorageUnavailable`.
    """

    def url(self, source: SourceType, dataset_name: str) -> str:
        """The object's URL (``s3://bucket/workflows/manual/a.b.yaml``), whether or not it exists. No request is made."""
        ...

    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        """Write the object and return its new ETag.

        ``expected`` is the ETag of the object to replace, or None if there must not be one yet. Of several at the same time with
        the same ``expected``, exactly one succeeds. Writing text that is already there under the right ETag succeeds.

        Raises:
            StorageConflict: the object is not the expected one, or exists, or is gone; nothing was written.
        """
        ...

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        """The object, or None if there is none.

        Raises:
            InvalidWorkflowSpec: it is larger than ``limit`` bytes, or not UTF-8.
        """
        ...

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        """What a listing would tell of the object, or None if there is none."""
        ...

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        """Remove the object. False if there was none: nothing to do is not an error."""
        ...

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        """Every object of the source, by name ascending in code-point order. Objects whose key is not a legal dataset name
        with ``.yaml`` are left out.

        A store that fails half-way raises; it never just ends early.
        """
        ...

    def check(self) -> None:
        """Return if the store answers and may be read."""
        ...
