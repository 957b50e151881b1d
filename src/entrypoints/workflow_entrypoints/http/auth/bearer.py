"""``Authorization: Bearer …`` (RFC 6750, section 2.1): the header, and API tokens in it."""

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
"""Seconds for which a token is cached; a revoked token may stay valid for this time."""

_MOST: Final = 10_000
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)\Z")


class BearerReader(Protocol):
    """A reader of one kind of bearer token."""

    def identity(self, text: str) -> Identity | None:
        """Return the owner of the token; None if the token is of another kind.

        Raises as :meth:`Authenticator.authenticate`.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class BearerAuthenticator:
    """The first reader that knows the kind of token decides.

    If the header is present, no other authenticator is tried.
    """

    def __init__(self, readers: Sequence[BearerReader]) -> None:
        self._readers = readers

    def authenticate(self, request: AuthRequest) -> Identity | None:
        """See :class:`~workflow_entrypoints.http.auth.protocol.Authenticator`."""
        headers = request.all("authorization")
        if not headers:
            return None
        if len(headers) > 1:
            raise Unauthenticated("there are several Authorization headers")
        if len(headers[0]) > MAX_HEADER:
            raise Unauthenticated(f"the Authorization header has more than {MAX_HEADER} bytes")
        given = _BEARER.match(headers[0])
        if given is None:
            raise Unauthenticated("the Authorization header is not of the form 'Bearer TOKEN'")
        text = given[1].decode("ascii")
        for reader in self._readers:
            if identity := reader.identity(text):
                return identity
        raise Unauthenticated("the bearer token is of a kind that is not accepted here")

    def close(self) -> None:
        """See :class:`~workflow_entrypoints.http.auth.protocol.Authenticator`."""
        for reader in self._readers:
            reader.close()


class TokenReader:
    """Reads API tokens. A token is cached for some seconds; its secret and its expiry are checked each time."""

    def __init__(
        self, tokens: TokenPort, now: Callable[[], datetime], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._now = now
        self._monotonic = monotonic
        self._cached: dict[str, tuple[float, Token]] = {}
        self._lock = Lock()

    def identity(self, text: str) -> Identity | None:
        """See :class:`BearerReader`."""
        if not text.startswith(PREFIX) or len(text) > LENGTH:
            return None
        return live_token(text, self._find, self._now()).identity

    def close(self) -> None:
        """Do nothing: the store of the tokens belongs to the container."""

    def _find(self, token_id: str) -> Token | None:
        at, token = self._cached.get(token_id, (0.0, None))
        if token is not None and self._monotonic() - at < REMEMBERED:
            return token
        read_at = self._monotonic()  # before the read, so that a revoked token counts for at most REMEMBERED
        token = self._tokens.token(token_id)
        if token is not None:
            with self._lock:
                if len(self._cached) >= _MOST:
                    self._cached.clear()
                self._cached[token_id] = read_at, token
        return token
