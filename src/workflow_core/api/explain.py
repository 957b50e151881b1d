"""Why something does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_core.api.base import Answer, UtcTime
from workflow_core.api.run import DATASET, example

if TYPE_CHECKING:
    from workflow_core.domain.explain import Reason


class ReasonAnswer(Answer):
    """One sentence."""

    code: str = Field(description="What it is about; programs may switch on it.")
    message: str
    since: UtcTime | None = Field(description="Since when it is so, where that is known.")

    @classmethod
    def of(cls, reason: Reason) -> ReasonAnswer:
        """The answer for a reason."""
        return cls(code=reason.code, message=reason.message, since=reason.since)


class ExplainAnswer(Answer):
    """Why a workflow, or a run, does not run; the most important reason first."""

    model_config = example(
        {
            "subject": DATASET,
            "status": "paused",
            "reasons": [
                {
                    "code": "paused",
                    "message": "user@example.com paused it: Maintenance window.",
                    "since": "2026-01-01T10:00:00Z",
                }
            ],
        }
    )
    subject: str = Field(description="The dataset name, or the run id.")
    status: str
    reasons: tuple[ReasonAnswer, ...]
