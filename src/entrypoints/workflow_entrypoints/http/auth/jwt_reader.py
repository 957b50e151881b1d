"""JSON web tokens of an identity provider (RFC 7519, OpenID Connect; what is checked follows RFC 8725)."""

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
"""What ``typ`` may say, if it is there: an ID token or an access token (RFC 9068), not a logout token or whatever else is signed."""

_MOST_GROUPS: Final = 1000


@frozen(kw_only=True)
class JwtRules:
    """What a token must say. ``leeway`` is in seconds; ``name_claim`` holds who it is for, ``groups_claim`` the groups of that one."""

    issuer: str
    audience: str
    algorithms: Sequence[str]
    leeway: float
    name_claim: str
    groups_claim: str
    grants: Sequence[GrantRule]


class JwtReader:
    """Tokens that are signed with a key of the set. Nothing in a token's header says where a key is, or what it is."""

    def __init__(self, keys: KeySet, rules: JwtRules) -> None:
        self._keys = keys
        self._rules = rules

    def identity(self, text: str) -> Identity | None:
        """As the protocol of bearer readers says."""
        try:
            claims = self._claims(text)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated(f"a JSON web token is refused: {type(error).__name__}") from None
        name = self._name(claims)
        groups = claims.get(self._rules.groups_claim)
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        mine = [group for group in listed[:_MOST_GROUPS] if isinstance(group, str)]
        return Identity(name=name, access=access_of(name, mine, self._rules.grants))

    def close(self) -> None:
        """Close the connection for keys."""
        self._keys.close()

    def _claims(self, text: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(text)
        key_id, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise Unauthenticated(
                "a JSON web token is signed with an algorithm that is not in WORKFLOWS_JWT_ALGORITHMS"
            )
        if not isinstance(key_id, str) or "crit" in header or str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise Unauthenticated("a JSON web token names no key, is not for access, or asks for an extension")
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
            raise Unauthenticated("a JSON web token holds an e-mail address that is not verified")
        if not isinstance(name, str) or not is_user_name(name):
            raise Unauthenticated("a JSON web token holds no name, in WORKFLOWS_JWT_NAME_CLAIM, that a user can have")
        return name
