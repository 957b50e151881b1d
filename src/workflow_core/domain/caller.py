"""Who asks."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Caller:
    """The identity that is recorded as ``triggered_by``, ``paused_by``, ``registered_by``."""

    name: str
