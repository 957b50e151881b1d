"""The commands of ``dli``: ``dli workflow …`` for users of workflows, the others for operators of the service."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from workflow_entrypoints.cli import airflow, audit, backfill, config, login, server, token, workflow
from workflow_entrypoints.cli.commands import App, Group, Server


class _Root(Group):
    order = (
        *("workflow", "backfill", "audit", "login", "logout", "whoami"),
        *("serve", "worker", "db", "token", "airflow", "config", "version"),
    )


app = App(
    name="dli",
    cls=_Root,
    help="Scheduled dataset workflows on Apache Airflow.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich would cost half of the start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
workflow.app.command("backfill")(backfill.start)
app.add_typer(workflow.app, name="workflow")
app.add_typer(backfill.app, name="backfill")
app.command("audit")(audit.audit)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("whoami")(login.whoami)
app.add_typer(airflow.app, name="airflow")
app.add_typer(config.app, name="config")
app.add_typer(token.app, name="token")
app.add_typer(server.db, name="db")
app.command(asks=False)(server.serve)
app.command(asks=False)(server.worker)


@app.command(asks=False)
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    print(f"dli {version_of('dli-workflow')}")


def _version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    server: Server = None,  # noqa: ARG001 - its callback uses it
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Scheduled dataset workflows on Apache Airflow."""
    if debug:
        os.environ["DLI_DEBUG"] = "1"
