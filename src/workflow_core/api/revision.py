"""The revisions of a workflow: list, compare, restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_core.api.base import Answer, UtcTime, extra
from workflow_core.api.listing import Filters, PageFilters, WholeNumber
from workflow_core.api.run import DATASET, USER, example

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Revision, RevisionDiff, Workflow


class RevisionFilters(PageFilters):
    """The query parameters of the list of revisions: only those of a page."""


class DiffFilters(Filters):
    """The query parameters of a comparison."""

    against: WholeNumber | None = Field(
        default=None, ge=1, lt=2**31, description="The revision to compare with; by default the previous one."
    )


class RevisionItem(Answer):
    """A revision: one accepted spec."""

    model_config = example(
        {
            "revision": 2,
            "created_by": USER,
            "created_at": "2026-01-01T10:00:00Z",
            "yaml_content": f"version: v1\nname: {DATASET}\n",
            "current": True,
        }
    )
    revision: int
    created_by: str
    created_at: UtcTime
    yaml_content: str
    current: bool = extra(default=False, description="Whether it is the current spec.")
    served: bool = extra(
        default=False, description="Whether it is the latest revision that Airflow was observed to serve."
    )
    restored_from: int | None = extra(description="The revision whose text it repeats, if it was made by a restore.")

    @classmethod
    def of(cls, revision: Revision, workflow: Workflow) -> RevisionItem:
        """Make the answer from a revision of a workflow."""
        return cls(
            revision=revision.number,
            created_by=revision.by,
            created_at=revision.at,
            yaml_content=revision.yaml,
            current=revision.number == workflow.revision,
            served=revision.number == workflow.served_revision,
            restored_from=revision.restored_from,
        )


class DiffAnswer(Answer):
    """The difference between two revisions."""

    model_config = example(
        {
            "dataset_name": DATASET,
            "before": 1,
            "after": 2,
            "diff": "--- revision 1\n+++ revision 2\n@@ -1 +1 @@\n-owner: a@example.com\n+owner: b@example.com",
        }
    )
    dataset_name: str
    before: int
    after: int
    diff: str = Field(description="A unified diff of the YAML; empty if the revisions are equal.")

    @classmethod
    def of(cls, found: RevisionDiff) -> DiffAnswer:
        """Make the answer from a difference."""
        return cls(dataset_name=found.dataset_name, before=found.before, after=found.after, diff=found.text)
