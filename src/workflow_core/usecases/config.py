"""The configuration of the use cases."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from attrs import field, frozen

from workflow_core.domain.spec import SpecRules


class CodeExecution(StrEnum):
    """Whether runs of CODE workflows may be started over this API (specification, section 1.3)."""

    DENY = "deny"
    ALLOW = "allow"


@frozen(kw_only=True)
class ServiceConfig:
    """What this installation allows, and how long a request waits for Airflow.

    ``register_wait`` is the longest a registration waits for Airflow to serve the DAG (seconds) before it answers that the worker
    goes on; ``poll`` is the time between two looks. ``loaders`` is the number of loader files in Airflow's DAGs folder.
    ``stop_grace`` is how long (seconds) the process of a task may live on after Airflow has marked the task as ended: a run is
    STOPPED only after that time. ``backfill_max_dates`` is how many dates a backfill may have, ``backfill_max_active`` how many runs of
    a parallel one are under way at the same time unless the request says otherwise.
    ``sync_max_removed`` is the largest share of the CODE workflows that a sync removes without being
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
    longest_wait: float = 60.0
    """The longest time (seconds) that one request waits for a change of a run."""
    may_arrive: timedelta = timedelta(seconds=45)
    """What was sent to Airflow and is not there may still arrive within this time: no request of ours is under way for longer."""
    pause_margin: timedelta = timedelta(seconds=20)
    """How long before the next fire time the DAG of a paused workflow is paused in Airflow though runs are under way: several passes of
    the worker and one request that takes its full time, so that the schedule does not fire.
    """
