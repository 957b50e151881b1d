"""Where API tokens are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.token import Token


@runtime_checkable
class TokenPort(Protocol):
    """API tokens, by their ids, which are random. None is ever deleted: who had which stays on record.

    What a method returned for survives a crash, and every later call of any process sees it. Any method may raise
    :class:`~workflow_core.errors.DatabaseUnavailable`; those that change something also
    :class:`~workflow_core.errors.DatabaseOutcomeUnknown`.
    """

    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        """Keep a new token, and ``act`` in the audit with it: both or neither.

        Raises:
            ConcurrentUpdate: there is one with this id; it stays as it is.
        """
        ...

    def token(self, token_id: str) -> Token | None:
        """The token of this id, also one that has expired or is revoked; None if there is none. One read by the primary key."""
        ...

    def tokens(self) -> Sequence[Token]:
        """All of them, the latest first (``created_at``, then the id, both descending)."""
        ...

    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        """Make a token useless, and return it as it is then; None if there is none. Of one that was revoked before, the first moment
        and the first person stay. ``act`` is kept in the audit with it, if this was the first time.
        """
        ...
