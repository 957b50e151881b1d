"""Counts of workflows and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.domain.run import RunStatus
    from workflow_core.domain.workflow import Phase


@frozen(kw_only=True)
class Counts:
    """Workflows by phase, without GONE, and runs that have not ended by status. Counts of zero are left out."""

    workflows: Mapping[Phase, int] = Factory(dict)
    runs: Mapping[RunStatus, int] = Factory(dict)
