"""``AirflowPort`` behind a circuit breaker, a bulkhead and retries.

A call passes them in this order: a time limit for everything that follows; then, for each attempt, the breaker, which
refuses at once while Airflow is known to be failing, and the bulkhead, which keeps a slow Airflow from occupying every
thread of this process.
"""

from __future__ import annotations

import logging
import random
import time
from itertools import count
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

from workflow_adapters.airflow.auto import ClosableAirflow
from workflow_adapters.airflow.breaker import CircuitBreaker, CircuitOpen, Outcome
from workflow_adapters.airflow.bulkhead import Bulkhead, BulkheadFull
from workflow_adapters.delegation import delegating
from workflow_adapters.http.deadline import left, time_limit
from workflow_core.errors import AirflowOutcomeUnknown, AirflowUnavailable, WorkflowError
from workflow_core.ports.airflow import Guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.ports.airflow import AirflowPort, BreakerState

    Request = Callable[[AirflowPort], Any]

AT_MOST_ONCE: Final = frozenset({"end_run", "clear_run"})
"""Methods that are never repeated: in the meantime the run may have ended, or its tasks may already run again.

All others read, or change something in a way that a repeat does not harm: :meth:`~AirflowPort.trigger` carries the run
id, and a file that is to be parsed twice is parsed once.
"""

FIRST_PAUSE: Final = 0.1
"""Upper limit of the pause before the second attempt, in seconds; the limit doubles with each further attempt."""

LONGEST_PAUSE: Final = 1.0
"""Seconds. If Airflow asks for a longer pause, the error passes that on to the caller: no thread sleeps for longer than
this.
"""

_EDGE: Final = 0.01
"""A call that fails this many seconds before its limit, or later, has run out of time."""

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class CallBudget:
    """What one kind of caller may use of Airflow.

    Attributes:
        bulkhead: limits the calls under way.
        seconds: the limit for a whole call, all its attempts included.
        attempts: how often a call is made that may be repeated.
        judges: whether a call that ran out of ``seconds`` counts as a failure of Airflow. Not if they are far fewer
            than Airflow may take.
    """

    bulkhead: Bulkhead
    seconds: float
    attempts: int = 3
    judges: bool = True


class GuardedAirflow(ClosableAirflow, Guarded, Protocol):
    """An Airflow behind a guard."""


def guard_airflow(
    airflow: AirflowPort,
    breaker: CircuitBreaker,
    budget: CallBudget,
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[float, float], float] = random.uniform,
) -> GuardedAirflow:
    """Put a guard in front of an Airflow; threads may share it.

    Reads, and changes that a repeat does not harm, are repeated where Airflow failed in a way that may pass. The pauses
    are random, between nothing and a limit that doubles (full jitter), and no shorter than Airflow asks for
    (``Retry-After``). Every attempt passes the breaker: an open one ends the retries.

    Args:
        airflow: the adapter to call.
        breaker: shared by all guards of the same Airflow.
        budget: what these callers may use.
        sleep: waits for some seconds.
        jitter: returns a random number between two.
    """
    guard = Guard(airflow, breaker, budget, sleep=sleep, jitter=jitter)
    return delegating(
        GuardedAirflow,
        guard.call,
        breaker_state=guard.breaker_state,
        close=guard.close,
        logs_url=airflow.logs_url,
    )


class Guard:
    """Makes the calls of :func:`guard_airflow`."""

    def __init__(
        self,
        airflow: AirflowPort,
        breaker: CircuitBreaker,
        budget: CallBudget,
        *,
        sleep: Callable[[float], None],
        jitter: Callable[[float, float], float],
    ) -> None:
        self.airflow = airflow
        self.breaker = breaker
        self.budget = budget
        self._sleep = sleep
        self._jitter = jitter

    def breaker_state(self) -> BreakerState:
        """The state of the breaker. No request is made."""
        return self.breaker.state

    def close(self) -> None:
        """Close the connections to Airflow."""
        close = getattr(self.airflow, "close", None)
        if close is not None:
            close()

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the port, within the time of the budget."""
        request = methodcaller(name, *args, **kwargs)
        with time_limit(self.budget.seconds):
            return self._attempt(request) if name in AT_MOST_ONCE else self._repeat(request)

    def _attempt(self, request: Request) -> Any:
        try:
            period = self.breaker.enter()
        except CircuitOpen as error:
            msg = f"Airflow has been failing; it is called again in {error.seconds:.0f} s (circuit breaker)."
            raise AirflowUnavailable(msg, retry_after=error.seconds) from None
        outcome, began = Outcome.NOTHING, time.monotonic()
        try:
            with self.budget.bulkhead.place():
                began = time.monotonic()
                answer = request(self.airflow)
            outcome = Outcome.SUCCESS
        except BulkheadFull:
            raise AirflowUnavailable("Too many requests wait for Airflow.", retry_after=LONGEST_PAUSE) from None
        except (AirflowUnavailable, AirflowOutcomeUnknown):
            outcome = Outcome.FAILURE if self.budget.judges or (left() or 0.0) > _EDGE else Outcome.NOTHING
            raise
        except WorkflowError:  # Airflow has answered with a refusal
            outcome = Outcome.SUCCESS
            raise
        finally:
            self.breaker.leave(period, outcome, time.monotonic() - began)
        return answer

    def _repeat(self, request: Request) -> Any:
        """Make up to ``attempts`` attempts.

        If the outcome of one is unknown, the outcome of the call stays unknown, regardless of what a later attempt reports: that
        nothing was done is certain of the later one only.
        """
        unknown: AirflowOutcomeUnknown | None = None
        for attempt in count(1):
            try:
                return self._attempt(request)
            except (AirflowUnavailable, AirflowOutcomeUnknown) as error:
                if isinstance(error, AirflowOutcomeUnknown):
                    unknown = error
                if attempt >= self.budget.attempts or not self._paused(attempt, error):
                    raise unknown or error from None
                _log.info("attempt %d: %s", attempt, error.message)
            except WorkflowError:
                if unknown is not None:
                    raise unknown from None
                raise
        raise AssertionError

    def _paused(self, attempt: int, error: AirflowUnavailable | AirflowOutcomeUnknown) -> bool:
        """Wait before the next attempt; False if another attempt makes no sense."""
        if not error.passing:
            return False
        requested = error.retry_after or 0.0
        pause = requested + self._jitter(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))
        if requested > LONGEST_PAUSE or pause >= (left() or 0.0):
            return False
        self._sleep(pause)
        return True
