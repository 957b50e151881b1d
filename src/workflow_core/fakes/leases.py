"""``LeasePort`` in memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.domain.lease import Lease
from workflow_core.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from workflow_core.fakes.store import Store


class InMemoryLeases:
    """:class:`~workflow_core.ports.leases.LeasePort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def acquire(self, lease_keys: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        with self._store.transaction("acquire"):
            free = [lease_key for lease_key in dict.fromkeys(lease_keys) if self._is_free(lease_key, at)]
            new = (Lease(lease_key=key, owner=owner, epoch=self._next_epoch(key), until=until) for key in free)
            claimed = {lease.lease_key: self._store.kept(lease) for lease in new}
            self._store.leases.update(claimed)
            for lease_key in claimed:
                self._store.released.discard(lease_key)
            return claimed

    def renew(self, lease: Lease, until: datetime) -> Lease:
        with self._store.transaction("renew"):
            if not self._store.is_held(lease):
                raise LeaseLost(lease.lease_key)
            self._store.leases[lease.lease_key] = renewed = self._store.kept(evolve(lease, until=until))
            return renewed

    def release(self, leases: Iterable[Lease]) -> None:
        with self._store.transaction("release"):
            for lease in leases:
                if self._store.is_held(lease):
                    self._store.released.add(lease.lease_key)

    @contextmanager
    def under(self, lease: Lease) -> Iterator[None]:
        before = getattr(self._store.fence, "lease", None)
        self._store.fence.lease = lease
        try:
            yield
        finally:
            self._store.fence.lease = before

    def purge_leases(self, before: datetime) -> None:
        with self._store.transaction("purge_leases"):
            for lease_key in [lease_key for lease_key, lease in self._store.leases.items() if lease.until < before]:
                del self._store.leases[lease_key]
                self._store.released.discard(lease_key)

    def _is_free(self, lease_key: str, at: datetime) -> bool:
        lease = self._store.leases.get(lease_key)
        return lease is None or lease_key in self._store.released or lease.until <= at

    def _next_epoch(self, lease_key: str) -> int:
        lease = self._store.leases.get(lease_key)
        return 1 if lease is None else lease.epoch + 1
