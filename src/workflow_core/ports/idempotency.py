"""The port for idempotency keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.audit import KeyRecord


@runtime_checkable
class IdempotencyPort(Protocol):
    """Stores the record of each idempotency key, and the response to its request.

    Methods of the other ports that take an ``act`` add the record in their own transaction.
    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.
    """

    def key_record(self, scope: str, text: str) -> KeyRecord | None:
        """The record of the idempotency key ``text`` of the caller ``scope``, or None."""
        ...

    def store_response(self, scope: str, text: str, answer: str) -> str | None:
        """Store the response to the request of this key unless the key has one, and return the stored response.

        If several callers store a response at the same time, one response is stored and all callers return it. None means that the key
        has no record.

        A crash of the database may lose a response; it never loses the record of the key.
        """
        ...

    def purge_keys(self, before: datetime, limit: int) -> int:
        """Delete up to ``limit`` keys recorded before this moment, the oldest first, and return how many were deleted."""
        ...
