"""The authenticated caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from workflow_core.api.base import Answer
from workflow_core.domain.access import Role

if TYPE_CHECKING:
    from workflow_core.domain.access import Grant
    from workflow_core.domain.caller import Caller


class GrantAnswer(Answer):
    """A grant of the caller."""

    role: Role
    team: str | None = Field(description="Only for workflows of this team; null: of any team.")
    names: str | None = Field(description="Only for workflows whose name matches, `*` is any text; null: any name.")

    @classmethod
    def of(cls, grant: Grant) -> GrantAnswer:
        """Make the answer from a grant."""
        return cls(role=grant.role, team=grant.team, names=grant.names)


class WhoamiAnswer(Answer):
    """The authenticated caller, with its grants."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "token:ci",
                    "grants": [{"role": "author", "team": None, "names": "iceberg.ads.*"}],
                    "operates_own": False,
                }
            ]
        }
    )

    name: str = Field(
        description="Recorded as `triggered_by`, `paused_by` and so on; the name of an API token begins with `token:`."
    )
    grants: tuple[GrantAnswer, ...] = Field(description="What the caller may do; empty: nothing.")
    operates_own: bool = Field(description="Whether the caller may operate the workflows whose owner has this name.")

    @classmethod
    def of(cls, caller: Caller) -> WhoamiAnswer:
        """Make the answer from a caller."""
        access = caller.access
        return cls(name=caller.name, grants=tuple(map(GrantAnswer.of, access.grants)), operates_own=access.owns)
