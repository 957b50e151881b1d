"""The API that the commands use: of a server, or of the service in this process."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from workflow_entrypoints.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_adapters.remote import RemoteWorkflowApi
    from workflow_core.api import WorkflowApi
    from workflow_core.domain.caller import Caller
    from workflow_core.service import WorkflowService
    from workflow_entrypoints.settings import Settings

HINT_SECONDS: Final = 1.0
"""Maximum duration of a hint or a completion."""

_HINT_NAMES: Final = 500


_current: WorkflowApi | None = None
"""The API that the command used, without the sweeps of the in-process API."""


def get_api() -> WorkflowApi:
    """Return the API of the server that ``--server`` or ``DLI_SERVER_URL`` names; without one, of a service in this process."""
    global _current  # noqa: PLW0603 - one process is one command; a hint after an error uses the API of the command
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    if settings.server_url is None:
        from workflow_entrypoints.cli.in_process import self_sweeping

        service, caller = get_service()
        _current = service.as_(caller)
        return self_sweeping(_current)
    import atexit

    print_log_warnings()
    api = _current = _remote(settings)
    atexit.register(api.close)
    return api


def place() -> str:
    """Return a line for people about the server or database that the commands use."""
    from workflow_entrypoints.settings import described, load_settings

    settings = load_settings()
    if settings.server_url is not None:
        return f"Server: {settings.server_url}"
    database = next(value for name, value, _ in described(settings) if name == "WORKFLOWS_DATABASE_URL")
    return f"No server is configured (DLI_SERVER_URL): commands run in this process, on the database {database}"


def _remote(settings: Settings) -> RemoteWorkflowApi:
    from workflow_adapters.remote import RemoteWorkflowApi
    from workflow_entrypoints.cli.credentials import saved_token

    server = settings.server_url or ""
    token = settings.server_token.get_secret_value() if settings.server_token else saved_token(server)
    return RemoteWorkflowApi(server, token=token, patience=settings.patience)


def visible_names() -> Sequence[str]:
    """Return dataset names that this caller may see, for hints and completion; none if the answer takes longer than a second.

    The names come from the API that the command used; before any command only from a server, because opening a database may create it.
    """
    from threading import Thread

    names: list[str] = []
    thread = Thread(target=_collect_names, args=(names,), daemon=True)
    thread.start()
    thread.join(HINT_SECONDS)
    return tuple(names)


def _collect_names(names: list[str]) -> None:
    from workflow_core.api import WorkflowFilters
    from workflow_entrypoints.settings import load_settings

    filters = WorkflowFilters(limit=_HINT_NAMES)
    with suppress(Exception):  # a hint that fails is omitted
        if _current is not None:
            page = _current.workflows(filters)
        else:
            settings = load_settings()
            if settings.server_url is None:
                return
            with _remote(settings.model_copy(update={"patience": 0.0})) as api:
                page = api.workflows(filters)
        names.extend(item.dataset_name for item in page.items)


def get_service() -> tuple[WorkflowService, Caller]:
    """Return a service in this process over the configured adapters, and the configured caller."""
    import atexit

    from workflow_core.domain.caller import Caller, Via
    from workflow_entrypoints.container import build, close
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    print_log_warnings()
    container = build(settings)
    atexit.register(close, container)
    return container.service(), Caller(name=settings.user, via=Via.CLI)


def print_log_warnings() -> None:
    """Print logged warnings on the terminal; with ``--debug``, every log line of this project.

    Log lines of other libraries below a warning are never printed, because they may contain headers, and so secrets.
    """
    if os.environ.get("DLI_DEBUG"):
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        for package in ("workflow_core", "workflow_adapters", "workflow_entrypoints"):
            logging.getLogger(package).setLevel(logging.DEBUG)
    else:
        logging.getLogger().addHandler(PrintedOnce(logging.WARNING))


class PrintedOnce(logging.Handler):
    """Prints each different warning once, because every poll of a wait meets the same outage."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the warning, unless it was printed before."""
        text = record.getMessage()
        if text not in self._printed:
            self._printed.add(text)
            print(
                f"Warning: {printable(text)}", file=sys.stderr
            )  # by `print`, for which an active progress bar makes room
