"""Previews: the next fire times, and the effects of registering a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field, JsonValue

from workflow_core.api.base import Answer, UtcTime, extra
from workflow_core.api.listing import Filters, WholeNumber
from workflow_core.api.problem import ProblemItem
from workflow_core.api.run import DATASET, example
from workflow_core.api.workflow import ScheduleAnswer
from workflow_core.domain.schedule import DaylightSaving
from workflow_core.domain.spec import warnings_of
from workflow_core.domain.workflow import WorkflowStatus

if TYPE_CHECKING:
    from workflow_core.domain.forecast import Forecast, Preview
    from workflow_core.domain.schedule import FireTime
    from workflow_core.domain.workflow import Workflow
    from workflow_core.errors import InvalidRequest

MOST: Final = 500
"""Maximum number of fire times in one answer."""


class NextRunsFilters(Filters):
    """The query parameters of the next fire times."""

    count: WholeNumber = Field(default=20, ge=1, le=MOST, description="Number of fire times.")


class FireItem(Answer):
    """One fire time."""

    at: UtcTime = Field(description="The fire time in UTC.")
    local: str = Field(description="The fire time in the workflow's time zone, with its offset from UTC.")
    daylight_saving: DaylightSaving | None = extra(
        description=(
            "`moved`: the wall-clock time does not exist on that day, so it fires later; `first`, `second`: the"
            " wall-clock time occurs twice."
        )
    )

    @classmethod
    def of(cls, fire: FireTime) -> FireItem:
        """Make the answer from a fire time."""
        return cls(at=fire.at, local=fire.local.isoformat(timespec="seconds"), daylight_saving=fire.daylight_saving)


class NextRunsAnswer(Answer):
    """The next fire times of a workflow."""

    model_config = example(
        {
            "dataset_name": DATASET,
            "status": "active",
            "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
            "next_runs": [
                {"at": "2026-03-28T01:30:00Z", "local": "2026-03-28T02:30:00+01:00"},
                {"at": "2026-03-29T01:30:00Z", "local": "2026-03-29T03:30:00+02:00", "daylight_saving": "moved"},
            ],
        }
    )
    dataset_name: str
    status: WorkflowStatus = Field(
        description="The schedule fires only while it is `active`; the times assume that it is."
    )
    schedule: ScheduleAnswer
    next_runs: tuple[FireItem, ...]

    @classmethod
    def of(cls, forecast: Forecast) -> NextRunsAnswer:
        """Make the answer from a forecast."""
        workflow = forecast.workflow
        return cls(
            dataset_name=workflow.dataset_name,
            status=workflow.status,
            schedule=_schedule(workflow),
            next_runs=tuple(map(FireItem.of, forecast.fires)),
        )


class ChangeItem(Answer):
    """A field of the spec that would change."""

    field: str = Field(description="Its dotted name; a task is `tasks.` and its id.")
    before: JsonValue = Field(description="The current value; null for a new field.")
    after: JsonValue = Field(description="The new value; null for a removed field.")


class ValidateAnswer(Answer):
    """The effects that registering the spec would have. Nothing was stored."""

    model_config = example(
        {
            "dataset_name": DATASET,
            "valid": True,
            "problems": [],
            "registered": True,
            "revision": 1,
            "changes": [{"field": "schedule.cron", "before": "0 6 * * *", "after": "0 8 * * *"}],
            "diff": "--- registered\\n+++ new\\n…",
            "next_runs": [{"at": "2026-01-02T08:00:00Z", "local": "2026-01-02T08:00:00+00:00"}],
            "next_runs_now": [{"at": "2026-01-02T06:00:00Z", "local": "2026-01-02T06:00:00+00:00"}],
        }
    )
    dataset_name: str
    valid: bool
    problems: tuple[ProblemItem, ...] = Field(description="Every finding; empty if the spec is valid.")
    warnings: tuple[str, ...] = extra(default=(), description="Values that are allowed, but probably a mistake.")
    registered: bool = Field(
        default=False, description="Whether a workflow of this name is registered: registering then needs `force`."
    )
    revision: int | None = extra(description="The registered revision.")
    changes: tuple[ChangeItem, ...] = extra(default=(), description="The differences from the registered spec.")
    diff: str | None = extra(description="The differences as a unified diff of the complete YAML.")
    next_runs: tuple[FireItem, ...] = extra(default=(), description="The next fire times by the new schedule.")
    next_runs_now: tuple[FireItem, ...] = extra(
        default=(), description="The next fire times by the registered schedule."
    )

    @classmethod
    def of(cls, preview: Preview) -> ValidateAnswer:
        """Make the answer for a spec that could be registered."""
        return cls(
            dataset_name=preview.draft.dataset_name,
            valid=True,
            problems=(),
            warnings=warnings_of(preview.draft.spec),
            registered=preview.current is not None,
            revision=preview.current.revision if preview.current else None,
            changes=tuple(ChangeItem(field=one.field, before=one.before, after=one.after) for one in preview.changes),
            diff=preview.diff or None,
            next_runs=tuple(map(FireItem.of, preview.fires)),
            next_runs_now=tuple(map(FireItem.of, preview.fires_now)),
        )

    @classmethod
    def refused(cls, dataset_name: str, error: InvalidRequest) -> ValidateAnswer:
        """Make the answer for a spec that could not be registered."""
        problems = tuple(
            ProblemItem(message=one.message, field=one.field, line=one.line, column=one.column)
            for one in error.problems
        )
        return cls(dataset_name=dataset_name, valid=False, problems=problems)


def _schedule(workflow: Workflow) -> ScheduleAnswer:
    return ScheduleAnswer(cron=workflow.schedule.cron, timezone=workflow.schedule.timezone)
