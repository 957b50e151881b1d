"""Compare the database, the object store and Airflow in full at intervals, and repair drift.

Sweeps reconcile the items that the database marks as unsettled. The comparison finds what no record or event announced:
a YAML that was deleted or overwritten, a YAML that a suspended process wrote after its workflow had been torn down, a
DAG that Airflow dropped. The database holds the desired state. A pause state that was changed in Airflow is reported as
a condition, not reverted (docs/adr/0017).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workflow_core.domain.filters import WorkflowFilter
from workflow_core.domain.lease import workflow_lease_key
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
    """Run one full comparison; return the number of repairs.

    Raises:
        StorageUnavailable, DatabaseUnavailable: the comparison ended early; the next one starts from the beginning.
    """
    stored = {ref.dataset_name for ref in context.storage.list(SourceType.MANUAL)}
    repaired = 0
    names: set[str] = set()
    for workflow in _registered_workflows(context):
        names.add(workflow.dataset_name)
        if workflow.phase is Phase.SERVED:
            repaired += _repair(workflow, context, is_stored=workflow.dataset_name in stored)
    for name in context.db.workflows.retired_names(stored - names):
        repaired += _remove_orphan(name, context)
    return repaired


def _registered_workflows(context: Context) -> Iterator[Workflow]:
    request = PageRequest(limit=PAGE)
    while True:
        workflows = context.db.workflows.list_workflows(WorkflowFilter(), request)
        yield from workflows.items
        if workflows.next_after is None:
            return
        request = PageRequest(limit=PAGE, after=workflows.next_after)


def _repair(workflow: Workflow, context: Context, *, is_stored: bool) -> bool:
    observation = context.db.observations.observations([workflow.id]).get(workflow.id)
    other_text = observation is not None and observation.is_stored and observation.stored_hash != workflow.spec_hash
    not_served = observation is not None and (
        observation.is_served is False or observation.spec_hash not in {None, workflow.spec_hash}
    )
    is_manual = workflow.source_type is SourceType.MANUAL
    repaired = is_manual and (other_text or not is_stored) and _restore_yaml(workflow, context)
    if repaired or not_served:
        try:
            context.request_parse(workflow)
        except (Unavailable, AirflowRefused) as error:  # Airflow parses its files regularly anyway
            _log.warning("Could not request a parse for %s: %s", workflow.dataset_name, error.message)
    return repaired


def _restore_yaml(workflow: Workflow, context: Context) -> bool:
    """Write the registered YAML again, unless another process works on the workflow.

    The write replaces exactly the object that was compared; if that has changed, nothing is written.
    """
    with hold_lease(workflow_lease_key(workflow.id), context) as acquired:
        current = context.db.workflows.workflow_by_id(workflow.id)
        if not acquired or current is None or current.version != workflow.version:
            return False  # another process works on it: the comparison is out of date
        stored = context.storage.stat(SourceType.MANUAL, workflow.dataset_name)
        if stored is not None and _stored_hash(workflow, context) == workflow.spec_hash:
            return False
        try:
            context.storage.put(
                SourceType.MANUAL, workflow.dataset_name, workflow.yaml, expected=stored.etag if stored else None
            )
        except StorageConflict:
            return False  # the object has just changed: the next comparison reads it again
    _log.warning(
        "The YAML of %s was %s in the object store; the registered one was restored",
        workflow.dataset_name,
        "modified" if stored else "missing",
    )
    return True


def _stored_hash(workflow: Workflow, context: Context) -> str | None:
    try:
        stored = context.storage.get(SourceType.MANUAL, workflow.dataset_name, limit=context.policy.rules.max_bytes)
    except InvalidWorkflowSpec:  # never registered in this form
        return None
    return None if stored is None else spec_hash(stored.text)


def _remove_orphan(name: str, context: Context) -> bool:
    """Remove the YAML of a workflow that was torn down, because Airflow would serve its DAG again."""
    if context.db.workflows.workflow(name) is not None:
        return False  # registered again since the comparison began
    removed = context.storage.delete(SourceType.MANUAL, name)
    if removed:
        _log.warning("The YAML of %s was in the object store after its teardown; it was removed", name)
    return removed
