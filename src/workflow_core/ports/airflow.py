"""The engine. Few calls, each repeatable: what was asked twice happens once."""

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

    ``spec_hash`` is that of the spec it was built from, ``error`` says why no real DAG could be built from it (None: it could).
    Both are None for DAGs that are not ours.
    """

    dag_id: str
    is_paused: bool
    spec_hash: str | None = None
    error: str | None = None
    next_run: datetime | None = None


@frozen(kw_only=True)
class ListedDag:
    """What the list of DAGs says of one. It may be ahead of the definition that is served by some seconds."""

    dag_id: str
    is_paused: bool
    has_import_errors: bool = False
    next_run: datetime | None = None


@frozen(kw_only=True)
class DagPage:
    """A page of the DAGs that Airflow serves; ``total`` is how many there are in all."""

    dags: Sequence[ListedDag]
    total: int


class ComponentState(StrEnum):
    """The health of one part of Airflow, in its own words."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class BreakerState(StrEnum):
    """The state of a circuit breaker, in the words of the pattern."""

    CLOSED = "closed"
    """Calls are let through."""
    OPEN = "open"
    """Calls are refused: too many of the last ones failed, or were slow."""
    HALF_OPEN = "half_open"
    """A few calls are let through, to see whether it is over."""


class EndState(StrEnum):
    """What a run can be made to end as, in Airflow's own words."""

    SUCCESS = "success"
    FAILED = "failed"


@frozen(kw_only=True)
class ChangedRuns:
    """Runs that changed, each once, in no certain order; ``until`` is the moment to ask from next time."""

    runs: Sequence[AirflowRun]
    until: datetime


@runtime_checkable
class AirflowPort(Protocol):
    """What we ask of Airflow.

    Any method may raise :class:`~workflow_core.errors.AirflowUnavailable`: Airflow cannot be reached, does not let us in, or
    answers nonsense, and for a change, certainly nothing was done. :class:`~workflow_core.errors.AirflowOutcomeUnknown` comes only
    from methods that change something: the request was sent and no usable answer came; repeating it is safe. Every call ends
    within its configured time.
    """

    def ping(self) -> None:
        """Return if Airflow's API answers and lets us in. Cheap: called before every promise."""
        ...

    def health(self) -> Mapping[str, ComponentState]:
        """Each part of Airflow (``metadatabase``, ``scheduler``, ``dag_processor``, ``triggerer``) that is installed, with its state."""
        ...

    def dag(self, dag_id: str) -> ServedDag | None:
        """The DAG as it is served now; None if Airflow does not serve it (never parsed, or stale)."""
        ...

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        """Up to ``limit`` (100 at most) of the DAGs that Airflow serves, ours and others', by id, after the first ``offset``. One
        request, whatever there is.
        """
        ...

    def request_parse(self, sentinel_dag_id: str) -> None:
        """Ask Airflow to parse, now, the file that this sentinel DAG comes from. Already asked for: nothing to do.

        Raises:
            LoaderNotInstalled: Airflow does not know the sentinel.
        """
        ...

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause a DAG; no change if it is so already.

        While a DAG is paused, its schedule fires nothing and Airflow starts no task of it: tasks that have started end, the next ones of
        their runs wait, and a queued run stays queued. A run with no task left to start ends. Unpausing lets all of them go on.

        Raises:
            DagNotFound: Airflow does not serve it.
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
        """Start a run under this id, or return the run that already has it: the id makes a repeat harmless.

        With a ``logical_date`` the data interval is empty at that date. Without one the run has neither; on Airflow 2.11, where every
        run has both, they are what Airflow makes of the moment of the trigger. There, too, a run waits for a logical date in the future.

        Raises:
            DagNotFound: Airflow does not serve the DAG (yet).
            LogicalDateTaken: another run of the DAG has this logical date.
            AirflowRefused: Airflow will not take this run at all (a run id or parameter that it rejects).
        """
        ...

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        """Put a run into this end state, and answer it as it is then; None if Airflow has no such run.

        With ``FAILED`` Airflow ends its tasks: those that run become failed, those still to come skipped, the others stay as they
        are. With ``SUCCESS`` none is left unfinished either; what becomes of each depends on Airflow's version. A run with
        teardown tasks still to come goes on until they have ended, and the answer says so; on Airflow 2.11, so does a run whose DAG
        is no longer served.

        Airflow does as told for a run that has ended, too: look before. And look afterwards, until all tasks have ended: a task that
        is just starting can write the run's earlier state back (2.11: in half of such cases), and the run then ends as Airflow counts
        its tasks, which can be ``success``.
        """
        ...

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """Have these tasks of a run (None: all of them) run again, and the run with them: it is queued or running from then on, until
        it ends at another moment than before. Tasks that are left out keep their results. Answers whether Airflow has such a run.

        No repeat is harmless: tasks that run already are begun anew. Look before.

        Raises:
            DagNotFound: Airflow does not serve the DAG. A version that remembers the DAG of the run may do without.
            AirflowRefused: none of these tasks can run again.
        """
        ...

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        """The run, or None if Airflow has none of this id."""
        ...

    def tasks(self, runs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[TaskState]]:
        """The task instances of each of these runs, given as pairs of DAG id and run id; runs that are
        unknown or have none are left out.

        One request for all of them where they fit into one page; tasks are ordered by start, then by id.
        """
        ...

    def runs_with_ended_tasks(self, runs: Sequence[tuple[str, str]], since: datetime) -> Collection[tuple[str, str]]:
        """Those of these runs, given as pairs of DAG id and run id, of which a task ended at or after ``since`` by Airflow's clock.

        One request for all of them where the tasks fit into one page.
        """
        ...

    def runs_under_way(self, dag_id: str) -> int:
        """How many runs of the DAG are queued or running, whoever started them; 0 for a DAG that Airflow does not have. One request."""
        ...

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        """Runs of any DAG that changed at or after ``since`` by Airflow's clock, at most ``limit`` of them (more only where more
        changed at one and the same moment). That only tasks of a run changed need not be told.

        A run may be told again; none is left out as long as ``since`` is the last answer's ``until``.
        """
        ...

    def logs_url(self, dag_id: str, run_id: str) -> str:
        """The page in Airflow's own UI that shows the run and its logs. No request is made."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """An :class:`AirflowPort` that asks no more while Airflow is known not to answer: it then raises at once."""

    def breaker_state(self) -> BreakerState:
        """The state of its circuit breaker. No request is made."""
        ...
