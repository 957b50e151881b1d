"""A circuit breaker in front of Airflow.

States and transitions are those of Resilience4j's CircuitBreaker with a count-based window;
``tests/unit/adapters/test_breaker.py`` has its table. One thing differs: the outcome of a call counts only in the
period that admitted it, so that a response that took ten seconds neither opens nor closes a breaker whose state has
changed since.
"""

from __future__ import annotations

import time
from collections import deque
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen
from attrs.validators import ge, gt, le

from workflow_core.ports.airflow import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable


class Outcome(StrEnum):
    """How the outcome of a call counts for the called system."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"
    """It was never made, or ended for a reason on our side: it does not count, and another probe may take its place."""


@frozen(kw_only=True)
class BreakerRules:
    """When a breaker opens and closes.

    Attributes:
        window: number of most recent calls that are judged.
        minimum: number of calls that are needed before they are judged.
        failure_rate: the breaker opens when the share of failures reaches this.
        slow_seconds: a call that takes this long, or longer, is slow.
        slow_rate: the breaker opens when the share of slow calls reaches this.
        open_seconds: seconds until an open breaker admits probes.
        probes: number of calls that are then admitted, and judged by the same two shares.
    """

    window: int = field(default=20, validator=ge(1))
    minimum: int = field(default=10, validator=ge(1))
    failure_rate: float = field(default=0.5, validator=[gt(0), le(1)])
    slow_seconds: float = field(default=5.0, validator=gt(0))
    slow_rate: float = field(default=0.8, validator=[gt(0), le(1)])
    open_seconds: float = field(default=10.0, validator=gt(0))
    probes: int = field(default=3, validator=ge(1))


class CircuitOpen(Exception):
    """The breaker is open, or enough probes are under way; a retry makes sense after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"refused for {seconds:g} s")
        self.seconds = seconds


@frozen
class BreakerPeriod:
    """A state from the moment it began; calls that another period admitted do not count in it."""

    state: BreakerState
    began: float


@define
class Window:
    """The most recent calls, and how many of them failed or were slow."""

    size: int
    calls: deque[tuple[bool, bool]] = field(factory=deque)
    failed: int = 0
    slow: int = 0

    def add(self, *, failed: bool, slow: bool) -> None:
        """Add a call, and drop the oldest if there are more than ``size``."""
        self.calls.append((failed, slow))
        self.failed += failed
        self.slow += slow
        if len(self.calls) > self.size:
            failed, slow = self.calls.popleft()
            self.failed -= failed
            self.slow -= slow

    def is_bad(self, rules: BreakerRules) -> bool:
        """Whether too many failed, or were slow."""
        count = len(self.calls)
        return self.failed / count >= rules.failure_rate or self.slow / count >= rules.slow_rate


@frozen(kw_only=True)
class BreakerCounts:
    """Calls since the start of the process."""

    successes: int = 0
    failures: int = 0
    slow: int = 0
    """Of the two above."""
    refused: int = 0


_SOON: Final = 1.0
"""Seconds after which to retry while probes are under way: their duration is unknown."""


class CircuitBreaker:
    """A breaker for many threads.

    Args:
        rules: when it opens and closes.
        clock: monotonic seconds.
        on_change: called after each change of state with the old and the new one, by the thread that caused it, outside
            of any lock. Its errors reach the caller of that thread.
    """

    def __init__(
        self,
        rules: BreakerRules | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState, BreakerState], None] | None = None,
    ) -> None:
        self._rules = rules or BreakerRules()
        self._clock = clock
        self._on_change = on_change
        self._lock = Lock()
        self._period = BreakerPeriod(BreakerState.CLOSED, clock())
        self._window = Window(self._rules.window)
        self._under_way = 0
        self._successes = self._failures = self._slow = self._refused = 0

    @property
    def state(self) -> BreakerState:
        """The state. An open one stays open until a call comes after its time."""
        return self._period.state

    def counts(self) -> BreakerCounts:
        """Return the number of calls by outcome."""
        with self._lock:
            return BreakerCounts(
                successes=self._successes, failures=self._failures, slow=self._slow, refused=self._refused
            )

    def enter(self) -> BreakerPeriod:
        """Admit a call; the caller has to :meth:`leave` with the returned period.

        Raises:
            CircuitOpen: it may not be made.
        """
        period = self._period
        if (
            period.state is BreakerState.CLOSED
        ):  # without the lock: a call that is overtaken by a change was admitted before it
            return period
        with self._lock:
            before = self._period
            if before.state is BreakerState.OPEN:
                left = before.began + self._rules.open_seconds - self._clock()
                if left > 0:
                    self._refused += 1
                    raise CircuitOpen(left)
                self._begin(BreakerState.HALF_OPEN)
            period = self._period
            if period.state is BreakerState.HALF_OPEN:
                if self._under_way + len(self._window.calls) >= self._rules.probes:
                    self._refused += 1
                    raise CircuitOpen(_SOON)
                self._under_way += 1
        self._notify(before, period)
        return period

    def leave(self, period: BreakerPeriod, outcome: Outcome, seconds: float = 0.0) -> None:
        """Record the outcome and the duration of an admitted call."""
        with self._lock:
            before = self._period
            slow = outcome is not Outcome.NOTHING and seconds >= self._rules.slow_seconds
            self._successes += outcome is Outcome.SUCCESS
            self._failures += outcome is Outcome.FAILURE
            self._slow += slow
            if period is not before:
                return
            half_open = period.state is BreakerState.HALF_OPEN
            self._under_way -= half_open
            if outcome is Outcome.NOTHING:
                return
            self._window.add(failed=outcome is Outcome.FAILURE, slow=slow)
            enough = self._rules.probes if half_open else min(self._rules.minimum, self._rules.window)
            if len(self._window.calls) >= enough:
                if self._window.is_bad(self._rules):
                    self._begin(BreakerState.OPEN)
                elif half_open:
                    self._begin(BreakerState.CLOSED)
            after = self._period
        self._notify(before, after)

    def _begin(self, state: BreakerState) -> None:
        self._period = BreakerPeriod(state, self._clock())
        self._window = Window(self._rules.probes if state is BreakerState.HALF_OPEN else self._rules.window)
        self._under_way = 0

    def _notify(self, before: BreakerPeriod, after: BreakerPeriod) -> None:
        if after is not before and self._on_change is not None:
            self._on_change(before.state, after.state)
