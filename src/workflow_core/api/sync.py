"""A sync of CODE workflows from the object store, and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_core.api.base import Answer, Request, extra
from workflow_core.api.problem import ProblemItem
from workflow_core.api.run import example

if TYPE_CHECKING:
    from workflow_core.domain.code import FailedObject, SkippedChange, SyncReport

_CLICKS = "iceberg.analytics.daily_clicks"


class SyncRequest(Request):
    """The options of a sync. The body may be left out."""

    model_config = example({"dry_run": False, "allow_removals": False})

    dry_run: bool = Field(default=False, description="Report what would be done, and change nothing.")
    allow_removals: bool = Field(
        default=False,
        description="Remove every workflow that is missing in the store, even if that is most or all of them.",
    )


class FailedObjectAnswer(Answer):
    """A published object that was refused, and why."""

    dataset_name: str
    url: str
    problems: tuple[ProblemItem, ...]

    @classmethod
    def of(cls, failed: FailedObject) -> FailedObjectAnswer:
        """Make the answer from an object."""
        items = tuple(
            ProblemItem(message=found.message, field=found.field, line=found.line, column=found.column)
            for found in failed.problems
        )
        return cls(dataset_name=failed.dataset_name, url=failed.url, problems=items)


class HeldBackAnswer(Answer):
    """A change in the store that was not applied, and why."""

    dataset_names: tuple[str, ...]
    reason: str

    @classmethod
    def of(cls, held: SkippedChange) -> HeldBackAnswer:
        """Make the answer from a change that was not applied."""
        return cls(dataset_names=held.dataset_names, reason=held.reason)


class SyncAnswer(Answer):
    """The changes of a sync (in a dry run: the changes it would make), by dataset name.

    Airflow follows within seconds.
    """

    model_config = example(
        {
            "added": ["iceberg.analytics.new_clicks"],
            "changed": [_CLICKS],
            "removed": [],
            "overridden": [],
            "restored": [],
            "failed": [
                {
                    "dataset_name": "iceberg.analytics.broken",
                    "url": "s3://data-workflows/workflows/code/iceberg.analytics.broken.yaml",
                    "problems": [{"message": "unknown key", "field": "shedule", "line": 4, "column": 1}],
                }
            ],
            "guarded": [],
            "unchanged": 41,
        }
    )

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...] = Field(description="Unregistered, because the object is gone.")
    overridden: tuple[str, ...] = Field(description="CODE replaced a MANUAL workflow, which is kept.")
    restored: tuple[str, ...] = Field(description="CODE is gone, and the overridden MANUAL workflow is active again.")
    failed: tuple[FailedObjectAnswer, ...] = Field(description="All objects that are currently refused.")
    guarded: tuple[HeldBackAnswer, ...]
    unchanged: int
    dry_run: bool = extra(default=False)

    @classmethod
    def of(cls, report: SyncReport) -> SyncAnswer:
        """Make the answer from a report."""
        return cls(
            added=report.added,
            changed=report.changed,
            removed=report.removed,
            overridden=report.overridden,
            restored=report.restored,
            failed=tuple(map(FailedObjectAnswer.of, report.failed)),
            guarded=tuple(map(HeldBackAnswer.of, report.guarded)),
            unchanged=report.unchanged,
            dry_run=report.dry_run,
        )
