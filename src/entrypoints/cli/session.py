"""What the commands work with: the API of a server, or of the service in this process."""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from entrypoints.cli.output import printable

if TYPE_CHECKING:
    from workflow_core.api import WorkflowApi
    from workflow_core.domain.caller import Caller
    from workflow_core.service import WorkflowService


SERVER_SETTING: Final = ContextVar("server_setting", default="DLI_SERVER_URL")
"""Where the address of the server comes from, for messages about a wrong one."""


def get_api() -> WorkflowApi:
    """The API of the server that ``--server`` or ``DLI_SERVER_URL`` names; without one, of a service in this process."""
    from entrypoints.settings import load_settings

    settings = load_settings()
    if settings.server_url is None:
        from entrypoints.cli.alone import SweepingApi

        return SweepingApi(*get_service())
    import atexit

    from adapters.remote import RemoteWorkflowApi

    tell_warnings()
    from entrypoints.cli.credentials import kept_token

    token = settings.server_token.get_secret_value() if settings.server_token else kept_token(settings.server_url)
    api = RemoteWorkflowApi(settings.server_url, token=token, patience=settings.patience, setting=SERVER_SETTING.get())
    atexit.register(api.close)
    return api


def get_service() -> tuple[WorkflowService, Caller]:
    """A service over the adapters that the settings name, in this process, and the caller that the settings name."""
    import atexit

    from entrypoints.container import build, close
    from entrypoints.settings import load_settings
    from workflow_core.domain.caller import Caller, Via

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
        for package in ("workflow_core", "adapters", "entrypoints"):
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
