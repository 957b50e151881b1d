"""Rules for the identity of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.access import EVERYTHING
from workflow_core.testing.api.subject import CALLER, ApiSubject

if TYPE_CHECKING:
    from workflow_core.testing.api.subject import Twins


class IdentityRules(ApiSubject):
    """The caller."""

    def test_the_caller_is_returned_with_its_grants(self, twins: Twins) -> None:
        """The answer contains the caller's name and its grants."""
        identity = twins.answer(lambda api: api.whoami())
        assert identity.name == CALLER.name
        assert [(grant.role, grant.team, grant.names) for grant in identity.grants] == [
            (grant.role, grant.team, grant.names) for grant in EVERYTHING.grants
        ]
        assert identity.operates_own is EVERYTHING.owns

    def test_the_audit_uses_the_name_of_the_caller(self, twins: Twins) -> None:
        """The audit contains the name that the identity contains."""
        twins.register()
        name = twins.answer(lambda api: api.whoami()).name
        assert twins.answer(lambda api: [item.who for item in api.audit().items]) == [name]
