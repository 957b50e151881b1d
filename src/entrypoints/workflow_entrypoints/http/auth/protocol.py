"""The protocol of an authenticator, and the part of a request that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import HTTPScope, Scope

    from workflow_core.domain.identity import Identity


@frozen(kw_only=True)
class AuthRequest:
    """The raw headers, and the address of the peer (None: the connection has no address)."""

    headers: Sequence[tuple[bytes, bytes]]
    peer: str | None

    @classmethod
    def of(cls, scope: Scope | HTTPScope) -> AuthRequest:
        """Return this part of a request."""
        client = scope.get("client")
        return cls(headers=tuple(scope["headers"]), peer=client[0] if client else None)

    def all(self, name: str) -> list[bytes]:
        """Return every header of this name."""
        wanted = name.lower().encode()
        return [value for key, value in self.headers if key.lower() == wanted]


class Authenticator(Protocol):
    """One way to authenticate a caller.

    It blocks for I/O (a database read, a fetch of keys), so call it in a thread.
    """

    def authenticate(self, request: AuthRequest) -> Identity | None:
        """Return the identity that the request proves; None if it carries no credential of this kind.

        Raises:
            Unauthenticated: The credential is invalid. The message is for the log of the service, never for the caller,
                and contains no part of the credential except a public id.
            DatabaseUnavailable, IdentityProviderUnavailable: The credential cannot be verified now.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
