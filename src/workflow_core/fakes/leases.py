"""The part of ``WorkflowPort`` in memory that is about leases."""

from __future__ import annotations

from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve

from workflow_core.domain.lease import Lease
from workflow_core.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

T = TypeVar("T")

_WRITING: Final = ("add_", "save_", "revise_", "retire_", "mark_")
"""How the names of methods begin that write what leases are about."""


class InMemoryLeases:
    """Leases; the rules are small methods, so that a test can break exactly one."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}
        self._released: set[str] = set()
        self._held = local()

    def claim(self, subjects: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        """As the port says."""
        with self._transaction("claim"):
            free = [subject for subject in dict.fromkeys(subjects) if self._is_free(subject, at)]
            new = (Lease(subject=one, owner=owner, epoch=self._next_epoch(one), until=until) for one in free)
            claimed = {lease.subject: self._kept(lease) for lease in new}
            self._leases.update(claimed)
            for subject in claimed:
                self._released.discard(subject)
            return claimed

    def renew(self, lease: Lease, until: datetime) -> Lease:
        """As the port says."""
        with self._transaction("renew"):
            if not self._is_held(lease):
                raise LeaseLost(lease.subject)
            self._leases[lease.subject] = renewed = self._kept(evolve(lease, until=until))
            return renewed

    def release(self, leases: Iterable[Lease]) -> None:
        """As the port says."""
        with self._transaction("release"):
            for lease in leases:
                if self._is_held(lease):
                    self._released.add(lease.subject)

    @contextmanager
    def under(self, lease: Lease) -> Iterator[None]:
        """As the port says."""
        before = getattr(self._held, "lease", None)
        self._held.lease = lease
        try:
            yield
        finally:
            self._held.lease = before

    def forget_leases(self, before: datetime) -> None:
        """As the port says."""
        with self._transaction("forget_leases"):
            for subject in [subject for subject, lease in self._leases.items() if lease.until < before]:
                del self._leases[subject]
                self._released.discard(subject)

    def _transaction(self, method: str) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _kept(self, entity: T) -> T:
        raise NotImplementedError

    def _refuse_lost_lease(self, method: str) -> None:
        held: Lease | None = getattr(self._held, "lease", None)
        if held is not None and method.startswith(_WRITING) and not self._is_held(held):
            raise LeaseLost(held.subject)

    def _is_free(self, subject: str, at: datetime) -> bool:
        lease = self._leases.get(subject)
        return lease is None or subject in self._released or lease.until <= at

    def _next_epoch(self, subject: str) -> int:
        lease = self._leases.get(subject)
        return 1 if lease is None else lease.epoch + 1

    def _is_held(self, lease: Lease) -> bool:
        held = self._leases.get(lease.subject)
        same = held is not None and (held.owner, held.epoch) == (lease.owner, lease.epoch)
        return same and lease.subject not in self._released
