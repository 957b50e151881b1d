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
    """The limits and durations that apply in this installation.

    Durations are in seconds unless they are a ``timedelta``.

    Attributes:
        rules: the rules for the spec of a workflow.
        loaders: number of loader files in Airflow's DAGs folder.
        register_wait: how long a registration waits for Airflow to serve the DAG before it leaves the rest to the
            worker.
        poll: interval between two polls of Airflow within a request.
        max_params_bytes: maximum size of a run's params as JSON.
        code_execution: whether runs of CODE workflows may be started over this API.
        stop_grace: how long the process of a task may continue after Airflow has marked the task as ended; a run
            becomes STOPPED only after this time.
        backfill_max_dates: maximum number of dates of a backfill.
        backfill_max_active: how many runs of a parallel backfill are active at the same time, unless the request
            specifies a number.
        sync_max_removed: the largest share of the CODE workflows that a sync removes without permission in the request.
        fresh_for: how long after a pass of the worker reads are answered from the mirror, without polling Airflow.
        keep_keys: how long an idempotency key and its response are kept at least.
        lease: how long a lease is valid without renewal.
        resend_after: how long after a run was sent no other process sends it again; longer than any request to Airflow
            may take.
        compare_every: interval between two full comparisons of the three systems; 0 disables them.
        longest_wait: the longest time that one request waits for a change of a run.
        in_flight_limit: how long after it was sent a request to Airflow may still take effect; no request takes longer.
        pause_margin: how long before the next fire time a draining pause is applied in Airflow although runs are
            active. It covers several passes of the worker and one request that takes its full time, so that the
            schedule does not fire.
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
    in_flight_limit: timedelta = timedelta(seconds=45)
    pause_margin: timedelta = timedelta(seconds=20)
