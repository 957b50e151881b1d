"""The context of every use case: the ports, the configuration, and the state shared within one process."""

from __future__ import annotations

from itertools import count
from secrets import randbelow, token_hex
from typing import TYPE_CHECKING

from attrs import field, frozen

from workflow_core.domain.backfill import BackfillSummary
from workflow_core.domain.conditions import Observation
from workflow_core.domain.names import check_dataset_name, check_run_id, loader_for, sentinel_dag_id
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    BackfillNotFound,
    DatabaseUnavailable,
    RevisionNotFound,
    WorkflowNotFound,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.usecases.cache import WorkflowCache
from workflow_core.usecases.config import CodeExecution, ServiceConfig
from workflow_core.usecases.run_ids import RunIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.lease import Lease
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Revision, Workflow
    from workflow_core.ports.airflow import AirflowPort
    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.database import Database
    from workflow_core.ports.storage import StoragePort


@frozen(kw_only=True)
class Context:
    """The ports, the configuration, and the shared state of one process.

    Attributes:
        workflows: the database.
        airflow: Airflow.
        storage: the object store.
        clock: the source of the time.
        policy: the configuration.
        run_ids: assigns run ids.
        cache: recently read workflows.
        requested_parses: the sentinel DAGs whose files were parsed on request in this sweep; None outside a sweep.
        is_periodic: whether this is a pass of a worker that sweeps every few seconds, and so returns to unfinished
            work.
        worker: the owner of this process's leases.
        leaderships: the leases that this process holds as leader.
        pass_counter: counts the passes of this process, starting at a random offset so that short-lived workers also
            run the periodic steps.
    """

    db: Database
    airflow: AirflowPort
    storage: StoragePort
    clock: ClockPort
    policy: ServiceConfig = field(factory=ServiceConfig)
    run_ids: RunIds = field(factory=RunIds, repr=False)
    cache: WorkflowCache = field(factory=WorkflowCache, repr=False)
    requested_parses: set[str] | None = None
    is_periodic: bool = False
    worker: str = field(factory=lambda: token_hex(8))
    leaderships: dict[str, Lease] = field(factory=dict, repr=False)
    pass_counter: Iterator[int] = field(factory=lambda: count(randbelow(1000)), repr=False)

    def require(self, dataset_name: str) -> Workflow:
        """Return the workflow of this name.

        Raises:
            InvalidRequest: the name is not valid.
            WorkflowNotFound: no workflow of this name is registered.
        """
        workflow = self.db.workflows.workflow(check_dataset_name(dataset_name))
        if workflow is None:
            raise WorkflowNotFound(dataset_name)
        return workflow

    def recorded_run(self, run: Run) -> Run:
        """Return the run as currently recorded, or the given one if the database does not respond.

        An accepted run remains accepted when the database becomes unavailable afterwards.
        """
        try:
            return self.db.workflows.run(run.run_id) or run
        except DatabaseUnavailable:
            return run

    def recorded_workflow(self, workflow: Workflow) -> Workflow:
        """Return the workflow as currently recorded, or the given one if the database does not respond."""
        try:
            return self.db.workflows.workflow_by_id(workflow.id) or workflow
        except DatabaseUnavailable:
            return workflow

    def last_observation(self, workflow: Workflow) -> Observation:
        """Return the last observation of a workflow; an empty one if it was never observed."""
        return self.db.observations.observations([workflow.id]).get(workflow.id) or Observation(workflow_id=workflow.id)

    def check_execution(self, workflow: Workflow) -> None:
        """Return if runs of this workflow may be started and stopped over this API.

        Raises:
            WorkflowPermissionDenied: the workflow is CODE and the configuration denies it (specification, section 1.3).
        """
        if workflow.source_type is SourceType.CODE and self.policy.code_execution is CodeExecution.DENY:
            msg = (
                f"Workflow {workflow.dataset_name!r} is CODE: it can only be paused and unpaused over this API"
                " (WORKFLOWS_CODE_EXECUTION=allow changes that)."
            )
            raise WorkflowPermissionDenied(msg)

    def sentinel_of(self, workflow: Workflow) -> str:
        """Return the DAG id of the sentinel in the loader file that serves this workflow."""
        return sentinel_dag_id(loader_for(workflow.dag_id, self.policy.loaders), self.policy.loaders)

    def request_parse(self, workflow: Workflow) -> None:
        """Ask Airflow to parse the loader file that serves this workflow; within one sweep, once for each file.

        Raises:
            LoaderNotInstalled: Airflow does not know the loader file.
        """
        sentinel = self.sentinel_of(workflow)
        if self.requested_parses is None:
            self.airflow.request_parse(sentinel)
        elif sentinel not in self.requested_parses:
            self.airflow.request_parse(sentinel)
            self.requested_parses.add(sentinel)


def require_backfill(backfill_id: str, context: Context) -> Backfill:
    """Return the backfill with this id.

    Raises:
        InvalidRequest: the text is not a backfill id.
        BackfillNotFound: no backfill has this id.
    """
    backfill = context.db.backfills.backfill(check_run_id(backfill_id, field="backfill_id"))
    if backfill is None:
        raise BackfillNotFound(backfill_id)
    return backfill


def require_run(run_id: str, context: Context) -> Run:
    """Return the run with this id.

    Raises:
        InvalidRequest: the text is not a run id.
        WorkflowRunNotFound: no run has this id.
    """
    run = context.db.workflows.run(check_run_id(run_id))
    if run is None:
        raise WorkflowRunNotFound(run_id)
    return run


def require_revision(workflow: Workflow, number: int, context: Context) -> Revision:
    """Return the revision of the workflow with this number.

    Raises:
        RevisionNotFound: the workflow has no revision of this number.
    """
    revision = context.db.workflows.revision(workflow, number)
    if revision is None:
        raise RevisionNotFound(workflow.dataset_name, number)
    return revision


def summarize(backfill: Backfill, context: Context) -> BackfillSummary:
    """Return a backfill with the current counts of its runs."""
    counts = context.db.backfills.backfill_counts([backfill.backfill_id])
    (current,) = with_skipped_runs([backfill], context)
    return BackfillSummary(backfill=current, counts=counts.get(backfill.backfill_id, {}))


def with_skipped_runs(backfills: Sequence[Backfill], context: Context) -> Sequence[Backfill]:
    """Return the backfills with the current status of the runs of their skipped dates.

    Runs that had succeeded are not read again.
    """
    unfinished = {
        date.run_id for backfill in backfills for date in backfill.skipped if date.status is not RunStatus.SUCCESS
    }
    if not unfinished:
        return backfills
    statuses = context.db.workflows.run_statuses(unfinished)
    return [backfill.with_skipped_statuses(statuses) for backfill in backfills]
