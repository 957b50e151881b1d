"""Visibility, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow


class EverythingIsVisible(Store):
    def sees(self, visible: Any, workflow: Workflow) -> bool:
        return True


class OwnedIsHidden(Store):
    def sees(self, visible: Any, workflow: Workflow) -> bool:
        return super().sees(visible and evolve(visible, owner=None), workflow)


class TeamsIgnoreCase(Store):
    def sees(self, visible: Any, workflow: Workflow) -> bool:
        teams = {grant.team.lower() for grant in visible.grants if grant.team} if visible else set()
        return super().sees(visible, workflow) or (workflow.team or "").lower() in teams


class VisibleByName(Store):
    """The current holder of the name decides."""

    def sees(self, visible: Any, workflow: Workflow) -> bool:
        now = next((live for live in self.live() if live.dataset_name == workflow.dataset_name), workflow)
        return super().sees(visible, now)
