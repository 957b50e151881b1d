"""The reason that somebody gives for a pause or a stop."""

from __future__ import annotations

from typing import Final

from workflow_core.domain.names import unstorable
from workflow_core.errors import InvalidRequest

MAX_REASON: Final = 1000
"""Characters of a reason."""


def check_reason(reason: str | None) -> None:
    """Return if this may be stored as a reason; raise :class:`InvalidRequest` otherwise."""
    if reason is None:
        return
    wrong = unstorable(reason)
    if len(reason) > MAX_REASON:
        wrong = f"is {len(reason)} characters long; at most {MAX_REASON} are allowed"
    if wrong:
        raise InvalidRequest(wrong, field="reason")
