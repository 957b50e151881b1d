"""Errors of a request: its input is wrong, its subject does not exist, or its caller may not make it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from workflow_core.errors.base import Problem, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Sequence


class InvalidRequest(WorkflowError):
    """An input is wrong. The message names the field, what is wrong with the value, and the fix."""

    code = "INVALID_REQUEST"

    def __init__(self, message: str, *, field: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self._problems = tuple(problems) or (Problem(message=message, field=field),)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of the input; at least one."""
        return self._problems or (Problem(message=self.message),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """Return one error for several problems; the message is the first of them, with the number of the others."""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return cls(f"{problems[0]}{more}", problems=problems)


class InvalidCronExpression(InvalidRequest):
    """The cron expression is not accepted, or never fires."""

    code = "INVALID_CRON_EXPRESSION"


class InvalidWorkflowSpec(InvalidRequest):
    """The workflow's YAML cannot be accepted."""

    code = "INVALID_WORKFLOW_SPEC"


class NotFound(WorkflowError):
    """The requested resource does not exist."""


class WorkflowNotFound(NotFound):
    """No workflow of this name is registered."""

    code = "WORKFLOW_NOT_FOUND"

    def __init__(self, dataset_name: str) -> None:
        super().__init__(f"Workflow {dataset_name!r} is not registered.")


class RevisionNotFound(NotFound):
    """The workflow has no revision of this number."""

    code = "WORKFLOW_REVISION_NOT_FOUND"

    def __init__(self, dataset_name: str, number: int) -> None:
        super().__init__(f"Workflow {dataset_name!r} has no revision {number}.")


class WorkflowRunNotFound(NotFound):
    """No run has this id."""

    code = "WORKFLOW_RUN_NOT_FOUND"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id!r}.")


class BackfillNotFound(NotFound):
    """No backfill has this id."""

    code = "BACKFILL_NOT_FOUND"

    def __init__(self, backfill_id: str) -> None:
        super().__init__(f"There is no backfill {backfill_id!r}.")


class WorkflowPermissionDenied(WorkflowError):
    """A CODE workflow cannot be changed over this API (specification, section 1.3)."""

    code = "WORKFLOW_PERMISSION_DENIED"


class Unauthenticated(WorkflowError):
    """The request has no credentials, or none that the service knows."""

    code = "UNAUTHENTICATED"


class PermissionDenied(WorkflowError):
    """The caller may see the resource, but may not do this to it."""

    code = "PERMISSION_DENIED"


class TooManyRequests(WorkflowError):
    """One caller has exceeded its rate. ``retry_after`` is in seconds."""

    code = "TOO_MANY_REQUESTS"
    retry_after: float = 1.0


class ConfigurationError(WorkflowError):
    """A setting is missing or wrong."""

    code = "INVALID_CONFIGURATION"
