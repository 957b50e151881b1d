"""``IdempotencyPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.act import KeyRecord
    from workflow_core.fakes.store import Store


class InMemoryIdempotency:
    """:class:`~workflow_core.ports.idempotency.IdempotencyPort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def key_record(self, scope: str, text: str) -> KeyRecord | None:
        with self._store.transaction("key_record"):
            return self._store.keys.get((scope, text))

    def store_response(self, scope: str, text: str, answer: str) -> str | None:
        with self._store.transaction("store_response"):
            record = self._store.keys.get((scope, text))
            if record is None:
                return None
            self._store.keys[scope, text] = self._answered(record, answer)
            return self._store.keys[scope, text].answer

    def purge_keys(self, before: datetime, limit: int) -> int:
        with self._store.transaction("purge_keys"):
            old = sorted(
                (record.at, key) for key, record in self._store.keys.items() if self._is_expired(record, before)
            )
            for _, key in old[:limit]:
                del self._store.keys[key]
            return len(old[:limit])

    def _answered(self, record: KeyRecord, answer: str) -> KeyRecord:
        return record if record.answer is not None else evolve(record, answer=answer)

    def _is_expired(self, record: KeyRecord, before: datetime) -> bool:
        return record.at < before
