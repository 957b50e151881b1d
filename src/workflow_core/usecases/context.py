"""What every use case is given: the ports, and what this installation allows."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from itertools import count
from secrets import randbelow, token_hex
from typing import TYPE_CHECKING

from attrs import field, frozen

from workflow_core.domain.conditions import Observation
from workflow_core.domain.names import check_dataset_name, loader_for, sentinel_dag_id
from workflow_core.domain.spec import SpecRules
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import DatabaseUnavailable, WorkflowNotFound, WorkflowPermissionDenied
from workflow_core.usecases.known import KnownWorkflows
from workflow_core.usecases.run_ids import RunIds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.domain.lease import Lease
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.airflow import AirflowPort
    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.storage import StoragePort
    from workflow_core.ports.workflow import WorkflowPort


class CodeExecution(StrEnum):
    """Whether runs of CODE workflows may be started over this API (specification, section 1.3)."""

    DENY = "deny"
    ALLOW = "allow"


@frozen(kw_only=True)
class Policy:
    """What this installation allows, and how long a request waits for Airflow.

    ``register_wait`` is the longest a registration waits for Airflow to serve the DAG (seconds) before it answers that the worker
    goes on; ``poll`` is the time between two looks. ``loaders`` is the number of loader files in Airflow's DAGs folder.
    ``stop_grace`` is how long (seconds) the process of a task may live on after Airflow has marked the task as ended: a run is
    STOPPED only after that time. ``backfill_max_dates`` is how many dates a backfill may have, ``backfill_max_active`` how many runs of
    a parallel one are under way at the same time unless it says otherwise.
    STOPPED only after that time. ``sync_max_removed`` is the largest share of the CODE workflows that a sync removes without being
    told that it may. ``fresh_for`` is how long (seconds) after a pass of the worker reads are answered from what it saw,
    without asking Airflow. ``keep_keys`` is how long (seconds) an idempotency key and the answer to it are kept at least.

    ``lease`` is how long (seconds) a worker that is not heard of keeps others from what it works on; ``resend_after`` how long nobody else
    sends a run that was sent: longer than any request to Airflow may take; ``compare_every`` (seconds; 0: never) how often the three
    systems are compared in full.
    """

    rules: SpecRules = field(factory=SpecRules)
    loaders: int = 8
    register_wait: float = 10.0
    poll: float = 0.1
    max_params_bytes: int = 65_536
    code_execution: CodeExecution = CodeExecution.DENY
    stop_grace: float = 15.0
    backfill_max_dates: int = 1000
    backfill_max_active: int = 8
    sync_max_removed: float = 0.3
    fresh_for: float = 3.0
    keep_keys: float = 86_400.0
    lease: float = 30.0
    resend_after: float = 20.0
    compare_every: float = 300.0
    may_arrive: timedelta = timedelta(seconds=45)
    """What was sent to Airflow and is not there may still arrive within this time: no request of ours is under way for longer."""
    pause_margin: timedelta = timedelta(seconds=20)
    """How long before the next fire time the DAG of a paused workflow is paused in Airflow though runs are under way: several passes of
    the worker and one request that takes its full time, so that the schedule does not fire.
    """


@frozen(kw_only=True)
class Context:
    """The ports and the policy; ``parsed`` holds the sentinels whose files were asked for in this sweep, if this is one."""

    workflows: WorkflowPort
    airflow: AirflowPort
    storage: StoragePort
    clock: ClockPort
    policy: Policy = field(factory=Policy)
    run_ids: RunIds = field(factory=RunIds, repr=False)
    known: KnownWorkflows = field(factory=KnownWorkflows, repr=False)
    parsed: set[str] | None = None
    comes_back: bool = False
    """Whether this is a pass of a worker, which comes back every few seconds to what it leaves for later."""
    worker: str = field(factory=lambda: token_hex(8))
    """Whose leases are those of this process."""
    led: dict[str, Lease] = field(factory=dict, repr=False)
    """What this process does all the time, and others leave to it."""
    turns: Iterator[int] = field(factory=lambda: count(randbelow(1000)), repr=False)
    """Numbers the passes of this process, from anywhere: what only some of them do is done by workers, too, that never live for long."""

    def require(self, dataset_name: str) -> Workflow:
        """The workflow of this name.

        Raises:
            InvalidRequest: it is not a legal name.
            WorkflowNotFound: it is not registered.
        """
        workflow = self.workflows.workflow(check_dataset_name(dataset_name))
        if workflow is None:
            raise WorkflowNotFound(dataset_name)
        return workflow

    def recorded_run(self, run: Run) -> Run:
        """The run as it is recorded now, or as it was last known: that the database does not answer any more does not undo what was
        accepted.
        """
        try:
            return self.workflows.run(run.run_id) or run
        except DatabaseUnavailable:
            return run

    def recorded_workflow(self, workflow: Workflow) -> Workflow:
        """The same for a workflow."""
        try:
            return self.workflows.workflow_by_id(workflow.id) or workflow
        except DatabaseUnavailable:
            return workflow

    def last_seen(self, workflow: Workflow) -> Observation:
        """What was last seen of a workflow; of one that nobody has looked at yet, nothing."""
        return self.workflows.observations([workflow.id]).get(workflow.id) or Observation(workflow_id=workflow.id)

    def check_execution(self, workflow: Workflow) -> None:
        """Return if runs of this workflow may be started and ended over this API.

        Raises:
            WorkflowPermissionDenied: it is CODE, and the policy does not allow that (specification, section 1.3).
        """
        if workflow.source_type is SourceType.CODE and self.policy.code_execution is CodeExecution.DENY:
            msg = (
                f"Workflow {workflow.dataset_name!r} is CODE: it can only be paused and unpaused over this API"
                " (WORKFLOWS_CODE_EXECUTION=allow changes that)."
            )
            raise WorkflowPermissionDenied(msg)

    def sentinel_of(self, workflow: Workflow) -> str:
        """The DAG id of the sentinel in the loader file that serves this workflow."""
        return sentinel_dag_id(loader_for(workflow.dag_id, self.policy.loaders), self.policy.loaders)

    def request_parse(self, workflow: Workflow) -> None:
        """Ask Airflow to parse the loader file that serves this workflow; within one sweep, once for each file.

        Raises:
            LoaderNotInstalled: Airflow does not know that file.
        """
        sentinel = self.sentinel_of(workflow)
        if self.parsed is None:
            self.airflow.request_parse(sentinel)
        elif sentinel not in self.parsed:
            self.airflow.request_parse(sentinel)
            self.parsed.add(sentinel)
