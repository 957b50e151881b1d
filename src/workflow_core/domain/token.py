"""API tokens: the text, which is shown once, and the stored token.

``dli_`` + 16 hexadecimal digits that name the token + ``_`` + 64 that are its secret (256 random bits). Only the SHA-256 of the secret is
stored: a slow hash protects secrets that people choose, and adds nothing to 256 random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import evolve, field, frozen

from workflow_core.domain.access import Access
from workflow_core.domain.identity import TOKEN, Identity
from workflow_core.domain.names import quoted
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.access import Grant

PREFIX: Final = "dli_"
LENGTH: Final = len(PREFIX) + 16 + 1 + 64
"""The number of characters of a token."""

_TEXT: Final = re.compile(r"dli_([0-9a-f]{16})_([0-9a-f]{64})\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}\Z")
_ID: Final = re.compile(r"[0-9a-f]{16}\Z")


@frozen(kw_only=True)
class Token:
    """A token as stored.

    ``name`` is the identity for which it stands. Several tokens may share a name, so that a new one can replace an old one without
    a gap. ``expires_at`` None: never.
    """

    id: str
    name: str
    digest: str = field(repr=False)
    grants: tuple[Grant, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def fits(self, secret: str) -> bool:
        """Whether this is the token's secret, compared in constant time."""
        return hmac.compare_digest(_digest(secret), self.digest)

    def is_live(self, at: datetime) -> bool:
        """Whether the token is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def revoked(self, *, at: datetime, by: str) -> Token:
        """Revoke the token. A token that was revoked before is unchanged."""
        return self if self.revoked_at is not None else evolve(self, revoked_at=at, revoked_by=by)

    @property
    def identity(self) -> Identity:
        """The identity ``token:<name>``, a name that no user can have. It owns no workflow: only its grants count."""
        return Identity(name=TOKEN + self.name, access=Access(grants=self.grants, owns=False))


class Presented(NamedTuple):
    """A token as a client sent it."""

    id: str
    secret: str


def new_token(
    name: str, grants: tuple[Grant, ...], *, at: datetime, by: str, expires_at: datetime | None = None
) -> tuple[Token, str]:
    """Return a new token and its text, which cannot be recovered later.

    Raises:
        InvalidRequest: the name is not valid, there is no grant, or the expiry lies in the past.
    """
    if not _NAME.match(name):
        msg = f"{quoted(name)} is not a valid token name: 1 to 100 letters, digits, '.', '_', '@' or '-', a letter or digit first"
        raise InvalidRequest(msg, field="name")
    if not grants:
        raise InvalidRequest("grant at least one role: a token without a role may do nothing", field="grants")
    if expires_at is not None and expires_at <= at:
        raise InvalidRequest("lies in the past", field="expires_at")
    token_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    token = Token(
        id=token_id,
        name=name,
        digest=_digest(secret),
        grants=grants,
        created_at=at,
        created_by=by,
        expires_at=expires_at,
    )
    return token, f"{PREFIX}{token_id}_{secret}"


def presented(text: str) -> Presented | None:
    """Return the parts of a token's text; None if the text is not a token."""
    match = _TEXT.match(text)
    return None if match is None else Presented(*match.groups())


def check_token_id(text: str) -> str:
    """Return ``text`` if it is a token id; otherwise raise :class:`InvalidRequest`, whose message never repeats the text."""
    if not _ID.match(text):
        msg = "is not the id of a token: 16 hexadecimal digits, as `dli token list` shows them"
        raise InvalidRequest(msg, field="id")
    return text


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
