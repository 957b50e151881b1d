"""The ``dli`` command: ``dli workflow …`` for those who run workflows, the others for those who run the service."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from entrypoints.cli import airflow, audit, backfill, config, login, server, token, workflow
from entrypoints.cli.session import SERVER_SETTING

app = typer.Typer(
    name="dli",
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
app.command()(server.serve)
app.command()(server.worker)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(f"dli {version_of('workflow-core')}")


def _version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="The service that `dli workflow` asks, over DLI_SERVER_URL."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Scheduled dataset workflows on Apache Airflow."""
    SERVER_SETTING.set("DLI_SERVER_URL" if server is None else "--server")
    if server is not None:
        if not server.startswith(("http://", "https://")):  # an empty one would be taken for none
            from workflow_core.errors import InvalidRequest

            raise InvalidRequest("must be a URL like https://workflows.example.com", field="--server")
        os.environ["DLI_SERVER_URL"] = server
    if debug:
        os.environ["DLI_DEBUG"] = "1"


def _run() -> None:
    """Run the command; a reader that has had enough (``dli workflow list | head -1``) is no error."""
    from entrypoints.cli import exit_codes

    try:
        app(prog_name="dli")  # also when started by `python -m`
    except SystemExit as ended:
        gone = isinstance(ended.__context__, BrokenPipeError)  # Typer has made an exit with code 1 of it
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            gone = True
        if not gone:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the very end
        sys.exit(exit_codes.OK if isinstance(ended.__context__, BrokenPipeError) else ended.code)


def main() -> None:
    """Run ``dli``; every ending is an exit code of :mod:`entrypoints.cli.exit_codes`."""
    from entrypoints.cli import exit_codes
    from workflow_core.errors import WorkflowError

    try:
        _run()
    except WorkflowError as error:
        from entrypoints.cli.output import Format, print_error

        asked_for_json = any(option in sys.argv for option in ("--output=json", "-ojson")) or any(
            pair in (("--output", "json"), ("-o", "json")) for pair in zip(sys.argv, sys.argv[1:], strict=False)
        )
        print_error(error, Format.JSON if asked_for_json else Format.TABLE)
        sys.exit(exit_codes.exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)
    except ModuleNotFoundError as error:
        if os.environ.get("DLI_DEBUG"):
            raise
        extra = "pip install 'workflow-core[all]'"
        print(f"Error: this command needs the package {error.name}, which is not installed: {extra}", file=sys.stderr)
        sys.exit(exit_codes.WRONG_INPUT)
    except Exception as error:
        if os.environ.get("DLI_DEBUG"):
            raise
        told = " ".join(str(error).split()).rstrip(".")
        print(
            f"Error: unexpected {type(error).__name__}: {told}. This is a fault of dli; `dli --debug …` shows where.",
            file=sys.stderr,
        )
        sys.exit(exit_codes.INTERNAL)


if __name__ == "__main__":
    main()
