"""Leases: the exclusive right of one process to work on an item, so that workers share the work without repeating it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

MIRROR: Final = "mirror"
"""The lease key of the mirror."""

SYNC: Final = "sync"
"""The lease key of the sync of CODE workflows."""

TIDY: Final = "tidy"
"""The lease key of the removal of old records. The lease is not released: it expires when the next removal is due."""

COMPARE: Final = "compare"
"""The lease key of the full comparison. The lease is not released: it expires when the next comparison is due."""


@frozen(kw_only=True)
class Lease:
    """The right of ``owner`` to work on ``lease_key`` until ``until``, and after it until another process acquires the key.

    ``epoch`` rises with every acquisition of the key: a write under an older epoch is rejected.
    """

    lease_key: str
    owner: str
    epoch: int
    until: datetime


def workflow_lease_key(workflow_id: UUID) -> str:
    """Return the lease key of reconciling a workflow."""
    return f"workflow:{workflow_id}"


def run_lease_key(run_id: str) -> str:
    """Return the lease key of submitting, stopping or retrying a run."""
    return f"run:{run_id}"


def backfill_lease_key(backfill_id: str) -> str:
    """Return the lease key of advancing a backfill."""
    return f"backfill:{backfill_id}"
