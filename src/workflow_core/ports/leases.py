"""The port for leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from workflow_core.domain.lease import Lease


@runtime_checkable
class LeasePort(Protocol):
    """Grants leases, and fences writes with them.

    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.
    """

    def acquire(self, lease_keys: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        """Acquire a lease on each key that is unleased, released or expired at ``at``, and return the acquired leases by key.

        If several callers acquire the same key at the same time, exactly one succeeds. The epoch of a new lease is greater than every
        earlier epoch of its key.
        """
        ...

    def renew(self, lease: Lease, until: datetime) -> Lease:
        """Change the expiry of a lease; its epoch stays the same.

        Raises:
            LeaseLost: Another owner has acquired the key, or the lease was released.
        """
        ...

    def release(self, leases: Iterable[Lease]) -> None:
        """Release leases. Leases that another owner has acquired since then are unchanged."""
        ...

    def under(self, lease: Lease) -> AbstractContextManager[None]:
        """Fence the writes of this thread with a lease.

        Within the block, every writing method of every port of this database, called in this thread, writes only while the lease is
        neither acquired by another owner nor released; the check is part of the same transaction. Reads, :meth:`acquire`,
        :meth:`renew` and :meth:`release` are not fenced. Blocks may be nested: the inner lease counts.

        Raises (each fenced method):
            LeaseLost: The lease is lost; nothing was written.
        """
        ...

    def purge_leases(self, before: datetime) -> None:
        """Delete the leases that expired before this moment, so that the epochs of their keys start again.

        No process may still work under one of these leases.
        """
        ...
