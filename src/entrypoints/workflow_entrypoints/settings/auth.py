"""Settings of authentication: how callers over HTTP are identified, and what they may do."""

from __future__ import annotations

import getpass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from workflow_core.errors import ConfigurationError
from workflow_entrypoints.settings.fields import SettingsGroup, setting, words
from workflow_entrypoints.settings.grants import GrantRule, read_grants

if TYPE_CHECKING:
    from collections.abc import Mapping


class AuthKind(StrEnum):
    """A way to identify callers over HTTP."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - a kind, not a secret
    JWT = "jwt"
    PROXY = "proxy"


Network = IPv4Network | IPv6Network

_HEADER_NAME: Final = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
_REQUIRED: Final[Mapping[AuthKind, tuple[str, ...]]] = {
    AuthKind.JWT: ("jwt_issuer", "jwt_audience", "jwt_jwks_url"),
    AuthKind.PROXY: ("proxy_peers",),
}
"""The settings that a kind of authentication requires."""


def _kinds(value: tuple[AuthKind, ...]) -> tuple[AuthKind, ...]:
    """Refuse an empty list, a repetition, and ``none`` beside another kind."""
    if not value or len(set(value)) < len(value) or (AuthKind.NONE in value and len(value) > 1):
        msg = "must be none, or a list without repetitions of " + ", ".join(kind for kind in AuthKind if kind != "none")
        raise ValueError(msg)
    return value


def _peers(value: tuple[Network, ...]) -> tuple[Network, ...]:
    """Refuse a network of all addresses."""
    if any(network.prefixlen == 0 for network in value):
        msg = "must not contain every address: any client that reaches the port could then send any user name"
        raise ValueError(msg)
    return value


def _grants(value: str) -> str:
    """Refuse rules that cannot be read."""
    read_grants(value)
    return value


def _default_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "anonymous"


class AuthSettings(SettingsGroup):
    """How callers are identified, and what each may do."""

    auth: Annotated[tuple[AuthKind, ...], BeforeValidator(words), AfterValidator(_kinds)] = setting(
        "WORKFLOWS_AUTH",
        "none",
        "How callers over HTTP are authenticated (docs/authentication.md): `none`, which is for loopback only and lets every caller there"
        " do everything, or a list of `token` (API tokens of `dli token create`), `jwt` (JSON web tokens of an identity provider)"
        " and `proxy` (headers of a proxy in front).",
    )
    jwt_issuer: str | None = setting(
        "WORKFLOWS_JWT_ISSUER",
        None,
        "The `iss` of JSON web tokens, compared character by character. Required for `jwt`.",
        min_length=1,
    )
    jwt_audience: str | None = setting(
        "WORKFLOWS_JWT_AUDIENCE",
        None,
        "The value that their `aud` must contain: this service. Required for `jwt`.",
        min_length=1,
    )
    jwt_jwks_url: str | None = setting(
        "WORKFLOWS_JWT_JWKS_URL",
        None,
        "Where the identity provider publishes its keys (`jwks_uri`): https, or http on loopback. Required for `jwt`.",
        pattern=r"^https?://",
    )
    jwt_algorithms: Annotated[
        tuple[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"], ...],
        BeforeValidator(words),
    ] = setting(
        "WORKFLOWS_JWT_ALGORITHMS",
        "RS256,ES256",
        "The accepted signature algorithms: of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA.",
        min_length=1,
    )
    jwt_leeway: float = setting(
        "WORKFLOWS_JWT_LEEWAY", 30.0, "Seconds by which the clocks of issuer and service may differ.", ge=0, le=300
    )
    jwt_name_claim: str = setting(
        "WORKFLOWS_JWT_NAME_CLAIM",
        "sub",
        "The claim that names the caller in records; one that users cannot choose. `email` counts only where `email_verified` is true.",
        min_length=1,
    )
    jwt_groups_claim: str = setting(
        "WORKFLOWS_JWT_GROUPS_CLAIM",
        "groups",
        "The claim with the groups of the caller: a list of strings.",
        min_length=1,
    )
    proxy_peers: Annotated[tuple[Network, ...], BeforeValidator(words), AfterValidator(_peers)] = setting(
        "WORKFLOWS_PROXY_PEERS",
        (),
        "The addresses or networks of the proxies whose headers identify the caller, such as `10.0.0.5,fd00::/64`. Required for `proxy`.",
    )
    proxy_user_header: str = setting(
        "WORKFLOWS_PROXY_USER_HEADER",
        "X-Forwarded-User",
        "The header in which they send the name of the caller.",
        pattern=_HEADER_NAME,
    )
    proxy_groups_header: str | None = setting(
        "WORKFLOWS_PROXY_GROUPS_HEADER",
        None,
        "The header in which they send the groups of the caller, separated by commas, such as `X-Forwarded-Groups`; only if they always"
        " set or remove it: otherwise the caller could set it. Default: groups are not read.",
        pattern=_HEADER_NAME,
    )
    grants: Annotated[str, AfterValidator(_grants)] = setting(
        "WORKFLOWS_GRANTS",
        "[]",
        'What users may do: a JSON list (in the file: a list) of `{"who": …, "role": …, "team": …, "names": …}`. `who` is a name,'
        " `group:NAME` or `*`; `role` is `viewer`, `operator`, `author` or `admin`; the others are optional. Not for API tokens.",
    )
    user: str = setting(
        "WORKFLOWS_USER",
        _default_user(),
        "The identity recorded for what `dli` does without a server, and for every HTTP request under WORKFLOWS_AUTH `none`. Default: the"
        " user of the process.",
        min_length=1,
        max_length=200,
    )

    @model_validator(mode="after")
    def _authentication_is_complete(self) -> Self:
        fields = type(self).model_fields
        for kind, names in _REQUIRED.items():
            missing = [str(fields[name].validation_alias) for name in names if not getattr(self, name)]
            if kind in self.auth and missing:
                raise ConfigurationError(f"WORKFLOWS_AUTH asks for {kind}, which needs {', '.join(missing)}")
        return self

    @property
    def grant_rules(self) -> tuple[GrantRule, ...]:
        """The rules of ``WORKFLOWS_GRANTS``."""
        return read_grants(self.grants)

    @property
    def authenticates(self) -> bool:
        """Whether callers over HTTP are authenticated."""
        return AuthKind.NONE not in self.auth
