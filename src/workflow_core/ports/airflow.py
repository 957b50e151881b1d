"""The port for Airflow. Its calls are few and idempotent, except for clearing a run."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, TaskState


@frozen(kw_only=True)
class ServedDag:
    """A DAG as Airflow serves it.

    ``spec_hash`` is the hash of the spec from which the DAG was built. ``error`` is the reason why the spec could not be built, or None.
    Both are None for a DAG without the service's mark.
    """

    dag_id: str
    is_paused: bool
    spec_hash: str | None = None
    error: str | None = None
    next_run: datetime | None = None


@frozen(kw_only=True)
class ListedDag:
    """A DAG in Airflow's list. The entry may be some seconds ahead of the definition that Airflow serves."""

    dag_id: str
    is_paused: bool
    has_import_errors: bool = False
    next_run: datetime | None = None


@frozen(kw_only=True)
class DagPage:
    """A page of the DAGs that Airflow serves. ``total`` is the number of DAGs on all pages."""

    dags: Sequence[ListedDag]
    total: int


class ComponentState(StrEnum):
    """The health of one component of Airflow, in Airflow's words."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class BreakerState(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    """Calls pass."""
    OPEN = "open"
    """Calls are rejected, because too many recent calls failed or were slow."""
    HALF_OPEN = "half_open"
    """A few calls pass as probes."""


class EndState(StrEnum):
    """The state in which a caller can end a run, in Airflow's words."""

    SUCCESS = "success"
    FAILED = "failed"


@frozen(kw_only=True)
class ChangedRuns:
    """Changed runs, each once, in no particular order. ``until`` is the ``since`` of the next call."""

    runs: Sequence[AirflowRun]
    until: datetime


@runtime_checkable
class AirflowPort(Protocol):
    """The operations of Airflow that the service uses.

    Any method may raise :class:`~workflow_core.errors.AirflowUnavailable`: Airflow cannot be reached, rejects the credentials or
    sends an invalid response, and nothing was changed. Only methods that change something raise
    :class:`~workflow_core.errors.AirflowOutcomeUnknown`: the request was sent and no usable response arrived; repeating it is safe.
    Every call ends within its configured time.
    """

    def ping(self) -> None:
        """Return if Airflow's API responds and accepts the credentials. The call is cheap: it precedes every acceptance of a request."""
        ...

    def health(self) -> Mapping[str, ComponentState]:
        """The state of each installed component of Airflow: ``metadatabase``, ``scheduler``, ``dag_processor``, ``triggerer``."""
        ...

    def dag(self, dag_id: str) -> ServedDag | None:
        """The DAG that Airflow serves now; None if it was never parsed or is stale."""
        ...

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        """Up to ``limit`` (at most 100) of all DAGs that Airflow serves, by id, after the first ``offset``.

        The method makes one request.
        """
        ...

    def request_parse(self, sentinel_dag_id: str) -> None:
        """Request an immediate parse of the file that defines this sentinel DAG. A repeated request has no effect.

        Raises:
            LoaderNotInstalled: The sentinel is unknown to Airflow.
        """
        ...

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause a DAG. If it is in this state already, nothing changes.

        While a DAG is paused, its schedule starts no run and Airflow starts none of its tasks. Tasks that have started run to their
        end, the later tasks of their runs wait, and a queued run stays queued. A run without a task left to start ends. After the
        unpause all of them continue.

        Raises:
            DagNotFound: Airflow does not serve the DAG.
        """
        ...

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        """Start a run with this id, or return the existing run with it, so that a repeat is harmless.

        With a ``logical_date`` the data interval is empty and lies at that date. Without one the run has neither. On Airflow 2.11 every
        run has both: Airflow derives them from the time of the trigger, and a run waits for a logical date in the future.

        Raises:
            DagNotFound: Airflow does not serve the DAG (yet).
            LogicalDateTaken: Another run of the DAG has this logical date.
            AirflowRefused: Airflow rejects the run id or a parameter.
        """
        ...

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        """Set a run to this end state and return it; None if the run is unknown to Airflow.

        With ``FAILED`` Airflow ends the tasks: running tasks become failed, tasks that have not started become skipped, and ended
        tasks are unchanged. With ``SUCCESS`` no task is left unfinished either; the state of each depends on Airflow's version.
        A run with pending teardown tasks continues until they have ended, and the returned run is still active; on Airflow 2.11 the
        same holds for a run whose DAG is no longer served.

        Airflow also changes the state of a run that has ended: poll the run before the call. Poll it again afterwards until all tasks
        have ended: a task that is about to start can write back the run's earlier state (2.11: in half of such cases). The run then
        ends in the state that Airflow derives from its tasks, which can be ``success``.
        """
        ...

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """Clear these tasks of a run (None: all tasks), so that they run again. Return whether Airflow has the run.

        The run is then queued or running until it ends at a different time than before. Other tasks keep their results.

        A repeat is not harmless: it restarts tasks that are running. Poll the run before the call.

        Raises:
            DagNotFound: Airflow does not serve the DAG. A version that stores the DAG with the run need not raise this.
            AirflowRefused: None of these tasks can run again.
        """
        ...

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        """The run with this id, or None if it is unknown to Airflow."""
        ...

    def tasks(self, runs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[TaskState]]:
        """The task instances of each of these runs, given as pairs of DAG id and run id.

        Runs that are unknown or have no task instances are left out. Task instances are ordered by start, then by id. If all of them
        fit into one page, the method makes one request.
        """
        ...

    def runs_with_ended_tasks(self, runs: Sequence[tuple[str, str]], since: datetime) -> Collection[tuple[str, str]]:
        """The runs, out of these pairs of DAG id and run id, with a task that ended at or after ``since`` by Airflow's clock.

        If the tasks fit into one page, the method makes one request.
        """
        ...

    def runs_under_way(self, dag_id: str) -> int:
        """The number of queued or running runs of the DAG, including those not started by the service.

        The number is 0 for a DAG that Airflow does not have. The method makes one request.
        """
        ...

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        """Runs of any DAG that changed at or after ``since`` by Airflow's clock.

        The method returns at most ``limit`` runs, and more only if they changed at the same moment. A change of a run's tasks alone
        need not be reported. A run may be reported again. No run is missed as long as ``since`` is the previous call's ``until``.
        """
        ...

    def logs_url(self, dag_id: str, run_id: str) -> str:
        """The URL of the page in Airflow's UI with the run and its logs. No request is made."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """An :class:`AirflowPort` with a circuit breaker: while Airflow does not respond, it raises without a request."""

    def breaker_state(self) -> BreakerState:
        """The state of the circuit breaker. No request is made."""
        ...
