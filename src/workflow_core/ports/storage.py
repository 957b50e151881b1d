"""The port for the object store, which holds one YAML file for each workflow and source and which Airflow also reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workflow_core.domain.workflow import SourceType


@frozen(kw_only=True)
class StoredRef:
    """An object in a listing. ``etag`` is opaque and changes with the content."""

    source: SourceType
    dataset_name: str
    etag: str
    size: int
    modified_at: datetime


@frozen(kw_only=True)
class StoredSpec:
    """The content of an object and its ETag."""

    text: str
    etag: str


@runtime_checkable
class StoragePort(Protocol):
    """Stores the objects ``{prefix}/{manual|code}/{dataset_name}.yaml``. The caller passes only valid dataset names.

    A reader never gets a part of a write. An object survives a crash once :meth:`put` has returned. Any method may raise
    :class:`~workflow_core.errors.StorageUnavailable`.
    """

    def url(self, source: SourceType, dataset_name: str) -> str:
        """The URL of the object, such as ``s3://bucket/workflows/manual/a.b.yaml``. The object need not exist. No request is made."""
        ...

    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        """Write the object and return its new ETag.

        ``expected`` is the ETag of the object to replace, or None if the object must not exist. If several callers write at the same
        time with the same ``expected``, exactly one succeeds. Writing the stored text again with the right ETag succeeds.

        Raises:
            StorageConflict: The object has another ETag, or exists, or no longer exists. Nothing was written.
        """
        ...

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        """The object, or None.

        Raises:
            InvalidWorkflowSpec: The object is larger than ``limit`` bytes, or is not UTF-8.
        """
        ...

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        """The entry of the object in a listing, or None."""
        ...

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        """Delete the object, and return whether it existed."""
        ...

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        """All objects of the source by name, ascending in code-point order.

        Objects whose key is not a valid dataset name with ``.yaml`` are left out. If the store fails during the listing, the iterator
        raises: a listing never ends early without an error.
        """
        ...

    def check(self) -> None:
        """Return if the store responds and permits reading."""
        ...
