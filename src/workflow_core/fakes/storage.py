"""``StoragePort`` in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.stored import object_path, stored_text
from workflow_core.errors import StorageConflict, StorageUnavailable
from workflow_core.ports.storage import StoredRef, StoredSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflow_core.domain.workflow import SourceType

Key = tuple["SourceType", str]


@frozen
class _Object:
    data: bytes
    etag: str
    modified_at: datetime


class InMemoryStorage:
    """:class:`~workflow_core.ports.storage.StoragePort` in the memory of this process; threads may share it.

    Each rule of the port is a small method, so that a test can break exactly one.
    """

    def __init__(self, prefix: str = "workflows") -> None:
        self._lock = RLock()
        self._prefix = prefix
        self._objects: dict[Key, _Object] = {}
        self._etags = count(1)
        self._down = False

    # Controls for tests.

    def go_down(self) -> None:
        """Make every method except :meth:`url` raise :class:`StorageUnavailable` until :meth:`come_back`."""
        self._down = True

    def come_back(self) -> None:
        """Undo :meth:`go_down`."""
        self._down = False

    def put_raw(self, source: SourceType, dataset_name: str, data: bytes) -> None:
        """Write an object without the port, as a CI pipeline does."""
        with self._lock:
            self._store((source, dataset_name), data)

    def raw(self, source: SourceType, dataset_name: str) -> bytes | None:
        """Read an object without the port."""
        with self._lock:
            stored = self._objects.get((source, dataset_name))
            return stored.data if stored else None

    # The port.

    def url(self, source: SourceType, dataset_name: str) -> str:
        return f"memory://{object_path(self._prefix, source, dataset_name)}"

    def put(self, source: SourceType, dataset_name: str, text: str, *, expected: str | None) -> str:
        with self._lock:
            self._reach()
            key, data = (source, dataset_name), text.encode()
            self._require(key, expected)
            stored = self._objects.get(key)
            return stored.etag if stored and stored.data == data else self._store(key, data)

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        with self._lock:
            self._reach()
            stored = self._objects.get((source, dataset_name))
            return StoredSpec(text=self._text(stored.data, limit), etag=stored.etag) if stored else None

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        with self._lock:
            self._reach()
            key = (source, dataset_name)
            return self._ref(key) if key in self._objects else None

    def delete(self, source: SourceType, dataset_name: str) -> bool:
        with self._lock:
            self._reach()
            return self._objects.pop((source, dataset_name), None) is not None

    def list(self, source: SourceType) -> Iterator[StoredRef]:
        with self._lock:
            self._reach()
            refs = [self._ref(key) for key in self._listed(source)]
        yield from refs

    def check(self) -> None:
        self._reach()

    # The rules.

    def _reach(self) -> None:
        if self._down:
            raise StorageUnavailable("The object store does not answer.")

    def _require(self, key: Key, expected: str | None) -> None:
        stored = self._objects.get(key)
        if (stored.etag if stored else None) != expected:
            raise StorageConflict(self.url(*key))

    def _store(self, key: Key, data: bytes) -> str:
        etag = self._etag(data)
        self._objects[key] = _Object(data, etag, datetime.now(UTC))
        return etag

    def _etag(self, _data: bytes) -> str:
        return f"etag-{next(self._etags)}"

    def _text(self, data: bytes, limit: int) -> str:
        return stored_text(data, limit)

    def _ref(self, key: Key) -> StoredRef:
        stored = self._objects[key]
        return StoredRef(
            source=key[0], dataset_name=key[1], etag=stored.etag, size=len(stored.data), modified_at=stored.modified_at
        )

    def _listed(self, source: SourceType) -> Sequence[Key]:
        return sorted(key for key in self._objects if key[0] is source)
