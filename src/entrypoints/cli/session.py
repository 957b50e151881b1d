"""The service that the commands work with, and who is asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller
    from workflow_core.service import WorkflowService


def get_service() -> tuple[WorkflowService, Caller]:
    """A service over the adapters that the settings name, in this process, and the caller that the settings name."""
    import atexit

    from entrypoints.container import build, close
    from entrypoints.settings import load_settings
    from workflow_core.domain.caller import Caller

    settings = load_settings()
    container = build(settings)
    atexit.register(close, container)
    return container.service(), Caller(name=settings.user)
