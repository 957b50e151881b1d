"""Delete expired records."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workflow_core.usecases.context import Context


PURGE_LIMIT: Final = 1000
"""Maximum number of idempotency keys that one sweep deletes."""


def purge_keys(context: Context) -> int:
    """Delete idempotency keys that are older than ``keep_keys``; return how many were deleted."""
    before = context.clock.now() - timedelta(seconds=context.policy.keep_keys)
    return context.db.idempotency.purge_keys(before, PURGE_LIMIT)
