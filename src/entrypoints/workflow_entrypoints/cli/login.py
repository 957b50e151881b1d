"""``dli login``, ``dli logout``, ``dli whoami``: the caller's identity at a server."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from workflow_entrypoints.cli.output import Format


def whoami(
    output: Annotated[Format, typer.Option("--output", "-o", help="Output format.")] = Format.TABLE,
) -> None:
    """Show your name, your grants and the server.

    Without a server, the commands run in this process as WORKFLOWS_USER, who may do everything.
    """
    from workflow_entrypoints.cli.output import print_answer, print_hint
    from workflow_entrypoints.cli.session import get_api, place

    print_answer(get_api().whoami(), output)
    print_hint(place())


def login(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="The server; default: --server, or DLI_SERVER_URL.")
    ] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input, without a prompt.")
    ] = False,
) -> None:
    """Save a token for a server.

    The token is verified before it is saved, and is never an argument. Later commands send it.

    Example: dli login https://workflows.example.com --token-stdin < token.txt
    """
    from workflow_adapters.remote import RemoteWorkflowApi
    from workflow_core.errors import InvalidRequest, Unauthenticated
    from workflow_entrypoints.cli.credentials import save_token
    from workflow_entrypoints.cli.inputs import read_line

    server = _server(url)
    if token_stdin:
        token = read_line("--token-stdin")
    elif sys.stdin.isatty():
        token = str(typer.prompt(f"Token for {server}", hide_input=True, err=True)).strip()
    else:
        raise InvalidRequest("Standard input is not a terminal: pipe the token in, with --token-stdin.")
    if not token:
        raise InvalidRequest("is empty", field="token")
    with RemoteWorkflowApi(server, token=token) as api:
        try:
            name = api.whoami().name
        except Unauthenticated as error:
            message = f"{server} does not accept this token: it is wrong, expired or revoked. Nothing was saved."
            raise Unauthenticated.with_message(message, code=error.code) from None
    path = save_token(server, token)
    print(f"You are {name} at {server}. The token is saved in {path}", file=sys.stderr)


def logout(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="The server; default: --server, or DLI_SERVER_URL.")
    ] = None,
) -> None:
    """Delete the saved token for a server.

    The token remains valid until it is revoked (`dli token revoke`).
    """
    from workflow_entrypoints.cli.credentials import delete_token

    server = _server(url)
    outcome = "The token is deleted" if delete_token(server) else "No token was saved"
    print(f"{outcome} for {server}", file=sys.stderr)


def _server(url: str | None) -> str:
    from workflow_adapters.http.exchange import checked_url
    from workflow_core.errors import InvalidRequest
    from workflow_entrypoints.settings import load_settings

    server = url or load_settings().server_url
    if server is None:
        raise InvalidRequest("No server is configured. Give its URL, or set DLI_SERVER_URL.")
    return checked_url(server, "The URL of the server")
