"""Who asks, and under which key."""

from __future__ import annotations

from uuid import UUID, uuid4

from attrs import Factory, frozen


@frozen(kw_only=True)
class Key:
    """An idempotency key as one request brought it.

    ``fingerprint`` is equal for requests that ask for the same, and different for all others. ``attempt`` is this one request's: it
    tells what it has recorded itself from what an earlier one with the same key has.
    """

    text: str
    fingerprint: str
    attempt: UUID = Factory(uuid4)


@frozen(kw_only=True)
class Caller:
    """The identity that is recorded as ``triggered_by``, ``paused_by``, ``registered_by``; and the key of its request, if it has one."""

    name: str
    key: Key | None = None
