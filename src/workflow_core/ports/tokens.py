"""The port for API tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.token import Token


@runtime_checkable
class TokenPort(Protocol):
    """Stores API tokens by their random ids. No token is ever deleted, so that the record of their owners stays complete.

    Once a method has returned, its change survives a crash and is visible to every later call of any process. Any method may raise
    :class:`~workflow_core.errors.DatabaseUnavailable`; a method that changes something may also raise
    :class:`~workflow_core.errors.DatabaseOutcomeUnknown`.
    """

    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        """Store a new token and the audit entry ``act`` in one transaction.

        Raises:
            ConcurrentUpdate: The id is taken. The stored token is unchanged.
        """
        ...

    def token(self, token_id: str) -> Token | None:
        """The token with this id, including one that has expired or is revoked, or None. The method makes one read by primary key."""
        ...

    def tokens(self) -> Sequence[Token]:
        """All tokens by ``created_at``, latest first, then by id, descending."""
        ...

    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        """Revoke a token and return it, or return None if it does not exist.

        A second revocation changes nothing: the time and the name of the first one stay. The audit entry ``act`` is written in the
        transaction of the first revocation.
        """
        ...
