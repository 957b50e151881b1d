"""``CodeObjectPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workflow_core.domain.code import CodeObject
    from workflow_core.fakes.store import Store


class InMemoryCodeObjects:
    """:class:`~workflow_core.ports.code_objects.CodeObjectPort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def code_objects(self) -> Mapping[str, CodeObject]:
        with self._store.transaction("code_objects"):
            return {name: self._store.kept(record) for name, record in self._store.code_objects.items()}

    def save_code_objects(self, changed: Iterable[CodeObject], removed: Iterable[CodeObject]) -> None:
        with self._store.transaction("save_code_objects"):
            for record in changed:
                if self._is_as_read(record):
                    self._store.code_objects[record.dataset_name] = self._store.kept(
                        self._store.with_next_version(record)
                    )
            for record in removed:
                if self._is_as_read(record):
                    self._store.code_objects.pop(record.dataset_name, None)

    def _is_as_read(self, record: CodeObject) -> bool:
        kept = self._store.code_objects.get(record.dataset_name)
        return (kept.version if kept else 0) == record.version
