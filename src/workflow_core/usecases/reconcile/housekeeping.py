"""Delete what has expired."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workflow_core.usecases.context import Context


FORGOTTEN_AT_ONCE: Final = 1000
"""Keys that one pass of the worker forgets at most."""


def forget_keys(context: Context) -> int:
    """Forget keys that are older than the policy keeps them; how many."""
    before = context.clock.now() - timedelta(seconds=context.policy.keep_keys)
    return context.db.idempotency.purge_keys(before, FORGOTTEN_AT_ONCE)
