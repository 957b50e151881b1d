"""Who asks, as the service has found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from workflow_core.api.base import Answer
from workflow_core.domain.access import Role

if TYPE_CHECKING:
    from workflow_core.domain.access import Grant
    from workflow_core.domain.caller import Caller


class GrantAnswer(Answer):
    """One thing that the caller may do."""

    role: Role
    team: str | None = Field(description="Only with workflows of this team; null: of any.")
    names: str | None = Field(description="Only with workflows of such names, `*` stands for any text; null: of any.")

    @classmethod
    def of(cls, grant: Grant) -> GrantAnswer:
        """The answer for a grant."""
        return cls(role=grant.role, team=grant.team, names=grant.names)


class WhoamiAnswer(Answer):
    """The caller."""

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
        description="Recorded as `triggered_by`, `paused_by` and so on; that of an API token begins with `token:`."
    )
    grants: tuple[GrantAnswer, ...] = Field(description="What the caller may do; nothing, if there are none.")
    operates_own: bool = Field(description="Whether the caller may operate the workflows whose owner has this name.")

    @classmethod
    def of(cls, caller: Caller) -> WhoamiAnswer:
        """The answer for a caller."""
        access = caller.access
        return cls(name=caller.name, grants=tuple(map(GrantAnswer.of, access.grants)), operates_own=access.owns)
