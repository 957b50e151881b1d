"""``dli token …``: create, list and revoke API tokens in the service's database."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_entrypoints.cli.commands import App
from workflow_entrypoints.cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.domain.token import Token
    from workflow_core.ports.tokens import TokenPort
    from workflow_entrypoints.settings import Settings

app = App(
    help="Manage API tokens in the service's database.",
    no_args_is_help=True,
)

_Output = Annotated[Format, typer.Option("--output", "-o", help="Output format.")]


@app.callback()
def group() -> None:
    """Manage API tokens in the service's database."""


@app.command(asks=False)
def create(
    name: Annotated[str, typer.Option("--name", help="The name of the token; recorded as token:NAME.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="The role: viewer, operator, author or admin.")],
    team: Annotated[str | None, typer.Option("--team", help="Limit the role to workflows of this team.")] = None,
    names: Annotated[
        str | None,
        typer.Option(
            "--names", metavar="PATTERN", help="Limit the role to workflows with matching names: iceberg.ads.*"
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", help="The expiry: 90d, 12h, 2026-12-31 (00:00 UTC), or never.")
    ] = "90d",
    output: _Output = Format.TABLE,
) -> None:
    """Create a token and print it.

    The token is shown once and cannot be recovered.

    Example: dli token create --name ci --role author --names 'iceberg.ads.*' --expires 30d
    """
    from workflow_adapters.clock import SystemClock
    from workflow_core.domain.caller import Caller, Via
    from workflow_core.domain.grants import grant_of
    from workflow_core.usecases.commands.tokens import CreateToken, create_token
    from workflow_entrypoints.cli.output import print_data

    clock = SystemClock()
    grant = grant_of({"role": role, "team": team, "names": names})
    with _tokens() as (tokens, settings):
        caller = Caller(name=settings.user, via=Via.CLI)
        command = CreateToken(name=name, grants=(grant,), caller=caller, expires_at=_moment(expires, clock.now()))
        token, text = create_token(command, tokens, clock)
    if output is not Format.TABLE:
        print_data({**_plain(token), "token": text}, output)
        return
    until = f"valid until {_at(token.expires_at)}" if token.expires_at else "without expiry"
    print(f"Token {token.id} for token:{token.name}, {until}. It is shown only once:", file=sys.stderr)
    print(text)


@app.command("list", asks=False)
def list_tokens(output: _Output = Format.TABLE) -> None:
    """List tokens, latest first.

    Expired and revoked tokens are included. Secrets are not stored.
    """
    from workflow_core.api.base import Answer
    from workflow_entrypoints.cli.output import print_answers

    class TokenAnswer(Answer):
        id: str
        name: str
        state: str
        grants: list[dict[str, Any]]
        created_at: str
        created_by: str
        expires_at: str | None
        revoked_at: str | None
        revoked_by: str | None

    with _tokens() as (tokens, _):
        found = [TokenAnswer(**_plain(token)) for token in tokens.tokens()]
    columns = {
        "id": "ID",
        "name": "NAME",
        "state": "STATE",
        "grants": "GRANTS",
        "expires_at": "EXPIRES",
        "created_by": "BY",
        "created_at": "CREATED",
    }
    print_answers(
        found, output, columns, total=len(found), drop=("created_at", "created_by", "expires_at"), empty="No tokens."
    )


@app.command(asks=False)
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the token, as `dli token list` shows it.")],
) -> None:
    """Revoke a token.

    The token may continue to work for up to five seconds.

    Example: dli token revoke 0123456789abcdef
    """
    from workflow_adapters.clock import SystemClock
    from workflow_core.domain.caller import Caller, Via
    from workflow_core.usecases.commands.tokens import revoke_token

    with _tokens() as (tokens, settings):
        token = revoke_token(token_id, Caller(name=settings.user, via=Via.CLI), tokens, SystemClock())
    print(f"Token {token.id} of token:{token.name} is revoked since {_at(token.revoked_at)}")


@contextmanager
def _tokens() -> Iterator[tuple[TokenPort, Settings]]:
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.container import build
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    if settings.server_url is not None:
        msg = "Tokens are managed in the database, on the server's host: unset DLI_SERVER_URL and leave --server out."
        raise InvalidRequest(msg)
    container = build(settings)
    engine = container.engine()
    if engine is None:
        raise InvalidRequest(
            "memory:// ends with this process, and its tokens with it.", field="WORKFLOWS_DATABASE_URL"
        )
    container.database().check()
    try:
        yield container.tokens(), settings
    finally:
        engine.dispose()


def _moment(text: str, now: Any) -> Any:
    """Return the moment of a duration or a date; None for ``never``."""
    import re
    from datetime import UTC, datetime, timedelta

    from workflow_core.errors import InvalidRequest

    if text == "never":
        return None
    if span := re.fullmatch(r"([1-9][0-9]{0,4})([dh])", text, re.ASCII):
        return now + timedelta(**{{"d": "days", "h": "hours"}[span[2]]: int(span[1])})
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest("must be like 90d, 12h or 2026-12-31, or never", field="--expires") from None


def _at(moment: Any) -> str | None:
    from workflow_core.api.base import rfc3339

    return None if moment is None else rfc3339(moment)


def _plain(token: Token) -> dict[str, Any]:
    from datetime import UTC, datetime

    from workflow_core.domain.grants import plain_grant

    live = "live" if token.is_live(datetime.now(UTC)) else "revoked" if token.revoked_at else "expired"
    return {
        "id": token.id,
        "name": token.name,
        "state": live,
        "grants": list(map(plain_grant, token.grants)),
        "created_at": _at(token.created_at),
        "created_by": token.created_by,
        "expires_at": _at(token.expires_at),
        "revoked_at": _at(token.revoked_at),
        "revoked_by": token.revoked_by,
    }
