"""Mirror Airflow and the object store into the database.

Each pass copies every change of a run, and a share of everything else.

A pass sends five requests to Airflow, as long as each response fits into one page: the runs that started, the runs that
changed otherwise, the active runs of which a task ended, the tasks of all these, and one page of the list of DAGs.

The list of DAGs does not contain everything: the spec from which a DAG was built, and whether its YAML is still stored,
are polled for one workflow after the other, those missing from the list first. Active runs are polled in the same way,
in case Airflow never reported a change. A pass that needed all five requests leaves this poll to another pass, unless
too many passes did. One more request checks an active run without tasks, because Airflow does not report that a run was
deleted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import evolve

from workflow_core.domain.conditions import Observation
from workflow_core.domain.spec import spec_hash
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import AirflowUnavailable, ConcurrentUpdate, InvalidWorkflowSpec, StorageUnavailable
from workflow_core.usecases.reconcile.runs import follow_changes, poll_presence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.conditions import AirflowState
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.airflow import ListedDag, ServedDag
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

POLL_INSTEAD_INTERVAL: Final = 15
"""One in this many full passes polls a workflow or run instead of reading the list of DAGs.

The number is odd, so that workflows and runs alternate.
"""

POLL_LIMIT: Final = 1
"""Number of workflows, or of active runs, that one pass polls individually."""


def mirror_changes(context: Context, *, is_periodic: bool = True) -> int:
    """Run one pass of the mirror; return how many runs it read.

    Args:
        context: the ports and the configuration.
        is_periodic: whether this worker sweeps every few seconds. Readers rely only on a periodic worker, so another
            one does not record the time of its pass.

    Raises:
        AirflowUnavailable: Airflow does not respond; this is recorded.
    """
    state = before = context.db.observations.airflow_state()
    began_at = context.clock.now()
    try:
        changes = follow_changes(context)
        for run in changes.without_tasks[:POLL_LIMIT]:
            poll_presence(run, context)
        pass_number = next(context.pass_counter)
        polls_instead = changes.has_asked_all and pass_number % POLL_INSTEAD_INTERVAL == 0
        if not polls_instead:
            state = _read_dag_page(state, began_at, context)
        if polls_instead or not changes.has_asked_all:
            _poll_individually(
                changes.active[:POLL_LIMIT] if pass_number % 2 else (), state.last_cycle_at or began_at, context
            )
    except AirflowUnavailable as error:
        after = state.failed(error.message, context.clock.now())
        context.db.observations.save_airflow_state(after if is_periodic else evolve(after, tried_at=before.tried_at))
        raise
    after = state.reached(began_at, context.clock.now())
    context.db.observations.save_airflow_state(after if is_periodic else evolve(after, tried_at=before.tried_at))
    return changes.runs_read


def _poll_individually(runs: Sequence[Run], listed_before: datetime, context: Context) -> None:
    """Poll these runs; without any, poll the workflows that were polled longest ago."""
    for run in runs:
        poll_presence(run, context)
    if not runs:
        for workflow in context.db.workflows.workflows_to_poll(POLL_LIMIT, listed_before=listed_before):
            poll_workflow(workflow, context)


def _read_dag_page(state: AirflowState, at: datetime, context: Context) -> AirflowState:
    page = context.airflow.list_dags(state.offset)
    dags = {dag.dag_id: dag for dag in page.dags}
    owners = context.db.workflows.workflows_of_dags(dags)
    recorded = context.db.observations.observations(owner.id for owner in owners.values())
    observations = []
    for dag_id, workflow in owners.items():
        previous = recorded.get(workflow.id) or Observation(workflow_id=workflow.id)
        if previous.is_newer_than(at):
            continue
        owner = _reapply_reverted_pause(workflow, previous, dags[dag_id].is_paused, context)
        observations.append(_observed_in_list(previous, dags[dag_id], at).remembering(owner, at))
    context.db.observations.save_observations(observations)
    began, end = at if state.offset == 0 else state.cycle_at, state.offset + len(page.dags)
    if page.dags and end < page.total:
        return evolve(state, offset=end, cycle_at=began)
    return evolve(state, offset=0, cycle_at=None, last_cycle_at=began)


def _observed_in_list(previous: Observation, dag: ListedDag, at: datetime) -> Observation:
    return evolve(
        previous,
        listed_at=at,
        is_served=True,
        is_paused=dag.is_paused,
        has_import_errors=dag.has_import_errors,
        next_run=dag.next_run,
    )


def observed_dag(previous: Observation, dag: ServedDag | None, at: datetime) -> Observation:
    """Update the observation of a workflow with its DAG as just polled."""
    if dag is None:
        return evolve(
            previous, looked_at=at, is_served=False, is_paused=None, spec_hash=None, error=None, next_run=None
        )
    return evolve(
        previous,
        looked_at=at,
        is_served=True,
        is_paused=dag.is_paused,
        spec_hash=dag.spec_hash,
        error=dag.error,
        next_run=dag.next_run,
    )


def poll_workflow(workflow: Workflow, context: Context) -> tuple[Workflow, Observation]:
    """Poll the DAG and the YAML of a workflow, and record the observation unless a newer one exists.

    If the object store does not respond, the previous observation of the YAML is kept.

    Returns:
        The workflow and its observation as currently recorded.

    Raises:
        AirflowUnavailable: Airflow does not respond.
    """
    at = context.clock.now()
    dag = context.airflow.dag(workflow.dag_id)
    previous = context.last_observation(workflow)
    if previous.is_newer_than(at):
        return workflow, previous
    workflow = _update_phase(workflow, previous, dag, context)
    if dag is not None:
        workflow = _reapply_reverted_pause(workflow, previous, dag.is_paused, context)
    observation = _observed_yaml(observed_dag(previous, dag, at), workflow, context).remembering(workflow, at)
    context.db.observations.save_observations([observation])
    return workflow, observation


def _update_phase(workflow: Workflow, previous: Observation, dag: ServedDag | None, context: Context) -> Workflow:
    """Update the phase of a workflow when Airflow begins or ceases to be able to build its DAG.

    The same spec may become buildable, or unbuildable, when packages in Airflow change.
    """
    if dag is None or dag.spec_hash != workflow.spec_hash:
        return workflow
    now = context.clock.now()
    changed = workflow
    if workflow.phase is Phase.SERVED and dag.error:
        changed = workflow.failed(dag.error, now)
    # Other failures are resolved by a sync: a CODE workflow whose file is invalid keeps its last valid spec, and a
    # workflow that was displaced in Airflow by another of the same DAG id is served until Airflow has parsed that one.
    was_unbuildable = workflow.source_type is SourceType.MANUAL and previous.error is not None
    if workflow.phase is Phase.FAILED and dag.error is None and was_unbuildable:
        changed = workflow.served(now)
    if changed is workflow:
        return workflow
    try:
        return context.db.workflows.save_workflow(changed)
    except ConcurrentUpdate:  # another process changed it: the next poll reads its version
        return context.db.workflows.workflow_by_id(workflow.id) or workflow


def _reapply_reverted_pause(
    workflow: Workflow,
    previous: Observation,
    is_paused: bool,  # noqa: FBT001 - an observed value
    context: Context,
) -> Workflow:
    """Mark the pause state for reapplication if a delayed request of this service may have reverted it.

    Airflow carries out a request even after the service has stopped waiting for the response. A request that was sent
    before the desired state changed therefore may revert it.
    """
    if workflow.phase is not Phase.SERVED or not workflow.is_settled or is_paused is (workflow.pause is not None):
        return workflow
    changed_at = workflow.pause_changed_at
    if changed_at is None or (previous.observed_at or changed_at) > changed_at + context.policy.in_flight_limit:
        return workflow
    _log.warning(
        "%s is %s in Airflow, possibly by a delayed request of this service; reapplying the desired state",
        workflow.dataset_name,
        "paused" if is_paused else "not paused",
    )
    try:
        return context.db.workflows.save_workflow(workflow.pause_forgotten())
    except ConcurrentUpdate:  # another process changes it, and applies the pause state anyway
        return context.db.workflows.workflow_by_id(workflow.id) or workflow


def _observed_yaml(observation: Observation, workflow: Workflow, context: Context) -> Observation:
    try:
        stored = context.storage.get(workflow.source_type, workflow.dataset_name, limit=context.policy.rules.max_bytes)
    except StorageUnavailable as error:
        _log.warning("Could not read the YAML of %s: %s", workflow.dataset_name, error.message)
        return observation
    except InvalidWorkflowSpec:  # never registered in this form
        return evolve(observation, is_stored=True, stored_hash=None)
    return evolve(
        observation, is_stored=stored is not None, stored_hash=None if stored is None else spec_hash(stored.text)
    )
