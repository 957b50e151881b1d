"""What the commands work with: the API of a server, or of the service in this process."""

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
"""How long a hint or a completion may take."""

_HINT_NAMES: Final = 500


_current: WorkflowApi | None = None
"""Where the command asked; in this process, without a sweep."""


def get_api() -> WorkflowApi:
    """The API of the server that ``--server`` or ``DLI_SERVER_URL`` names; without one, of a service in this process."""
    global _current  # noqa: PLW0603 - one process is one command; a hint after an error asks where the command asked
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    if settings.server_url is None:
        from workflow_entrypoints.cli.in_process import self_sweeping

        service, caller = get_service()
        _current = service.as_(caller)
        return self_sweeping(_current)
    import atexit

    tell_warnings()
    api = _current = _remote(settings)
    atexit.register(api.close)
    return api


def place() -> str:
    """Where the commands work, for a person."""
    from workflow_entrypoints.settings import described, load_settings

    settings = load_settings()
    if settings.server_url is not None:
        return f"Server: {settings.server_url}"
    database = next(value for name, value, _ in described(settings) if name == "WORKFLOWS_DATABASE_URL")
    return f"No server is configured (DLI_SERVER_URL): commands run in this process, on the database {database}"


def _remote(settings: Settings) -> RemoteWorkflowApi:
    from workflow_adapters.remote import RemoteWorkflowApi
    from workflow_entrypoints.cli.credentials import kept_token

    server = settings.server_url or ""
    token = settings.server_token.get_secret_value() if settings.server_token else kept_token(server)
    return RemoteWorkflowApi(server, token=token, patience=settings.patience)


def visible_names() -> Sequence[str]:
    """Dataset names that this caller may see, for hints and completion; none if they are not there within a second.

    Asks where the command has asked; before any command only a server, since to open a database here may create it.
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
    with suppress(Exception):  # a hint that fails is no hint
        if _current is not None:
            found = _current.workflows(filters)
        else:
            settings = load_settings()
            if settings.server_url is None:
                return
            with _remote(settings.model_copy(update={"patience": 0.0})) as api:
                found = api.workflows(filters)
        names.extend(item.dataset_name for item in found.items)


def get_service() -> tuple[WorkflowService, Caller]:
    """A service over the adapters that the settings name, in this process, and the caller that the settings name."""
    import atexit

    from workflow_core.domain.caller import Caller, Via
    from workflow_entrypoints.container import build, close
    from workflow_entrypoints.settings import load_settings

    settings = load_settings()
    tell_warnings()
    container = build(settings)
    atexit.register(close, container)
    return container.service(), Caller(name=settings.user, via=Via.CLI)


def tell_warnings() -> None:
    """Have warnings told to the person at the terminal; with ``--debug``, everything that we log.

    Never what other libraries log below a warning: it may hold headers, and so secrets.
    """
    if os.environ.get("DLI_DEBUG"):
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        for package in ("workflow_core", "workflow_adapters", "workflow_entrypoints"):
            logging.getLogger(package).setLevel(logging.DEBUG)
    else:
        logging.getLogger().addHandler(ToldOnce(logging.WARNING))


class ToldOnce(logging.Handler):
    """A line for each different warning: one who waits meets the same outage at every look."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print the warning, unless it was printed before."""
        text = record.getMessage()
        if text not in self._told:
            self._told.add(text)
            print(f"Warning: {printable(text)}", file=sys.stderr)  # by `print`, which a bar under way makes room for
