"""``TokenPort`` in memory."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from workflow_core.errors import ConcurrentUpdate, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.token import Token
    from workflow_core.ports.database import Database


class InMemoryTokens:
    """:class:`~workflow_core.ports.tokens.TokenPort` in the memory of this process; threads may share it.

    Changes are recorded in the audit of ``database``, if it is given.
    """

    def __init__(self, database: Database | None = None) -> None:
        self._database = database
        self._tokens: dict[str, Token] = {}
        self._lock = Lock()
        self._is_down = False

    def go_down(self) -> None:
        """Make every method raise :class:`DatabaseUnavailable` until :meth:`come_back`."""
        self._is_down = True

    def come_back(self) -> None:
        """Undo :meth:`go_down`."""
        self._is_down = False

    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        self._refuse_if_down()
        with self._lock:
            if token.id in self._tokens:
                raise ConcurrentUpdate(f"the token {token.id}")
            self._record(act)
            self._tokens[token.id] = token

    def token(self, token_id: str) -> Token | None:
        self._refuse_if_down()
        return self._tokens.get(token_id)

    def tokens(self) -> Sequence[Token]:
        self._refuse_if_down()
        return tuple(sorted(self._tokens.values(), key=lambda token: (token.created_at, token.id), reverse=True))

    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        self._refuse_if_down()
        with self._lock:
            token = self._tokens.get(token_id)
            if token is None:
                return None
            if token.revoked_at is None:
                self._record(act)
            self._tokens[token_id] = revoked = token.revoked(at=at, by=by)
            return revoked

    def _record(self, act: AuditEntry | None) -> None:
        if act is not None and self._database is not None:
            self._database.audit.append(act)

    def _refuse_if_down(self) -> None:
        if self._is_down:
            raise DatabaseUnavailable("The database is down.")
