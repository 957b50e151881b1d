"""``TokenPort`` in memory."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from workflow_core.errors import ConcurrentUpdate, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.token import Token


class InMemoryTokens:
    """:class:`~workflow_core.ports.tokens.TokenPort`; :meth:`go_down` takes the database away."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = Lock()
        self._is_down = False

    def go_down(self) -> None:
        """Refuse every call from now on."""
        self._is_down = True

    def come_back(self) -> None:
        """Answer again."""
        self._is_down = False

    def add_token(self, token: Token) -> None:
        """As the port says."""
        self._refuse_if_down()
        with self._lock:
            if token.id in self._tokens:
                raise ConcurrentUpdate(f"the token {token.id}")
            self._tokens[token.id] = token

    def token(self, token_id: str) -> Token | None:
        """As the port says."""
        self._refuse_if_down()
        return self._tokens.get(token_id)

    def tokens(self) -> Sequence[Token]:
        """As the port says."""
        self._refuse_if_down()
        return tuple(sorted(self._tokens.values(), key=lambda token: (token.created_at, token.id), reverse=True))

    def revoke_token(self, token_id: str, *, at: datetime, by: str) -> Token | None:
        """As the port says."""
        self._refuse_if_down()
        with self._lock:
            found = self._tokens.get(token_id)
            if found is None:
                return None
            self._tokens[token_id] = revoked = found.revoked(at=at, by=by)
            return revoked

    def _refuse_if_down(self) -> None:
        if self._is_down:
            raise DatabaseUnavailable("The database is away.")
