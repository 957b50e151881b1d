"""API tokens: what is told once, and what is kept.

``dli_`` + 16 hexadecimal digits that name the token + ``_`` + 64 that are its secret (256 random bits). Only the SHA-256 of the secret is
kept: a slow hash protects what people choose, and adds nothing to 256 random bits.
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
"""Characters of a token."""

_TEXT: Final = re.compile(r"dli_([0-9a-f]{16})_([0-9a-f]{64})\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}\Z")
_ID: Final = re.compile(r"[0-9a-f]{16}\Z")


@frozen(kw_only=True)
class Token:
    """A token as it is kept. ``name`` is whom it stands for: several tokens may have one, so that a new one can take the place of an
    old one without a gap. ``expires_at`` None: never.
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
        """Whether this is its secret; takes as long whatever the difference is."""
        return hmac.compare_digest(_digest(secret), self.digest)

    def is_live(self, at: datetime) -> bool:
        """Whether it still counts."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def revoked(self, *, at: datetime, by: str) -> Token:
        """The token, of no use any more; one that was revoked before stays as it was."""
        return self if self.revoked_at is not None else evolve(self, revoked_at=at, revoked_by=by)

    @property
    def identity(self) -> Identity:
        """Whom it stands for: ``token:<name>``, which no user can be called. It owns nothing: it may do what was granted to it."""
        return Identity(name=TOKEN + self.name, access=Access(grants=self.grants, owns=False))


class Presented(NamedTuple):
    """A token as somebody sent it."""

    id: str
    secret: str


def new_token(
    name: str, grants: tuple[Grant, ...], *, at: datetime, by: str, expires_at: datetime | None = None
) -> tuple[Token, str]:
    """A new token, and its text, which nobody can tell again.

    Raises:
        InvalidRequest: the name is none, nothing is granted, or it would have expired already.
    """
    if not _NAME.match(name):
        msg = f"{quoted(name)} is not a name for a token: 1 to 100 letters, digits, '.', '_', '@' or '-', a letter or digit first"
        raise InvalidRequest(msg, field="name")
    if not grants:
        raise InvalidRequest("grant at least one role: a token without any may do nothing", field="grants")
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
    """The parts of a token's text; None if it is none."""
    found = _TEXT.match(text)
    return None if found is None else Presented(*found.groups())


def check_token_id(text: str) -> str:
    """Return ``text`` if it is the id of a token; raise :class:`InvalidRequest`, which never repeats it, otherwise."""
    if not _ID.match(text):
        msg = "is not the id of a token: 16 hexadecimal digits, as `dli token list` shows them"
        raise InvalidRequest(msg, field="id")
    return text


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
