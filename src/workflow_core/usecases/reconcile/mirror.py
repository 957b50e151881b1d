"""Follow Airflow and the object store: every change of a run, and a share of everything else in each pass.

A pass asks Airflow five times as long as its answers fit into a page each: for the runs that started and for those that changed
otherwise, for the active runs of which a task ended, for the tasks of all these, and for a page of the DAGs it serves. What cannot be seen
in the list (the spec that a DAG was built from, and whether its YAML is still there) is looked at in turn, what is missing from the list
first; and so are active runs, in case that a change of one was never told. A pass that needed all of those requests leaves that to
another one, unless too many have. One request more is spent on an active run that has no tasks: somebody may have deleted it, which is no
change that Airflow tells.
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

LOOKS_INSTEAD: Final = 15
"""Of so many passes that need all their requests, one looks at a workflow or run instead of the list; an odd number, so that both have
their turn."""

POLL_LIMIT: Final = 1
"""Workflows, or active runs, that a pass looks at by themselves."""


def watch(context: Context, *, comes_back: bool = True) -> int:
    """One pass; returns how many runs were looked at. That Airflow does not answer is recorded, and raised.

    Only on somebody who comes back every few seconds can those who read rely.
    """
    state = before = context.db.observations.airflow_state()
    began = context.clock.now()
    try:
        followed = follow_changes(context)
        for run in followed.without_tasks[:POLL_LIMIT]:
            poll_presence(run, context)
        turn = next(context.turns)
        instead = followed.has_asked_all and turn % LOOKS_INSTEAD == 0
        if not instead:
            state = _read_page(state, began, context)
        if instead or not followed.has_asked_all:
            _look(followed.active[:POLL_LIMIT] if turn % 2 else (), state.last_cycle_at or began, context)
    except AirflowUnavailable as error:
        after = state.failed(error.message, context.clock.now())
        context.db.observations.save_airflow_state(after if comes_back else evolve(after, tried_at=before.tried_at))
        raise
    after = state.reached(began, context.clock.now())
    context.db.observations.save_airflow_state(after if comes_back else evolve(after, tried_at=before.tried_at))
    return followed.looked_at


def _look(runs: Sequence[Run], listed_before: datetime, context: Context) -> None:
    """At these runs, or where there are none at workflows."""
    for run in runs:
        poll_presence(run, context)
    if not runs:
        for workflow in context.db.workflows.workflows_to_poll(POLL_LIMIT, listed_before=listed_before):
            poll_workflow(workflow, context)


def _read_page(state: AirflowState, at: datetime, context: Context) -> AirflowState:
    page = context.airflow.list_dags(state.offset)
    dags = {dag.dag_id: dag for dag in page.dags}
    owners = context.db.workflows.workflows_of_dags(dags)
    before = context.db.observations.observations(owner.id for owner in owners.values())
    seen = []
    for dag_id, found in owners.items():
        last = before.get(found.id) or Observation(workflow_id=found.id)
        if last.is_newer_than(at):
            continue
        owner = _undone(found, last, dags[dag_id].is_paused, context)
        seen.append(_listed(last, dags[dag_id], at).remembering(owner, at))
    context.db.observations.save_observations(seen)
    began, end = at if state.offset == 0 else state.cycle_at, state.offset + len(page.dags)
    if page.dags and end < page.total:
        return evolve(state, offset=end, cycle_at=began)
    return evolve(state, offset=0, cycle_at=None, last_cycle_at=began)


def _listed(seen: Observation, dag: ListedDag, at: datetime) -> Observation:
    return evolve(
        seen,
        listed_at=at,
        is_served=True,
        is_paused=dag.is_paused,
        has_import_errors=dag.has_import_errors,
        next_run=dag.next_run,
    )


def with_observation(seen: Observation, dag: ServedDag | None, at: datetime) -> Observation:
    """What was seen of a workflow, with what a look at its DAG tells."""
    if dag is None:
        return evolve(seen, looked_at=at, is_served=False, is_paused=None, spec_hash=None, error=None, next_run=None)
    return evolve(
        seen,
        looked_at=at,
        is_served=True,
        is_paused=dag.is_paused,
        spec_hash=dag.spec_hash,
        error=dag.error,
        next_run=dag.next_run,
    )


def poll_workflow(workflow: Workflow, context: Context) -> tuple[Workflow, Observation]:
    """Look at its DAG and its YAML, and record what was seen, unless somebody has looked since; returns the workflow as it is recorded
    then.

    Raises:
        AirflowUnavailable: Airflow does not answer. A store that does not answer leaves what was seen of the YAML as it was.
    """
    at = context.clock.now()
    dag = context.airflow.dag(workflow.dag_id)
    before = context.last_seen(workflow)
    if before.is_newer_than(at):
        return workflow, before
    workflow = _judged(workflow, before, dag, context)
    if dag is not None:
        workflow = _undone(workflow, before, dag.is_paused, context)
    seen = _with_yaml(with_observation(before, dag, at), workflow, context).remembering(workflow, at)
    context.db.observations.save_observations([seen])
    return workflow, seen


def _judged(workflow: Workflow, before: Observation, dag: ServedDag | None, context: Context) -> Workflow:
    """Whether a DAG can be built from exactly this spec may change with what is installed in Airflow."""
    if dag is None or dag.spec_hash != workflow.spec_hash:
        return workflow
    now = context.clock.now()
    changed = workflow
    if workflow.phase is Phase.SERVED and dag.error:
        changed = workflow.failed(dag.error, now)
    # What failed for another reason, a sync decides: a CODE workflow whose file is broken keeps its last good spec, and a workflow whose
    # place in Airflow another one takes is served until Airflow has read that one.
    could_not_be_built = workflow.source_type is SourceType.MANUAL and before.error is not None
    if workflow.phase is Phase.FAILED and dag.error is None and could_not_be_built:
        changed = workflow.served(now)
    if changed is workflow:
        return workflow
    try:
        return context.db.workflows.save_workflow(changed)
    except ConcurrentUpdate:  # the next look is at what somebody else made of it
        return context.db.workflows.workflow_by_id(workflow.id) or workflow


def _undone(workflow: Workflow, before: Observation, is_paused: bool, context: Context) -> Workflow:  # noqa: FBT001 - a value
    """Have the pause state that is wanted applied again, if a request of ours may be what undid it: Airflow carries a request out although
    nobody waits for its answer any more, and one that was sent before the wish changed asks for the opposite of it.
    """
    if workflow.phase is not Phase.SERVED or not workflow.settled or is_paused is (workflow.pause is not None):
        return workflow
    changed_at = workflow.pause_changed_at
    if changed_at is None or (before.observed_at or changed_at) > changed_at + context.policy.may_arrive:
        return workflow
    _log.warning(
        "%s is %s in Airflow, maybe by a late request of ours; it is told again",
        workflow.dataset_name,
        "paused" if is_paused else "not paused",
    )
    try:
        return context.db.workflows.save_workflow(workflow.pause_forgotten())
    except ConcurrentUpdate:  # somebody changes it: then it is told anyway
        return context.db.workflows.workflow_by_id(workflow.id) or workflow


def _with_yaml(seen: Observation, workflow: Workflow, context: Context) -> Observation:
    try:
        stored = context.storage.get(workflow.source_type, workflow.dataset_name, limit=context.policy.rules.max_bytes)
    except StorageUnavailable as error:
        _log.warning("the YAML of %s cannot be looked at: %s", workflow.dataset_name, error.message)
        return seen
    except InvalidWorkflowSpec:  # not one that was registered
        return evolve(seen, is_stored=True, stored_hash=None)
    return evolve(seen, is_stored=stored is not None, stored_hash=None if stored is None else spec_hash(stored.text))
