"""The port for leases, each time with one rule broken."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.contract.broken_ports.harness import nothing
from workflow_core.fakes.leases import InMemoryLeases
from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from datetime import datetime


class LeaseIsNotLookedAt(Store):
    refuse_lost_lease = nothing


class LeaseIsNotLookedAtByRuns(Store):
    def refuse_lost_lease(self, method: str) -> None:
        if "run" not in method:
            super().refuse_lost_lease(method)


class LeaseIsNeededToRead(Store):
    def refuse_lost_lease(self, method: str) -> None:
        super().refuse_lost_lease("save_" + method)


class LeaseOfAllThreads(Store):
    def __init__(self) -> None:
        super().__init__()
        self.fence: Any = SimpleNamespace()


class LeasedTwice(InMemoryLeases):
    def _is_free(self, lease_key: str, at: datetime) -> bool:
        return True


class LeasedAgainToItsOwner(InMemoryLeases):
    def acquire(self, lease_keys: Any, *, owner: str, at: datetime, until: datetime) -> Any:
        lease_keys = list(lease_keys)
        acquired = {
            name: lease for name, lease in self._store.leases.items() if name in lease_keys and lease.owner == owner
        }
        return acquired | dict(super().acquire(lease_keys, owner=owner, at=at, until=until))


class LeaseEndsTooLate(InMemoryLeases):
    def _is_free(self, lease_key: str, at: datetime) -> bool:
        return super()._is_free(lease_key, at - timedelta(microseconds=1))


class EpochStays(InMemoryLeases):
    def _next_epoch(self, lease_key: str) -> int:
        return 1


class ReleaseDoesNothing(InMemoryLeases):
    release = nothing


class ReleasesWhatIsOfOthers(InMemoryLeases):
    def release(self, leases: Any) -> None:
        super().release([self._store.leases.get(lease.lease_key, lease) for lease in leases])


class LostLeaseIsRenewed(InMemoryLeases):
    def renew(self, lease: Any, until: datetime) -> Any:
        return super().renew(self._store.leases.get(lease.lease_key, lease), until)


class NothingIsForgotten(InMemoryLeases):
    purge_leases = nothing
