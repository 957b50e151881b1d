"""The authenticators that the settings ask for, one after the other."""

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

REFUSAL: Final = "Who asks is not known: send a credential that is valid here, as Authorization: Bearer. The log of the service says more."
"""All that a caller is told, whatever was wrong."""


class Authentication:
    """Finds out who asks, or refuses."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = authenticators

    @classmethod
    def of(cls, settings: Settings, tokens: TokenPort | None, now: Callable[[], datetime]) -> Authentication | None:
        """What ``WORKFLOWS_AUTH`` asks for; None for ``none``. ``tokens`` are needed for ``token``.

        Raises:
            ConfigurationError: something is not there that it needs.
        """
        if not settings.authenticates:
            return None
        readers: list[BearerReader] = []
        if AuthKind.TOKEN in settings.auth:
            if tokens is None:
                raise ConfigurationError(
                    "WORKFLOWS_AUTH asks for API tokens, and there is no place where they are kept."
                )
            readers.append(TokenReader(tokens, now))
        if AuthKind.JWT in settings.auth:
            readers.append(
                JwtReader(KeySet(settings.jwt_jwks_url or "", settings.jwt_algorithms), _jwt_rules(settings))
            )
        authenticators: list[Authenticator] = [BearerAuthenticator(readers)] if readers else []
        if AuthKind.PROXY in settings.auth:  # at last: who brings a bearer token, too, stands or falls by that
            authenticators.append(
                ProxyAuthenticator(
                    peers=settings.proxy_peers,
                    user_header=settings.proxy_user_header,
                    groups_header=settings.proxy_groups_header,
                    grants=settings.grant_rules,
                )
            )
        return cls(authenticators)

    def identify(self, asked: AuthRequest) -> Identity:
        """Who asks. May take a moment, so that it belongs in a thread.

        Raises:
            Unauthenticated: nobody that is known, always in the same words.
            DatabaseUnavailable, IdentityProviderUnavailable: nobody can say now.
        """
        try:
            for authenticator in self._authenticators:
                if identity := authenticator.authenticate(asked):
                    return identity
        except Unauthenticated as error:
            _log.info("not authenticated: %s", error.message)
            raise Unauthenticated(REFUSAL) from None
        raise Unauthenticated(REFUSAL)

    def close(self) -> None:
        """Close the connections of all of them."""
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
