"""Distribute work among requests and workers, using leases to avoid duplicates.

The database rejects a write under a lease that another process has acquired since
(:meth:`~workflow_core.ports.leases.LeasePort.under`). The steps below therefore stay correct however long a worker
was suspended.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from workflow_core.errors import ConcurrentUpdate, DatabaseUnavailable, LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from workflow_core.domain.lease import Lease
    from workflow_core.usecases.context import Context

T = TypeVar("T")

CHUNK: Final = 10
"""Number of items for which a worker acquires leases at once; the remaining items stay available to other workers."""

_log = logging.getLogger(__name__)


@contextmanager
def hold_lease(lease_key: str, context: Context) -> Iterator[bool]:
    """Hold the lease on a key for the duration of the block, and release it afterwards.

    Yields:
        True if the lease was acquired; writes in the block are fenced with it. False if another process holds it.
    """
    lease = _acquire([lease_key], context).get(lease_key)
    if lease is None:
        yield False
        return
    try:
        with context.db.leases.under(lease):
            yield True
    finally:
        _release([lease], context)


def acquire_leadership(lease_key: str, context: Context) -> Lease | None:
    """Acquire or renew the lease of an activity that runs in only one worker at a time.

    Returns:
        The lease, or None if another worker is the leader. The leader keeps the lease until it fails to renew it in
        time.
    """
    lease = context.leaderships.get(lease_key)
    if lease is not None:
        try:
            lease = context.db.leases.renew(lease, context.clock.now() + _lease_duration(context))
        except LeaseLost:
            _log.warning("Another worker has become the leader of %s", lease_key)
            lease = None
    lease = lease or _acquire([lease_key], context).get(lease_key)
    if lease is None:
        context.leaderships.pop(lease_key, None)
    else:
        context.leaderships[lease_key] = lease
    return lease


def release_leadership(context: Context) -> None:
    """Release all leaderships of this process."""
    leases = list(context.leaderships.values())
    context.leaderships.clear()
    context.db.leases.release(leases)


def is_due(lease_key: str, interval: timedelta, context: Context) -> bool:
    """Return whether a periodic activity is due, and mark it as done until the next interval.

    The first worker to ask gets True. The lease on the key is not released; its expiry is the interval.
    """
    now = context.clock.now()
    return bool(context.db.leases.acquire([lease_key], owner=context.worker, at=now, until=now + interval))


def process_leased(
    items: Iterable[T], lease_key_of: Callable[[T], str], work: Callable[[T], bool], context: Context
) -> int:
    """Process every item that is not leased by another process, acquiring leases in batches of :data:`CHUNK`.

    An item that another process has changed is skipped: the next pass reads it again. Any other error ends the call,
    and the leases are released.

    Args:
        items: the items, read lazily.
        lease_key_of: returns the lease key of an item.
        work: processes one item; its result is counted.
        context: the ports and the configuration.

    Returns:
        How many calls of ``work`` returned True.
    """
    remaining = iter(items)
    count = 0
    while chunk := list(islice(remaining, CHUNK)):
        leases = _acquire([lease_key_of(item) for item in chunk], context)
        try:
            for item in chunk:
                lease = leases.get(lease_key_of(item))
                if lease is not None and lease.until > context.clock.now():
                    count += _process(work, item, lease, context)
        finally:
            _release(leases.values(), context)
    return count


def _process(work: Callable[[T], bool], item: T, lease: Lease, context: Context) -> bool:
    try:
        with context.db.leases.under(lease):
            return work(item)
    except ConcurrentUpdate as error:
        _log.info("Skipped, changed by another process: %s", error.message)
        return False


def _release(leases: Iterable[Lease], context: Context) -> None:
    try:
        context.db.leases.release(leases)
    except DatabaseUnavailable as error:  # they expire
        _log.warning("Leases were not released and will expire: %s", error.message)


def _acquire(lease_keys: list[str], context: Context) -> dict[str, Lease]:
    now = context.clock.now()
    return dict(
        context.db.leases.acquire(lease_keys, owner=context.worker, at=now, until=now + _lease_duration(context))
    )


def _lease_duration(context: Context) -> timedelta:
    return timedelta(seconds=context.policy.lease)
