"""Make API tokens, end them, and find out whose one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.act import Action, on_token
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
    """A token for ``name``; ``caller`` is who makes it. ``expires_at`` None: it never does."""

    name: str
    grants: tuple[Grant, ...]
    caller: Caller
    expires_at: datetime | None = None


def create_token(command: CreateToken, tokens: TokenPort, clock: ClockPort) -> tuple[Token, str]:
    """The new token, and its text: told this once. The audit has who made it for whom.

    Raises:
        InvalidRequest: the name, the grants or the moment of expiry.
        DatabaseUnavailable: nothing was kept.
    """
    at, caller = clock.now(), command.caller
    token, text = new_token(command.name, command.grants, at=at, by=caller.name, expires_at=command.expires_at)
    tokens.add_token(token, act=on_token(caller, Action.CREATE_TOKEN, at, token))
    return token, text


def revoke_token(token_id: str, caller: Caller, tokens: TokenPort, clock: ClockPort) -> Token:
    """The token, which is of no use from now on; the audit has who ended it.

    Raises:
        InvalidRequest: this is no token's id.
        DatabaseUnavailable: it counts as before.
    """
    found = tokens.token(check_token_id(token_id))
    if found is None:
        raise InvalidRequest("belongs to no token", field="id")
    at = clock.now()
    act = on_token(caller, Action.REVOKE_TOKEN, at, found.revoked(at=at, by=caller.name), before=found)
    return tokens.revoke_token(found.id, at=at, by=caller.name, act=act) or found


def live_token(text: str, find: Callable[[str], Token | None], at: datetime) -> Token:
    """The token of this text; ``find`` is :meth:`TokenPort.token`, or remembers what that said.

    Raises:
        Unauthenticated: it is none, or counts no more; the message is for the log, and holds nothing of the secret.
        DatabaseUnavailable: nobody can say.
    """
    parts = presented(text)
    if parts is None:
        raise Unauthenticated("this is no API token")
    token = find(parts.id)
    if token is None or not token.fits(parts.secret):
        raise Unauthenticated("there is no such API token")
    if not token.is_live(at):
        how = "was revoked" if token.revoked_at is not None else "has expired"
        raise Unauthenticated(f"the API token {token.id} {how}")
    return token
