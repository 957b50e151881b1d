"""Who asks, from where, and under which key."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID, uuid4

from attrs import Factory, frozen

from workflow_core.domain.access import EVERYTHING, Access


@frozen(kw_only=True)
class IdempotencyKey:
    """An idempotency key as one request brought it.

    ``fingerprint`` is equal for requests that ask for the same, and different for all others. ``attempt`` is this one request's: it
    tells what it has recorded itself from what an earlier one with the same key has.
    """

    text: str
    fingerprint: str
    attempt: UUID = Factory(uuid4)


class Via(StrEnum):
    """How a request came to the service."""

    HTTP = "http"
    CLI = "cli"
    LIBRARY = "library"
    WORKER = "worker"


@frozen(kw_only=True)
class Caller:
    """The identity that is recorded as ``triggered_by``, ``paused_by``, ``registered_by``; where its request came from (``address`` and
    ``request_id`` over HTTP only); what it may do (``access``); and the key of the request, if it has one.
    """

    name: str
    via: Via = Via.LIBRARY
    address: str | None = None
    request_id: str | None = None
    access: Access = EVERYTHING
    key: IdempotencyKey | None = None
