"""The chain of the configured authenticators."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workflow_core.errors import ConfigurationError, Unauthenticated
from workflow_entrypoints.http.auth.bearer import BearerAuthenticator, BearerReader, TokenReader
from workflow_entrypoints.http.auth.jwks import KeySet
from workflow_entrypoints.http.auth.jwt_reader import JwtReader, JwtRules
from workflow_entrypoints.http.auth.proxy import ProxyAuthenticator
from workflow_entrypoints.settings import AuthKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from workflow_core.domain.identity import Identity
    from workflow_core.ports.tokens import TokenPort
    from workflow_entrypoints.http.auth.protocol import Authenticator, AuthRequest
    from workflow_entrypoints.settings import Settings

_log = logging.getLogger(__name__)

REFUSAL: Final = (
    "Authentication failed. Send a valid bearer token in the Authorization header. The service log has the reason."
)
"""The only message that unauthenticated callers get; the reason goes to the log."""


class Authentication:
    """Authenticate callers, with the first authenticator that recognizes the credential."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = authenticators

    @classmethod
    def of(cls, settings: Settings, tokens: TokenPort | None, now: Callable[[], datetime]) -> Authentication | None:
        """Make the authenticators of ``WORKFLOWS_AUTH``; None for ``none``. With ``token``, ``tokens`` is required.

        Raises:
            ConfigurationError: A part is missing.
        """
        if not settings.authenticates:
            return None
        readers: list[BearerReader] = []
        if AuthKind.TOKEN in settings.auth:
            if tokens is None:
                raise ConfigurationError("WORKFLOWS_AUTH contains token, but there is no store of API tokens.")
            readers.append(TokenReader(tokens, now))
        if AuthKind.JWT in settings.auth:
            readers.append(
                JwtReader(KeySet(settings.jwt_jwks_url or "", settings.jwt_algorithms), _jwt_rules(settings))
            )
        authenticators: list[Authenticator] = [BearerAuthenticator(readers)] if readers else []
        if AuthKind.PROXY in settings.auth:  # last: if a bearer token is present, only the token decides
            authenticators.append(
                ProxyAuthenticator(
                    peers=settings.proxy_peers,
                    user_header=settings.proxy_user_header,
                    groups_header=settings.proxy_groups_header,
                    grants=settings.grant_rules,
                )
            )
        return cls(authenticators)

    def identify(self, request: AuthRequest) -> Identity:
        """Return the identity of the caller. Blocks for I/O, so call it in a thread.

        Raises:
            Unauthenticated: The caller is unknown; the message is always the same.
            DatabaseUnavailable, IdentityProviderUnavailable: The credential cannot be verified now.
        """
        try:
            for authenticator in self._authenticators:
                if identity := authenticator.authenticate(request):
                    return identity
        except Unauthenticated as error:
            _log.info("not authenticated: %s", error.message)
            raise Unauthenticated(REFUSAL) from None
        raise Unauthenticated(REFUSAL)

    def close(self) -> None:
        """Close the connections of every authenticator."""
        for authenticator in self._authenticators:
            authenticator.close()


def _jwt_rules(settings: Settings) -> JwtRules:
    return JwtRules(
        issuer=settings.jwt_issuer or "",
        audience=settings.jwt_audience or "",
        algorithms=settings.jwt_algorithms,
        leeway=settings.jwt_leeway,
        name_claim=settings.jwt_name_claim,
        groups_claim=settings.jwt_groups_claim,
        grants=settings.grant_rules,
    )
