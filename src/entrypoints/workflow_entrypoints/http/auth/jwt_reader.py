"""JSON Web Tokens of an identity provider (RFC 7519, OpenID Connect), verified as RFC 8725 recommends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt
from attrs import frozen

from workflow_core.domain.identity import Identity, is_user_name
from workflow_core.errors import Unauthenticated
from workflow_entrypoints.settings.grants import access_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workflow_entrypoints.http.auth.jwks import KeySet
    from workflow_entrypoints.settings.grants import GrantRule

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""The accepted values of ``typ``: ID tokens and access tokens (RFC 9068), but no logout tokens."""

_MOST_GROUPS: Final = 1000


@frozen(kw_only=True)
class JwtRules:
    """The claims that a token must have.

    Attributes:
        issuer: The required ``iss``.
        audience: The required ``aud``.
        algorithms: The accepted algorithms.
        leeway: Seconds of tolerance for clocks.
        name_claim: The claim with the name of the user.
        groups_claim: The claim with the groups of the user.
        grants: The rules that grant roles to users and groups.
    """

    issuer: str
    audience: str
    algorithms: Sequence[str]
    leeway: float
    name_claim: str
    groups_claim: str
    grants: Sequence[GrantRule]


class JwtReader:
    """Reads tokens that are signed with a key of the set. Keys and key URLs in the header of a token are ignored."""

    def __init__(self, keys: KeySet, rules: JwtRules) -> None:
        self._keys = keys
        self._rules = rules

    def identity(self, text: str) -> Identity | None:
        """See :class:`~workflow_entrypoints.http.auth.bearer.BearerReader`."""
        try:
            claims = self._claims(text)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated(f"a JSON web token is refused: {type(error).__name__}") from None
        name = self._name(claims)
        groups = claims.get(self._rules.groups_claim)
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        names = [group for group in listed[:_MOST_GROUPS] if isinstance(group, str)]
        return Identity(name=name, access=access_of(name, names, self._rules.grants))

    def close(self) -> None:
        """Close the connection of the key set."""
        self._keys.close()

    def _claims(self, text: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(text)
        key_id, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise Unauthenticated(
                "a JSON web token is signed with an algorithm that is not in WORKFLOWS_JWT_ALGORITHMS"
            )
        if not isinstance(key_id, str) or "crit" in header or str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise Unauthenticated("a JSON web token names no key, is not for access, or requires an extension")
        key = self._keys.key(key_id, algorithm)
        if key is None:
            raise Unauthenticated("a JSON web token is signed with a key that the identity provider does not have")
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key,
            algorithms=[algorithm],
            audience=self._rules.audience,
            issuer=self._rules.issuer,
            leeway=self._rules.leeway,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._rules.name_claim)
        if self._rules.name_claim == "email" and claims.get("email_verified") is not True:
            raise Unauthenticated("a JSON web token contains an e-mail address that is not verified")
        if not isinstance(name, str) or not is_user_name(name):
            raise Unauthenticated("a JSON web token contains no valid user name in WORKFLOWS_JWT_NAME_CLAIM")
        return name
