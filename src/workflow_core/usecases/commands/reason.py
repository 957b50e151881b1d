"""Validate the reason for a pause or a stop."""

from __future__ import annotations

from typing import Final

from workflow_core.domain.names import unstorable
from workflow_core.errors import InvalidRequest

MAX_REASON: Final = 1000
"""Maximum length of a reason, in characters."""


def check_reason(reason: str | None) -> None:
    """Return if the text is a valid reason; raise :class:`InvalidRequest` otherwise."""
    if reason is None:
        return
    problem = unstorable(reason)
    if len(reason) > MAX_REASON:
        problem = f"is {len(reason)} characters long; at most {MAX_REASON} are allowed"
    if problem:
        raise InvalidRequest(problem, field="reason")
