"""What an authenticator sees of a request, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import HTTPScope, Scope

    from workflow_core.domain.identity import Identity


@frozen(kw_only=True)
class AuthRequest:
    """The headers as they came, names in lower case, and the address of the other end of the connection (None: it has none)."""

    headers: Sequence[tuple[bytes, bytes]]
    peer: str | None

    @classmethod
    def of(cls, scope: Scope | HTTPScope) -> AuthRequest:
        """What is to be seen of this request."""
        client = scope.get("client")
        return cls(headers=tuple(scope["headers"]), peer=client[0] if client else None)

    def all(self, name: str) -> list[bytes]:
        """Every header of this name."""
        wanted = name.lower().encode()
        return [value for key, value in self.headers if key.lower() == wanted]


class Authenticator(Protocol):
    """One way to find out who asks. May take a moment (a read from the database, a fetch of keys), so that it belongs in a thread."""

    def authenticate(self, asked: AuthRequest) -> Identity | None:
        """The identity that the request proves; None if it says nothing of the kind that this one judges.

        Raises:
            Unauthenticated: it says something that is not so. The message is for the log of the service, never for the caller, and holds
                nothing of the credential but an id that is no secret.
            DatabaseUnavailable, IdentityProviderUnavailable: nobody can say now.
        """
        ...

    def close(self) -> None:
        """Close its connections."""
        ...
