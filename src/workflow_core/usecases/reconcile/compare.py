"""Compare database, object store and Airflow in full, now and then, and mend what has drifted apart.

Sweeps settle what is recorded as unsettled. This finds what nobody recorded: a YAML that somebody removed or wrote over, one that was
written by a process that had stood still until its workflow was gone, a DAG that Airflow dropped. What is wanted is what the database
says; a pause state that somebody changed in Airflow is told, and stays (docs/adr/0017).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.lease import workflow_subject
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.spec import spec_hash
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import AirflowRefused, InvalidWorkflowSpec, StorageConflict, Unavailable
from workflow_core.usecases.reconcile.leases import hold_lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

PAGE: Final = 500


def compare(context: Context) -> int:
    """One full comparison; returns how much was mended.

    Raises:
        StorageUnavailable, DatabaseUnavailable: it ended early; the next one begins anew.
    """
    stored = {ref.dataset_name for ref in context.storage.list(SourceType.MANUAL)}
    mended = 0
    live: set[str] = set()
    for workflow in _live(context):
        live.add(workflow.dataset_name)
        if workflow.phase is Phase.SERVED:
            mended += _mend(workflow, context, is_stored=workflow.dataset_name in stored)
    for name in context.db.workflows.retired_names(stored - live):
        mended += _remove_orphan(name, context)
    return mended


def _live(context: Context) -> Iterator[Workflow]:
    page = PageRequest(limit=PAGE)
    while True:
        found = context.db.workflows.list_workflows(WorkflowFilter(), page)
        yield from found.items
        if found.next_after is None:
            return
        page = PageRequest(limit=PAGE, after=found.next_after)


def _mend(workflow: Workflow, context: Context, *, is_stored: bool) -> bool:
    seen = context.db.observations.observations([workflow.id]).get(workflow.id)
    other_text = seen is not None and seen.is_stored and seen.stored_hash != workflow.spec_hash
    not_served = seen is not None and (seen.is_served is False or seen.spec_hash not in {None, workflow.spec_hash})
    is_ours = workflow.source_type is SourceType.MANUAL
    mended = is_ours and (other_text or not is_stored) and _put_back(workflow, context)
    if mended or not_served:
        try:
            context.request_parse(workflow)
        except (Unavailable, AirflowRefused) as error:  # Airflow reads its files by itself, later
            _log.warning("%s is not served yet: %s", workflow.dataset_name, error.message)
    return mended


def _put_back(workflow: Workflow, context: Context) -> bool:
    """Write the registered YAML, in the place of exactly what is there, while nobody else works on the workflow."""
    with hold_lease(workflow_subject(workflow.id), context) as mine:
        now = context.db.workflows.workflow_by_id(workflow.id)
        if not mine or now is None or now.version != workflow.version:
            return False  # somebody is at it: what was compared is old
        there = context.storage.stat(SourceType.MANUAL, workflow.dataset_name)
        if there is not None and _hash_of(workflow, context) == workflow.spec_hash:
            return False
        try:
            context.storage.put(
                SourceType.MANUAL, workflow.dataset_name, workflow.yaml, expected=there.etag if there else None
            )
        except StorageConflict:
            return False  # the next comparison sees what became of it
    _log.warning(
        "The YAML of %s was %s in the object store; the registered one was written again",
        workflow.dataset_name,
        "another" if there else "gone",
    )
    return True


def _hash_of(workflow: Workflow, context: Context) -> str | None:
    try:
        stored = context.storage.get(SourceType.MANUAL, workflow.dataset_name, limit=context.policy.rules.max_bytes)
    except InvalidWorkflowSpec:  # nothing that was ever registered
        return None
    return None if stored is None else spec_hash(stored.text)


def _remove_orphan(name: str, context: Context) -> bool:
    """Remove the YAML of a workflow that has left: Airflow would serve its DAG again."""
    if context.db.workflows.workflow(name) is not None:
        return False  # registered again meanwhile
    removed = context.storage.delete(SourceType.MANUAL, name)
    if removed:
        _log.warning("%s has left, but its YAML was in the object store; it was removed", name)
    return removed
