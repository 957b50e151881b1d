"""Work under leases, so that requests and any number of workers share it and do not repeat each other's.

What is written under a lease that somebody else has taken over is refused by the database
(:meth:`~workflow_core.ports.workflow.WorkflowPort.under`), so the steps below stay right however long a worker stood still.
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
"""Things that a worker claims at a time: what comes after them is left for others."""

_log = logging.getLogger(__name__)


@contextmanager
def hold_lease(subject: str, context: Context) -> Iterator[bool]:
    """Work in the block under the lease of a subject; False, and without one, if somebody else works on it."""
    lease = _claimed([subject], context).get(subject)
    if lease is None:
        yield False
        return
    try:
        with context.workflows.under(lease):
            yield True
    finally:
        _release([lease], context)


def acquire_leadership(subject: str, context: Context) -> Lease | None:
    """The lease of what one worker does all the time, if that is this one; it stays so, unless it is not heard of for a while."""
    lease = context.led.get(subject)
    if lease is not None:
        try:
            lease = context.workflows.renew(lease, context.clock.now() + _length(context))
        except LeaseLost:
            _log.warning("Somebody else has taken over: %s", subject)
            lease = None
    lease = lease or _claimed([subject], context).get(subject)
    if lease is None:
        context.led.pop(subject, None)
    else:
        context.led[subject] = lease
    return lease


def release_leadership(context: Context) -> None:
    """Leave to others what this worker leads in."""
    leases = list(context.led.values())
    context.led.clear()
    context.workflows.release(leases)


def is_due(subject: str, every: timedelta, context: Context) -> bool:
    """Whether something that is done now and then, by whichever worker comes first, is due; it then counts as done."""
    now = context.clock.now()
    return bool(context.workflows.claim([subject], owner=context.worker, at=now, until=now + every))


def process_leased(
    items: Iterable[T], subject_of: Callable[[T], str], work: Callable[[T], bool], context: Context
) -> int:
    """Do the work for each of the items that nobody else works on, a few of which are claimed at a time; returns for how many of them the
    work said True.

    One that somebody else has changed meanwhile is left as it is: the next pass sees how. Other errors end it, and what was claimed is
    released.
    """
    rest = iter(items)
    count = 0
    while chunk := list(islice(rest, CHUNK)):
        leases = _claimed([subject_of(item) for item in chunk], context)
        try:
            for item in chunk:
                lease = leases.get(subject_of(item))
                if lease is not None and lease.until > context.clock.now():
                    count += _do(work, item, lease, context)
        finally:
            _release(leases.values(), context)
    return count


def _do(work: Callable[[T], bool], item: T, lease: Lease, context: Context) -> bool:
    try:
        with context.workflows.under(lease):
            return work(item)
    except ConcurrentUpdate as error:
        _log.info("Left to somebody else: %s", error.message)
        return False


def _release(leases: Iterable[Lease], context: Context) -> None:
    try:
        context.workflows.release(leases)
    except DatabaseUnavailable as error:  # they end by themselves
        _log.warning("%s", error.message)


def _claimed(subjects: list[str], context: Context) -> dict[str, Lease]:
    now = context.clock.now()
    return dict(context.workflows.claim(subjects, owner=context.worker, at=now, until=now + _length(context)))


def _length(context: Context) -> timedelta:
    return timedelta(seconds=context.policy.lease)
