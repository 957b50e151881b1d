"""The caller of a request: its identity, address and idempotency key."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID, uuid4

from attrs import Factory, frozen

from workflow_core.domain.access import EVERYTHING, Access


@frozen(kw_only=True)
class IdempotencyKey:
    """The idempotency key of one request.

    ``fingerprint`` is equal for identical requests and different for all others. ``attempt`` is unique to this request: it
    distinguishes what this request has recorded from what an earlier one with the same key has recorded.
    """

    text: str
    fingerprint: str
    attempt: UUID = Factory(uuid4)


class Via(StrEnum):
    """The interface through which a request reached the service."""

    HTTP = "http"
    CLI = "cli"
    LIBRARY = "library"
    WORKER = "worker"


@frozen(kw_only=True)
class Caller:
    """The identity that is recorded as ``triggered_by``, ``paused_by`` or ``registered_by``, and its request.

    ``address`` and ``request_id`` are set for HTTP requests only. ``access`` contains the permissions, ``key`` the idempotency key of
    the request, if it has one.
    """

    name: str
    via: Via = Via.LIBRARY
    address: str | None = None
    request_id: str | None = None
    access: Access = EVERYTHING
    key: IdempotencyKey | None = None
