"""The values of options, for help and completion, and the completion of dataset names.

The enums equal those of the core; they are repeated because importing the core's modules would slow the start of ``dli``.
"""

from __future__ import annotations

from enum import StrEnum

from workflow_core.domain.audit import Action
from workflow_core.domain.backfill import OnFailure, Reprocess


class Status(StrEnum):
    """:class:`workflow_core.domain.workflow.WorkflowStatus`."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class Source(StrEnum):
    """:class:`workflow_core.domain.workflow.SourceType`."""

    MANUAL = "MANUAL"
    CODE = "CODE"


__all__ = ["Action", "OnFailure", "Reprocess", "Source", "Status", "complete_name"]


def complete_name(incomplete: str) -> list[str]:
    """Return the dataset names with this prefix, if the server answers within a second."""
    from workflow_entrypoints.cli.session import visible_names

    return [name for name in visible_names() if name.startswith(incomplete)]
