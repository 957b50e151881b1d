"""The body of every error answer (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_core.api.base import Answer, extra

if TYPE_CHECKING:
    from workflow_core.errors import WorkflowError


class ProblemItem(Answer):
    """A problem with one part of an input."""

    message: str
    field: str | None = extra(description="Dotted path of the field, such as `schedule.cron`.")
    line: int | None = extra(description="1-based line in the YAML.")
    column: int | None = extra(description="1-based column in the YAML.")


class ProblemAnswer(Answer):
    """An error. Programs switch on `code`; people read `detail`."""

    type: str = Field(default="about:blank", description="Always `about:blank`: `code` identifies the error.")
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["WORKFLOW_NOT_FOUND"])
    detail: str = Field(examples=["Workflow 'iceberg.analytics.daily_clicks' is not registered."])
    instance: str | None = extra(description="The path of the request.")
    errors: tuple[ProblemItem, ...] = extra(default=(), description="Every problem with the input.")

    @classmethod
    def of(cls, error: WorkflowError, *, status: int, title: str, instance: str | None = None) -> ProblemAnswer:
        """Make the answer from an error of the library."""
        items = tuple(
            ProblemItem(message=found.message, field=found.field, line=found.line, column=found.column)
            for found in error.problems
        )
        return cls(title=title, status=status, code=error.code, detail=error.message, instance=instance, errors=items)
