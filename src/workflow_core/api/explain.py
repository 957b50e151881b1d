"""Answers that explain why a workflow or a run makes no progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_core.api.base import Answer, UtcTime
from workflow_core.api.run import DATASET, example

if TYPE_CHECKING:
    from workflow_core.domain.explain import Reason


class ReasonAnswer(Answer):
    """One reason, in one sentence."""

    code: str = Field(description="The kind of the reason; stable, for programs.")
    message: str
    since: UtcTime | None = Field(description="The time since when the reason holds, where it is known.")

    @classmethod
    def of(cls, reason: Reason) -> ReasonAnswer:
        """Make the answer from a reason."""
        return cls(code=reason.code, message=reason.message, since=reason.since)


class ExplainAnswer(Answer):
    """Why a workflow does not run, or a run makes no progress; the most important reason first."""

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
