"""``dli serve``, ``dli worker``, ``dli db …``: for operators of the service."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from workflow_entrypoints.cli.commands import App

if TYPE_CHECKING:
    from workflow_entrypoints.settings import Settings

db = App(help="Manage the database schema.", no_args_is_help=True)


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on; overrides WORKFLOWS_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port to listen on; overrides WORKFLOWS_PORT.")
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Do not start a worker; run `dli worker` elsewhere.")
    ] = False,
) -> None:
    """Serve the HTTP API, with a worker beside it."""
    from workflow_entrypoints.http import create_app
    from workflow_entrypoints.http.server import serve as serve_http
    from workflow_entrypoints.process import ServiceProcess

    settings = _settings()
    changes = {"host": host, "port": port}
    settings = settings.model_copy(update={name: value for name, value in changes.items() if value is not None})
    running = ServiceProcess.of(settings)
    worker = running.worker
    app = create_app(
        running.service,
        settings,
        reads=running.reads,
        tokens=running.container.tokens(),
        metrics=running.metrics,
        traces=running.traces,
        on_startup=[worker.start] if settings.worker and not no_worker else [],
        on_shutdown=[worker.stop, running.close],
    )
    serve_http(app, settings, on_ready=partial(_tell_ready, settings), on_stop=worker.ask_to_stop)


def _tell_ready(settings: Settings, url: str) -> None:
    """Report the URL: on standard error for people, in the log where the log is JSON."""
    if settings.log_format == "json":
        logging.getLogger(__name__).info("Serving at %s", url)
    else:
        print(f"Serving at {url}", file=sys.stderr)


def worker() -> None:
    """Run a worker without the HTTP API.

    A worker completes registrations, submits waiting runs, mirrors Airflow and syncs CODE workflows.
    """
    import signal

    from workflow_entrypoints.http.worker_app import create_worker_app, serving_beside
    from workflow_entrypoints.process import ServiceProcess

    settings = _settings()
    running = ServiceProcess.of(settings)
    # The signals are waited for, not handled: a handler could run while this thread holds a lock that it needs. Threads inherit the mask.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    app = create_worker_app(
        running.worker, running.reads, settings, tokens=running.container.tokens(), metrics=running.metrics
    )
    with serving_beside(app, settings):
        running.worker.start()
        signal.sigwait(ends)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)  # a second one ends the process at once
        running.worker.stop()
    running.close()


@db.command(asks=False)
def upgrade() -> None:
    """Migrate the database schema to this version.

    The command can be repeated, and run on several hosts at the same time.
    """
    from workflow_adapters.sql import make_engine
    from workflow_adapters.sql import upgrade as upgrade_schema

    settings = _settings()
    if settings.database_url.startswith("memory:"):
        print("memory:// has no schema")
        return
    engine = make_engine(settings.database_url)
    print(f"The schema is at revision {upgrade_schema(engine)}")
    engine.dispose()


@db.command(asks=False)
def current() -> None:
    """Print the schema revision and the required one."""
    from workflow_adapters.sql import HEAD, current_revision, make_engine

    settings = _settings()
    if settings.database_url.startswith("memory:"):
        print("memory:// has no schema")
        return
    engine = make_engine(settings.database_url)
    revision = current_revision(engine)
    engine.dispose()
    print(f"The schema is at revision {revision or 'none'}; this version makes {HEAD}")


@db.command(asks=False)
def check() -> None:
    """Check that this version can use the database.

    Exits with code 0 if it can.
    """
    from workflow_entrypoints.container import build

    build(_settings()).database().check()
    print("The database can be used")


def _settings() -> Settings:
    """Load the settings and configure logging."""
    from workflow_entrypoints.observability.logs import configure_logging
    from workflow_entrypoints.settings import load_settings
    from workflow_entrypoints.settings.unknown import unknown_variables

    settings = load_settings()
    configure_logging(settings)
    for warning in unknown_variables():
        logging.getLogger(__name__).warning("%s", warning)
    return settings
