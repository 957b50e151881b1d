"""Read the revisions of a workflow and compare two of them."""

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
    """The workflow, and its revisions, latest first.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
    """
    workflow = context.require(dataset_name)
    return workflow, context.db.workflows.revisions(workflow, page)


def diff(dataset_name: str, number: int, against: int | None, context: Context) -> RevisionDiff:
    """What revision ``number`` changed against another one; against the one before it, unless that is said.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
        RevisionNotFound: there is none of one of these numbers. Before the first there was an empty text.
    """
    workflow = context.require(dataset_name)
    before = number - 1 if against is None else against
    new = require_revision(workflow, number, context).yaml  # first: the number that the caller gave is the one to name
    old = "" if against is None and before == 0 else require_revision(workflow, before, context).yaml
    names = (f"revision {before}", f"revision {number}")
    lines = unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="")
    return RevisionDiff(dataset_name=dataset_name, before=before, after=number, text="\n".join(lines))
