"""Create, revoke and authenticate API tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.audit import Action, on_token
from workflow_core.domain.token import check_token_id, new_token, presented
from workflow_core.errors import InvalidRequest, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from workflow_core.domain.access import Grant
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.token import Token
    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.tokens import TokenPort


@frozen(kw_only=True)
class CreateToken:
    """Command: create a token for ``name``. Without ``expires_at`` the token never expires."""

    name: str
    grants: tuple[Grant, ...]
    caller: Caller
    expires_at: datetime | None = None


def create_token(command: CreateToken, tokens: TokenPort, clock: ClockPort) -> tuple[Token, str]:
    """Create a token, and write an audit entry.

    Returns:
        The token and its text. The text is not stored and cannot be recovered.

    Raises:
        InvalidRequest: the name, the grants or the expiry is invalid.
        DatabaseUnavailable: nothing was stored.
    """
    at, caller = clock.now(), command.caller
    token, text = new_token(command.name, command.grants, at=at, by=caller.name, expires_at=command.expires_at)
    tokens.add_token(token, act=on_token(caller, Action.CREATE_TOKEN, at, token))
    return token, text


def revoke_token(token_id: str, caller: Caller, tokens: TokenPort, clock: ClockPort) -> Token:
    """Revoke a token, write an audit entry, and return the token.

    Raises:
        InvalidRequest: the text is not the id of a token.
        DatabaseUnavailable: the token remains valid.
    """
    token = tokens.token(check_token_id(token_id))
    if token is None:
        raise InvalidRequest("belongs to no token", field="id")
    at = clock.now()
    act = on_token(caller, Action.REVOKE_TOKEN, at, token.revoked(at=at, by=caller.name), before=token)
    return tokens.revoke_token(token.id, at=at, by=caller.name, act=act) or token


def live_token(text: str, find: Callable[[str], Token | None], at: datetime) -> Token:
    """Return the valid token with this text.

    Args:
        text: the credential that the caller presented.
        find: :meth:`TokenPort.token`, or a cache of it.
        at: the current time.

    Raises:
        Unauthenticated: the text is not a valid token. The message is for the log and contains nothing of the secret.
        DatabaseUnavailable: the token cannot be looked up.
    """
    parts = presented(text)
    if parts is None:
        raise Unauthenticated("the credential is not an API token")
    token = find(parts.id)
    if token is None or not token.fits(parts.secret):
        raise Unauthenticated("the API token does not exist")
    if not token.is_live(at):
        reason = "was revoked" if token.revoked_at is not None else "has expired"
        raise Unauthenticated(f"the API token {token.id} {reason}")
    return token
