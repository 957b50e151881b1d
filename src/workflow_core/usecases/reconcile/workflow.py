"""Drive the object store and Airflow to what is recorded of a workflow: repeatable steps, from a request or from the worker.

Each step looks first and then does what is missing, so that it may be repeated after a death at any point.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from workflow_core.domain.lease import workflow_subject
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, StorageConflict, StorageRefused, Unavailable
from workflow_core.usecases.reconcile.drain import pause_waits
from workflow_core.usecases.reconcile.leases import hold_lease
from workflow_core.usecases.reconcile.mirror import with_observation
from workflow_core.usecases.reconcile.teardown import await_dag_removal, teardown

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.airflow import ServedDag
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

ASK_AGAIN: Final = timedelta(seconds=2)
"""A parse that began before our write may answer our request; asking again makes sure that one begins after it."""


def reconcile_workflow(workflow: Workflow, context: Context, *, within: float = 0.0) -> Workflow:
    """Take a recorded workflow as far as the other systems allow now, waiting at most ``within`` seconds for Airflow, and for somebody
    else who is at it, too: of a request and the worker, one may be faster at each step.

    Never raises for a system that is down: what is missing stays recorded as missing. Returns the workflow as it is recorded.
    """
    deadline = context.clock.now() + timedelta(seconds=within)
    while True:
        try:
            with hold_lease(workflow_subject(workflow.id), context) as mine:
                if mine:
                    return step_workflow(workflow, context, deadline)
        except (Unavailable, AirflowRefused, StorageConflict) as error:
            _log.warning("%s is not settled yet: %s", workflow.dataset_name, error.message)
            return context.recorded_workflow(workflow)
        except ConcurrentUpdate:
            _log.debug("%s was changed by somebody else", workflow.dataset_name)
        workflow = context.recorded_workflow(workflow)
        if workflow.settled or context.clock.now() >= deadline:
            return workflow
        context.clock.sleep(context.policy.poll)


def step_workflow(workflow: Workflow, context: Context, deadline: datetime) -> Workflow:
    """As :func:`settle_workflow`; what comes in between goes to the caller.

    Raises:
        Unavailable, AirflowRefused, StorageConflict, ConcurrentUpdate: it is not settled yet.
    """
    try:
        return _advance(workflow, context, deadline)
    except StorageRefused as error:
        _note_refusal(context.recorded_workflow(workflow), error, context)
        raise


def _note_refusal(workflow: Workflow, error: StorageRefused, context: Context) -> None:
    """Record why nothing goes on: it is a condition of the workflow until the store takes what it refuses."""
    waits = workflow.phase in {Phase.REGISTERING, Phase.UNREGISTERING}
    if waits and workflow.storage_refusal != error.discreet:
        context.db.workflows.save_workflow(workflow.refused_by_storage(error.discreet))


def _advance(workflow: Workflow, context: Context, deadline: datetime) -> Workflow:
    if workflow.phase is Phase.REGISTERING:
        if workflow.source_type is SourceType.MANUAL:
            _store(workflow, context)
            if workflow.storage_refusal is not None:
                workflow = context.db.workflows.save_workflow(workflow.refused_by_storage(None))
        workflow = _have_served(workflow, context, deadline)
    if workflow.phase is Phase.SERVED and not workflow.settled:
        workflow = _apply_pause(workflow, context)
    if workflow.phase is Phase.UNREGISTERING:
        workflow = teardown(workflow, context)
    if workflow.phase is Phase.LEAVING:
        workflow = await_dag_removal(workflow, context)
    return workflow


def _store(workflow: Workflow, context: Context) -> None:
    """Write the YAML. A repeat finds its own text; what an earlier holder of the name left behind is replaced."""
    place = (workflow.source_type, workflow.dataset_name)
    try:
        context.storage.put(*place, workflow.yaml, expected=None)
    except StorageConflict:
        there = context.storage.stat(*place)
        context.storage.put(*place, workflow.yaml, expected=there.etag if there else None)


def _have_served(workflow: Workflow, context: Context, deadline: datetime) -> Workflow:
    """Have Airflow parse the loader file until the DAG that it serves carries this spec's hash."""
    clock = context.clock
    ask_at = clock.now()
    while True:
        if clock.now() >= ask_at:
            context.request_parse(workflow)
            ask_at = clock.now() + ASK_AGAIN
        dag = context.airflow.dag(workflow.dag_id)
        if dag is not None and dag.spec_hash == workflow.spec_hash:
            return _known_as_served(workflow, dag, context)
        if clock.now() >= deadline:
            return workflow
        clock.sleep(context.policy.poll)


def _known_as_served(workflow: Workflow, dag: ServedDag, context: Context) -> Workflow:
    now = context.clock.now()
    known = workflow.found_served(now, paused=dag.is_paused)
    if dag.error is None:
        return context.db.workflows.save_workflow(known.served(now))
    # the mirror serves it again as soon as Airflow can build it, if it knows that this was the reason
    context.db.observations.save_observations([with_observation(context.last_seen(workflow), dag, now)])
    return context.db.workflows.save_workflow(known.failed(dag.error, now))


def _apply_pause(workflow: Workflow, context: Context) -> Workflow:
    """Have Airflow follow. A pause that waits for runs under way stays recorded as unsettled: the next pass decides again."""
    if pause_waits(workflow, context):
        return workflow
    tell_pause(workflow, context)
    return context.db.workflows.save_workflow(workflow.pause_confirmed(paused=workflow.pause is not None))


def tell_pause(workflow: Workflow, context: Context) -> None:
    """Have Airflow take over the pause state that is wanted, and record that it was seen so: whoever asked Airflow before and records it
    later has seen less.

    Raises:
        AirflowUnavailable, AirflowRefused: it is not known to have it.
    """
    wanted = workflow.pause is not None
    context.airflow.set_paused(workflow.dag_id, paused=wanted)
    now = context.clock.now()
    seen = evolve(context.last_seen(workflow), listed_at=now, is_served=True, is_paused=wanted)
    context.db.observations.save_observations([seen.remembering(workflow, now)])
