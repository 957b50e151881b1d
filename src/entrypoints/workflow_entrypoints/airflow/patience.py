"""The object store as a parse may use it: within a time limit, and not again once it has failed."""

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
"""Seconds that one parse may wait for the store in all. After 30 (``dagbag_import_timeout``) Airflow gives up the file and its DAGs."""

_T = TypeVar("_T")


class PatientStorage:
    """What the loader needs of a :class:`~workflow_core.ports.storage.StoragePort`, with one time limit for everything together.

    Every method raises :class:`StorageUnavailable` when the time is up, and at once after the first failure. A call that hangs (a
    dead server behind an open connection, a lost network drive) is left behind in its thread.
    """

    def __init__(self, open_: Callable[[], StoragePort], seconds: float = PATIENCE) -> None:
        self._open = open_
        self._storage: StoragePort | None = None
        self._until = time.monotonic() + seconds
        self._failed: StorageUnavailable | None = None

    def url(self, source: SourceType, dataset_name: str) -> str:
        """As the port says."""
        return self._ask(lambda storage: storage.url(source, dataset_name))

    def list(self, source: SourceType) -> list[StoredRef]:
        """As the port says, read to its end."""
        return self._ask(lambda storage: list(storage.list(source)))

    def stat(self, source: SourceType, dataset_name: str) -> StoredRef | None:
        """As the port says."""
        return self._ask(lambda storage: storage.stat(source, dataset_name))

    def get(self, source: SourceType, dataset_name: str, *, limit: int) -> StoredSpec | None:
        """As the port says."""
        return self._ask(lambda storage: storage.get(source, dataset_name, limit=limit))

    def _ask(self, question: Callable[[StoragePort], _T]) -> _T:
        if self._failed is not None:
            raise self._failed
        try:
            return self._in_time(question)
        except StorageUnavailable as error:
            self._failed = error
            raise

    def _in_time(self, question: Callable[[StoragePort], _T]) -> _T:
        answers: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

        def ask() -> None:
            try:
                if self._storage is None:
                    self._storage = self._open()
                answers.put((question(self._storage), None))
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that asks
                answers.put((None, error))

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer, error = answers.get(timeout=max(0.0, self._until - time.monotonic()))
        except queue.Empty:
            raise StorageUnavailable("The object store takes too long to answer.") from None
        if error is not None:
            raise error
        return answer  # type: ignore[return-value] # None is only an answer where the question's type has it
