"""The object store for one parse: within a time limit, and not called again after a failure."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from workflow_core.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.workflow import SourceType
    from workflow_core.ports.storage import StoragePort, StoredRef, StoredSpec

PATIENCE: Final = 12.0
"""Seconds that one parse may wait for the store in total. After 30 (``dagbag_import_timeout``) Airflow drops the file
and its DAGs.
"""

_T = TypeVar("_T")


class PatientStorage:
    """The methods of :class:`~workflow_core.ports.storage.StoragePort` that the loader calls, with one time limit for
    all together.

    Every method raises :class:`StorageUnavailable` when the time is up, and at once after the first failure. A call
    that hangs (a dead server behind an open connection, a lost network drive) is abandoned in its thread.
    """

    def __init__(self, open_: Callable[[], StoragePort], seconds: float = PATIENCE) -> None:
        self._open = open_
        self._storage: StoragePort | None = None
        self._until = time.monotonic() + seconds
        self._failed: StorageUnavailable | None = None

    def url(self, source: SourceType, dataset_name: str) -> str:
        return self._call(lambda storage: storage.url(source, dataset_name))

    def list(self, source: SourceType) -> list[StoredRef]:
        """Read the listing to its end."""
        return self._call(lambda storage: list(storage.list(source)))

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        return self._call(lambda storage: storage.stat(source, dataset_name))

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        return self._call(lambda storage: storage.get(source, dataset_name, limit=limit))

    def _call(self, request: Callable[[StoragePort], _T]) -> _T:
        if self._failed is not None:
            raise self._failed
        try:
            return self._in_time(request)
        except StorageUnavailable as error:
            self._failed = error
            raise

    def _in_time(self, request: Callable[[StoragePort], _T]) -> _T:
        results: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                if self._storage is None:
                    self._storage = self._open()
                results.put((request(self._storage), None))
            except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
                results.put((None, error))

        threading.Thread(target=run, daemon=True).start()
        try:
            result, error = results.get(timeout=max(0.0, self._until - time.monotonic()))
        except queue.Empty:
            raise StorageUnavailable("The object store takes too long to respond.") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # None is a result only where the type of the request includes it
