"""``Authorization: Bearer …`` (RFC 6750, section 2.1): the header as a whole, and API tokens in it."""

from __future__ import annotations

import re
import time
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from workflow_core.domain.token import LENGTH, PREFIX, Token
from workflow_core.errors import Unauthenticated
from workflow_core.usecases.commands.tokens import live_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from workflow_core.domain.identity import Identity
    from workflow_core.ports.tokens import TokenPort
    from workflow_entrypoints.http.auth.protocol import AuthRequest

MAX_HEADER: Final = 8192
"""Bytes of the longest header that is read."""

REMEMBERED: Final = 5.0
"""Seconds for which a token that was found is not looked up again: so long may one that is revoked still count."""

_MOST: Final = 10_000
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)\Z")


class BearerReader(Protocol):
    """Somebody who knows whose one kind of bearer token is."""

    def identity(self, text: str) -> Identity | None:
        """Whose it is; None if it is none of the kind. Raises as :meth:`Authenticator.authenticate` does."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class BearerAuthenticator:
    """The first reader that knows the token decides. Whoever sends the header at all stands or falls by it."""

    def __init__(self, readers: Sequence[BearerReader]) -> None:
        self._readers = readers

    def authenticate(self, asked: AuthRequest) -> Identity | None:
        """As the seam says."""
        found = asked.all("authorization")
        if not found:
            return None
        if len(found) > 1:
            raise Unauthenticated("there are several Authorization headers")
        if len(found[0]) > MAX_HEADER:
            raise Unauthenticated(f"the Authorization header has more than {MAX_HEADER} bytes")
        given = _BEARER.match(found[0])
        if given is None:
            raise Unauthenticated("the Authorization header is not of the form 'Bearer TOKEN'")
        text = given[1].decode("ascii")
        for reader in self._readers:
            if identity := reader.identity(text):
                return identity
        raise Unauthenticated("the bearer token is of a kind that is not taken here")

    def close(self) -> None:
        """As the seam says."""
        for reader in self._readers:
            reader.close()


class TokenReader:
    """API tokens. One that was found is remembered for some seconds; its secret and its expiry are looked at each time."""

    def __init__(
        self, tokens: TokenPort, now: Callable[[], datetime], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._now = now
        self._monotonic = monotonic
        self._found: dict[str, tuple[float, Token]] = {}
        self._lock = Lock()

    def identity(self, text: str) -> Identity | None:
        """As the protocol says."""
        if not text.startswith(PREFIX) or len(text) > LENGTH:
            return None
        return live_token(text, self._find, self._now()).identity

    def close(self) -> None:
        """Nothing is open: the tokens are another's."""

    def _find(self, token_id: str) -> Token | None:
        at, token = self._found.get(token_id, (0.0, None))
        if token is not None and self._monotonic() - at < REMEMBERED:
            return token
        asked_at = self._monotonic()  # before the look, so that no more than REMEMBERED passes after a revocation
        token = self._tokens.token(token_id)
        if token is not None:
            with self._lock:
                if len(self._found) >= _MOST:
                    self._found.clear()
                self._found[token_id] = asked_at, token
        return token
