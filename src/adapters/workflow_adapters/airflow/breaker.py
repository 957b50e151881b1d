"""A circuit breaker in front of Airflow.

States and transitions are those of Resilience4j's CircuitBreaker with a count-based window; ``tests/unit/adapters/test_breaker.py`` has
its table. One thing differs: the outcome of a call counts only in the period that admitted it, so that a response that took ten seconds
neither opens nor closes a breaker whose state has changed since.
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
    """What a call says of the one who was called."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"
    """It was never made, or ended for reasons of our own: it does not count, and another probe may take its place."""


@frozen(kw_only=True)
class BreakerRules:
    """When a breaker opens and closes.

    ``window``: so many of the last calls are judged, once there are ``minimum`` of them. It opens when the share of failures among them is
    ``failure_rate`` or more, or the share of calls that took ``slow_seconds`` or longer is ``slow_rate`` or more. After ``open_seconds``
    up to ``probes`` calls are let through and judged by the same two shares.
    """

    window: int = field(default=20, validator=ge(1))
    minimum: int = field(default=10, validator=ge(1))
    failure_rate: float = field(default=0.5, validator=[gt(0), le(1)])
    slow_seconds: float = field(default=5.0, validator=gt(0))
    slow_rate: float = field(default=0.8, validator=[gt(0), le(1)])
    open_seconds: float = field(default=10.0, validator=gt(0))
    probes: int = field(default=3, validator=ge(1))


class CircuitOpen(Exception):
    """The breaker is open, or enough probes are under way; ``seconds`` until it makes sense to ask again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"refused for {seconds:g} s")
        self.seconds = seconds


@frozen
class BreakerPeriod:
    """A state from the moment it began; calls that were let in during another one are not counted in it."""

    state: BreakerState
    began: float


@define
class Window:
    """The last calls, and how many of them failed and were slow."""

    size: int
    calls: deque[tuple[bool, bool]] = field(factory=deque)
    failed: int = 0
    slow: int = 0

    def add(self, *, failed: bool, slow: bool) -> None:
        """Count one more call, and forget the oldest if there are more than ``size``."""
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
    """What a breaker has seen since the start of the process."""

    successes: int = 0
    failures: int = 0
    slow: int = 0
    """Of the two above."""
    refused: int = 0


_SOON: Final = 1.0
"""Seconds after which to ask again while probes are under way: how long they take nobody knows."""


class CircuitBreaker:
    """A breaker for many threads.

    Args:
        rules: when it opens and closes.
        clock: seconds that never go back.
        on_change: called after each change of state with the one before and the one since, by the thread that brought it about,
            outside of any lock. What it raises goes to that thread's caller.
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
        self._era = BreakerPeriod(BreakerState.CLOSED, clock())
        self._window = Window(self._rules.window)
        self._under_way = 0
        self._successes = self._failures = self._slow = self._refused = 0

    @property
    def state(self) -> BreakerState:
        """The state. An open one stays open until a call comes after its time."""
        return self._era.state

    def counts(self) -> BreakerCounts:
        """What it has seen until now."""
        with self._lock:
            return BreakerCounts(
                successes=self._successes, failures=self._failures, slow=self._slow, refused=self._refused
            )

    def enter(self) -> BreakerPeriod:
        """Let a call in; whoever made it has to :meth:`leave` with what this returned.

        Raises:
            Refused: it may not be made.
        """
        era = self._era
        if era.state is BreakerState.CLOSED:  # without the lock: a call that a change overtakes was let in before it
            return era
        with self._lock:
            before = self._era
            if before.state is BreakerState.OPEN:
                left = before.began + self._rules.open_seconds - self._clock()
                if left > 0:
                    self._refused += 1
                    raise CircuitOpen(left)
                self._begin(BreakerState.HALF_OPEN)
            era = self._era
            if era.state is BreakerState.HALF_OPEN:
                if self._under_way + len(self._window.calls) >= self._rules.probes:
                    self._refused += 1
                    raise CircuitOpen(_SOON)
                self._under_way += 1
        self._tell(before, era)
        return era

    def leave(self, era: BreakerPeriod, outcome: Outcome, seconds: float = 0.0) -> None:
        """A call that was let in has ended after so many seconds."""
        with self._lock:
            before = self._era
            slow = outcome is not Outcome.NOTHING and seconds >= self._rules.slow_seconds
            self._successes += outcome is Outcome.SUCCESS
            self._failures += outcome is Outcome.FAILURE
            self._slow += slow
            if era is not before:
                return
            half_open = era.state is BreakerState.HALF_OPEN
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
            after = self._era
        self._tell(before, after)

    def _begin(self, state: BreakerState) -> None:
        self._era = BreakerPeriod(state, self._clock())
        self._window = Window(self._rules.probes if state is BreakerState.HALF_OPEN else self._rules.window)
        self._under_way = 0

    def _tell(self, before: BreakerPeriod, after: BreakerPeriod) -> None:
        if after is not before and self._on_change is not None:
            self._on_change(before.state, after.state)
