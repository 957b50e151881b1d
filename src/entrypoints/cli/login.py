"""``dli login``, ``dli logout``, ``dli whoami``: who one is to a server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from entrypoints.cli.output import Format


def whoami(
    output: Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.")] = Format.TABLE,
) -> None:
    """Show under which name you are known to the server, and what you may do.

    Without a server it is WORKFLOWS_USER, who may do everything.
    """
    from entrypoints.cli.output import print_answer
    from entrypoints.cli.session import get_api

    print_answer(get_api().whoami(), output)


def login(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="The server; default: --server, or DLI_SERVER_URL.")
    ] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input, without asking.")
    ] = False,
) -> None:
    """Keep a token for a server, so that later commands send it. It is tried first, and never an argument that others could see.

    Example: dli login https://workflows.example.com --token-stdin < token.txt
    """
    from adapters.remote import RemoteWorkflowApi
    from entrypoints.cli.credentials import keep_token
    from workflow_core.errors import InvalidRequest

    server = _server(url)
    if token_stdin:
        token = sys.stdin.read().strip()
    elif sys.stdin.isatty():
        token = str(typer.prompt(f"Token for {server}", hide_input=True, err=True)).strip()
    else:
        raise InvalidRequest("There is no terminal to ask for the token at: pipe it in, with --token-stdin.")
    if not token:
        raise InvalidRequest("is empty", field="token")
    with RemoteWorkflowApi(server, token=token) as api:
        name = api.whoami().name
    path = keep_token(server, token)
    typer.echo(f"You are {name} at {server}. The token is kept in {path}", err=True)


def logout(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="The server; default: --server, or DLI_SERVER_URL.")
    ] = None,
) -> None:
    """Forget the token for a server. It goes on to count until it is revoked (`dli token revoke`)."""
    from entrypoints.cli.credentials import forget_token

    server = _server(url)
    told = "The token is forgotten" if forget_token(server) else "No token was kept"
    typer.echo(f"{told} for {server}", err=True)


def _server(url: str | None) -> str:
    from adapters.http.exchange import checked_url
    from entrypoints.settings import load_settings
    from workflow_core.errors import InvalidRequest

    server = url or load_settings().server_url
    if server is None:
        raise InvalidRequest("Which server? Give its URL, or set DLI_SERVER_URL.")
    return checked_url(server, "The URL of the server")
