"""Who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.access import EVERYTHING
from workflow_core.testing.api.subject import CALLER, ApiSubject

if TYPE_CHECKING:
    from workflow_core.testing.api.subject import Twins


class IdentityRules(ApiSubject):
    """What holds for the caller."""

    def test_the_caller_is_told(self, twins: Twins) -> None:
        """Under which name changes are recorded, and what is granted."""
        found = twins.answer(lambda api: api.whoami())
        assert found.name == CALLER.name
        assert [(one.role, one.team, one.names) for one in found.grants] == [
            (one.role, one.team, one.names) for one in EVERYTHING.grants
        ]
        assert found.operates_own is EVERYTHING.owns

    def test_changes_are_recorded_under_that_name(self, twins: Twins) -> None:
        """The two never differ."""
        twins.register()
        name = twins.answer(lambda api: api.whoami()).name
        assert twins.answer(lambda api: [item.who for item in api.audit().items]) == [name]
