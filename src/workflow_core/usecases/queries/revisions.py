"""Read the revisions of a workflow, and compare two of them."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from workflow_core.domain.workflow import RevisionDiff
from workflow_core.usecases.context import require_revision

if TYPE_CHECKING:
    from workflow_core.domain.paging import Page, PageRequest
    from workflow_core.domain.workflow import Revision, Workflow
    from workflow_core.usecases.context import Context


def list_revisions(dataset_name: str, page: PageRequest, context: Context) -> tuple[Workflow, Page[Revision]]:
    """Return the workflow and its revisions, latest first.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
    """
    workflow = context.require(dataset_name)
    return workflow, context.db.workflows.revisions(workflow, page)


def diff(dataset_name: str, number: int, against: int | None, context: Context) -> RevisionDiff:
    """Return the difference between two revisions.

    Args:
        dataset_name: the name of the workflow.
        number: the newer revision.
        against: the older revision; None for the one before ``number``. Before the first revision the text was empty.
        context: the ports and the configuration.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
        RevisionNotFound: the workflow has no revision with one of the numbers.
    """
    workflow = context.require(dataset_name)
    before = number - 1 if against is None else against
    new = require_revision(workflow, number, context).yaml  # first, so that an error names the caller's number
    old = "" if against is None and before == 0 else require_revision(workflow, before, context).yaml
    names = (f"revision {before}", f"revision {number}")
    lines = unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="")
    return RevisionDiff(dataset_name=dataset_name, before=before, after=number, text="\n".join(lines))
