"""``AirflowPort`` with a circuit breaker, a bulkhead and retries around whatever really asks Airflow.

A call passes them in this order: a time limit for all that follows; again for each attempt, the breaker, which refuses at once while
Airflow is known not to answer, and the bulkhead, which keeps the threads of this process from all waiting for a slow Airflow.
"""

from __future__ import annotations

import logging
import random
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from attrs import frozen

from workflow_adapters.airflow.breaker import CircuitBreaker, CircuitOpen, Outcome
from workflow_adapters.airflow.bulkhead import Bulkhead, BulkheadFull
from workflow_adapters.http.deadline import left, time_limit
from workflow_core.errors import AirflowOutcomeUnknown, AirflowUnavailable, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import (
        AirflowPort,
        BreakerState,
        ChangedRuns,
        ComponentState,
        DagPage,
        EndState,
        ServedDag,
    )

P = ParamSpec("P")
T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
"""Seconds before a second attempt at most; each further pause may be twice as long."""

LONGEST_PAUSE: Final = 1.0
"""Seconds. Whoever asks for a longer one gets it from our caller, who is told so: no thread sleeps that long."""

_EDGE: Final = 0.01
"""Seconds before the end of its time in which a call that failed has run out of it."""

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class CallBudget:
    """What one kind of caller may take of Airflow.

    ``seconds`` is for a whole call, all its attempts included. ``attempts`` is how often one is made that may be repeated. ``judges``:
    whether a call that ran out of these seconds is a failure of Airflow; not if they are much fewer than Airflow may take.
    """

    bulkhead: Bulkhead
    seconds: float
    attempts: int = 3
    judges: bool = True


class GuardedAirflow:
    """:class:`~workflow_core.ports.airflow.AirflowPort` and :class:`~workflow_core.ports.airflow.Guarded`; threads may share it.

    Reads, and changes that do no harm when they are made twice, are repeated where Airflow failed in a way that may pass. The pauses
    are random, between nothing and a limit that doubles (full jitter), and no shorter than Airflow asked for (``Retry-After``). Every
    attempt passes the breaker: an open one ends the repeating.

    Args:
        airflow: the adapter that asks.
        breaker: shared by all that ask the same Airflow.
        share: what these callers may take.
        sleep: how to wait for some seconds.
        jitter: a random number between two.
    """

    def __init__(
        self,
        airflow: AirflowPort,
        breaker: CircuitBreaker,
        share: CallBudget,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._airflow = airflow
        self._breaker = breaker
        self._share = share
        self._sleep = sleep
        self._jitter = jitter

    def breaker_state(self) -> BreakerState:
        """As :class:`~workflow_core.ports.airflow.Guarded` says."""
        return self._breaker.state

    def _once(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One attempt."""
        try:
            era = self._breaker.enter()
        except CircuitOpen as refused:
            msg = (
                f"Airflow has not answered well lately; it is asked again in {refused.seconds:.0f} s (circuit breaker)."
            )
            raise AirflowUnavailable(msg, retry_after=refused.seconds) from None
        outcome, began = Outcome.NOTHING, time.monotonic()
        try:
            with self._share.bulkhead.place():
                began = time.monotonic()
                answer = call(*args, **kwargs)
            outcome = Outcome.SUCCESS
        except BulkheadFull:
            raise AirflowUnavailable("Too many requests wait for Airflow.", retry_after=LONGEST_PAUSE) from None
        except (AirflowUnavailable, AirflowOutcomeUnknown):
            outcome = Outcome.FAILURE if self._share.judges or (left() or 0.0) > _EDGE else Outcome.NOTHING
            raise
        except WorkflowError:  # Airflow has answered, and said no
            outcome = Outcome.SUCCESS
            raise
        finally:
            self._breaker.leave(era, outcome, time.monotonic() - began)
        return answer

    def _change(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What is done at most once."""
        with time_limit(self._share.seconds):
            return self._once(call, *args, **kwargs)

    def _ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What may be done more than once.

        An attempt of which nobody knows what came of it stays unknown, whatever a later one says: that nothing was done is certain
        of the later one only.
        """
        unknown: AirflowOutcomeUnknown | None = None
        with time_limit(self._share.seconds):
            for attempt in count(1):
                try:
                    return self._once(call, *args, **kwargs)
                except (AirflowUnavailable, AirflowOutcomeUnknown) as error:
                    if isinstance(error, AirflowOutcomeUnknown):
                        unknown = error
                    if attempt >= self._share.attempts or not self._paused(attempt, error):
                        raise unknown or error from None
                    _log.info("attempt %d: %s", attempt, error.message)
                except WorkflowError:
                    if unknown is not None:
                        raise unknown from None
                    raise
        raise AssertionError

    def _paused(self, attempt: int, error: AirflowUnavailable | AirflowOutcomeUnknown) -> bool:
        """Wait before the next attempt; False if there had better be none."""
        if not error.passing:
            return False
        asked_for = error.retry_after or 0.0
        pause = asked_for + self._jitter(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))
        if asked_for > LONGEST_PAUSE or pause >= (left() or 0.0):
            return False
        self._sleep(pause)
        return True

    def close(self) -> None:
        """Close the connections to Airflow."""
        close = getattr(self._airflow, "close", None)
        if close is not None:
            close()

    def ping(self) -> None:
        self._ask(self._airflow.ping)

    def health(self) -> Mapping[str, ComponentState]:
        return self._ask(self._airflow.health)

    def dag(self, dag_id: str) -> ServedDag | None:
        return self._ask(self._airflow.dag, dag_id)

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        return self._ask(self._airflow.list_dags, offset, limit=limit)

    def request_parse(self, sentinel_dag_id: str) -> None:
        """As the port says. Asked twice, a file is parsed as if asked once."""
        self._ask(self._airflow.request_parse, sentinel_dag_id)

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        self._ask(self._airflow.set_paused, dag_id, paused=paused)

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        """As the port says. The run id makes a repeat harmless."""
        return self._ask(self._airflow.trigger, dag_id, run_id, conf=conf, logical_date=logical_date)

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        """As the port says. Never repeated: the run may have ended meanwhile."""
        return self._change(self._airflow.end_run, dag_id, run_id, state)

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """As the port says. Never repeated: tasks may run already."""
        return self._change(self._airflow.clear_run, dag_id, run_id, task_ids)

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        return self._ask(self._airflow.run, dag_id, run_id)

    def tasks(self, runs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[TaskState]]:
        return self._ask(self._airflow.tasks, runs)

    def runs_with_ended_tasks(self, runs: Sequence[tuple[str, str]], since: datetime) -> Collection[tuple[str, str]]:
        return self._ask(self._airflow.runs_with_ended_tasks, runs, since)

    def runs_under_way(self, dag_id: str) -> int:
        return self._ask(self._airflow.runs_under_way, dag_id)

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        return self._ask(self._airflow.changed_runs, since, limit=limit)

    def logs_url(self, dag_id: str, run_id: str) -> str:
        return self._airflow.logs_url(dag_id, run_id)
