"""Reconcile a workflow: bring the object store and Airflow to the state that the database records.

The request and the worker run the same steps. Each step reads the actual state first and does only what is missing, so
it can be repeated after a crash at any point.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from workflow_core.domain.lease import workflow_lease_key
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, StorageConflict, StorageRefused, Unavailable
from workflow_core.usecases.reconcile.drain import is_draining
from workflow_core.usecases.reconcile.leases import hold_lease
from workflow_core.usecases.reconcile.mirror import observed_dag
from workflow_core.usecases.reconcile.teardown import await_dag_removal, teardown

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.airflow import ServedDag
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

PARSE_REQUEST_INTERVAL: Final = timedelta(seconds=2)
"""Interval between two parse requests.

A parse that began before the YAML was written may satisfy the first request; the next request makes sure that one
begins after the write.
"""


def reconcile_workflow(workflow: Workflow, context: Context, *, within: float = 0.0) -> Workflow:
    """Reconcile a workflow as far as the other systems allow now.

    An unavailable system raises nothing: the missing steps remain recorded as missing, and the worker takes them.

    Args:
        workflow: the workflow as recorded.
        context: the ports and the configuration.
        within: how long to wait for Airflow, and for another process that holds the lease, in seconds.

    Returns:
        The workflow as currently recorded.
    """
    deadline = context.clock.now() + timedelta(seconds=within)
    while True:
        try:
            with hold_lease(workflow_lease_key(workflow.id), context) as acquired:
                if acquired:
                    return step_workflow(workflow, context, deadline)
        except (Unavailable, AirflowRefused, StorageConflict) as error:
            _log.warning("%s is not settled yet: %s", workflow.dataset_name, error.message)
            return context.recorded_workflow(workflow)
        except ConcurrentUpdate:
            _log.debug("%s was changed by another process", workflow.dataset_name)
        workflow = context.recorded_workflow(workflow)
        if workflow.is_settled or context.clock.now() >= deadline:
            return workflow
        context.clock.sleep(context.policy.poll)


def step_workflow(workflow: Workflow, context: Context, deadline: datetime) -> Workflow:
    """Take the next steps of a workflow under its lease, until the deadline.

    Raises:
        Unavailable, AirflowRefused, StorageConflict, ConcurrentUpdate: the workflow is not settled yet.
    """
    try:
        return _take_steps(workflow, context, deadline)
    except StorageRefused as error:
        _record_refusal(context.recorded_workflow(workflow), error, context)
        raise


def _record_refusal(workflow: Workflow, error: StorageRefused, context: Context) -> None:
    """Record the reason of the object store; it is a condition of the workflow until the store accepts the YAML."""
    is_unsettled = workflow.phase in {Phase.REGISTERING, Phase.UNREGISTERING}
    if is_unsettled and workflow.storage_refusal != error.discreet:
        context.db.workflows.save_workflow(workflow.refused_by_storage(error.discreet))


def _take_steps(workflow: Workflow, context: Context, deadline: datetime) -> Workflow:
    if workflow.phase is Phase.REGISTERING:
        if workflow.source_type is SourceType.MANUAL:
            _store(workflow, context)
            if workflow.storage_refusal is not None:
                workflow = context.db.workflows.save_workflow(workflow.refused_by_storage(None))
        workflow = _await_dag(workflow, context, deadline)
    if workflow.phase is Phase.SERVED and not workflow.is_settled:
        workflow = _apply_pause(workflow, context)
    if workflow.phase is Phase.UNREGISTERING:
        workflow = teardown(workflow, context)
    if workflow.phase is Phase.LEAVING:
        workflow = await_dag_removal(workflow, context)
    return workflow


def _store(workflow: Workflow, context: Context) -> None:
    """Write the YAML, replacing the object that an earlier workflow of the same name may have left behind."""
    location = (workflow.source_type, workflow.dataset_name)
    try:
        context.storage.put(*location, workflow.yaml, expected=None)
    except StorageConflict:
        stored = context.storage.stat(*location)
        context.storage.put(*location, workflow.yaml, expected=stored.etag if stored else None)


def _await_dag(workflow: Workflow, context: Context, deadline: datetime) -> Workflow:
    """Request parses of the loader file until Airflow serves a DAG with the hash of this spec."""
    clock = context.clock
    next_request = clock.now()
    while True:
        if clock.now() >= next_request:
            context.request_parse(workflow)
            next_request = clock.now() + PARSE_REQUEST_INTERVAL
        dag = context.airflow.dag(workflow.dag_id)
        if dag is not None and dag.spec_hash == workflow.spec_hash:
            return _record_served(workflow, dag, context)
        if clock.now() >= deadline:
            return workflow
        clock.sleep(context.policy.poll)


def _record_served(workflow: Workflow, dag: ServedDag, context: Context) -> Workflow:
    now = context.clock.now()
    served = workflow.found_served(now, paused=dag.is_paused)
    if dag.error is None:
        return context.db.workflows.save_workflow(served.served(now))
    # because of this observation, the mirror marks the workflow as served once Airflow can build the DAG
    context.db.observations.save_observations([observed_dag(context.last_observation(workflow), dag, now)])
    return context.db.workflows.save_workflow(served.failed(dag.error, now))


def _apply_pause(workflow: Workflow, context: Context) -> Workflow:
    """Apply the pause state in Airflow. A draining pause remains unsettled; the next pass decides again."""
    if is_draining(workflow, context):
        return workflow
    apply_pause_in_airflow(workflow, context)
    return context.db.workflows.save_workflow(workflow.pause_confirmed(paused=workflow.pause is not None))


def apply_pause_in_airflow(workflow: Workflow, context: Context) -> None:
    """Set the desired pause state in Airflow, and record the observation.

    The recorded time makes sure that a process that read Airflow earlier does not overwrite the observation.

    Raises:
        AirflowUnavailable, AirflowRefused: it is unknown whether Airflow has the desired state.
    """
    paused = workflow.pause is not None
    context.airflow.set_paused(workflow.dag_id, paused=paused)
    now = context.clock.now()
    observation = evolve(context.last_observation(workflow), listed_at=now, is_served=True, is_paused=paused)
    context.db.observations.save_observations([observation.remembering(workflow, now)])
