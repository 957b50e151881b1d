"""Tests of the circuit breaker against the states and transitions of Resilience4j (count-based window) and a simple
model.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from workflow_adapters.airflow.breaker import BreakerCounts, BreakerRules, CircuitBreaker, CircuitOpen, Outcome
from workflow_core.ports.airflow import BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
RULES = BreakerRules(
    window=10, minimum=4, failure_rate=0.5, slow_seconds=5.0, slow_rate=0.75, open_seconds=10.0, probes=3
)


class Clock:
    """A manual clock in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def play(breaker: CircuitBreaker, clock: Clock, steps: str) -> str:
    """Perform the steps; the result has a letter for each: the state after it, or ``x`` for a rejected call.

    ``s`` a success, ``f`` a failure, ``S`` and ``F`` slow ones, ``n`` a call without a verdict, ``+`` ten seconds, ``-`` almost ten;
    ``(`` begins a call, and ``)`` and ``]`` end the oldest one as a success and as a failure.
    """
    calls = []
    states = ""
    for step in steps:
        refused = False
        try:
            if step in "+-":
                clock.now += 10 if step == "+" else 9.99
            elif step == "(":
                calls.append(breaker.enter())
            elif step in ")]":
                breaker.leave(calls.pop(0), Outcome.SUCCESS if step == ")" else Outcome.FAILURE)
            else:
                outcome = {"s": Outcome.SUCCESS, "f": Outcome.FAILURE, "n": Outcome.NOTHING}[step.lower()]
                breaker.leave(breaker.enter(), outcome, 5.0 if step.isupper() else 4.99)
        except CircuitOpen:
            refused = True
        states += "x" if refused else {CLOSED: "c", OPEN: "o", HALF_OPEN: "h"}[breaker.state]
    return states


TABLE = {
    "closed, below the minimum: stays": ("fff", "ccc"),
    "closed, minimum reached, failures at the threshold: opens": ("ssff", "ccco"),
    "closed, minimum reached, failures below the threshold: stays": ("sssf", "cccc"),
    "closed, a success can complete the minimum: opens": ("fffs", "ccco"),
    "closed, slow calls at the threshold: opens": ("sSSS", "ccco"),
    "closed, slow calls below the threshold: stays": ("ssSS", "cccc"),
    "closed, a slow failure is both: opens": ("SSsF", "ccco"),
    "closed, calls that say nothing do not count: stays": ("fffnnn", "cccccc"),
    "closed, what left the window does not count: opens": ("s" * 20 + "fffff", "c" * 20 + "cccco"),
    "open, before its time: refuses": ("ffff-s", "cccoox"),
    "open, its time over: stays until a call comes": ("ffff+", "cccoo"),
    "open, its time over, a call comes: half-open": ("ffff+s", "cccooh"),
    "half-open, all probes good: closes": ("ffff+sss", "cccoohhc"),
    "half-open, failures below the threshold: closes": ("ffff+sfs", "cccoohhc"),
    "half-open, failures at the threshold: opens": ("ffff+sff", "cccoohho"),
    "half-open, one failure does not decide: waits for all probes": ("ffff+f", "cccooh"),
    "half-open, slow probes at the threshold: opens": ("ffff+SSS", "cccoohho"),
    "half-open, slow probes below the threshold: closes": ("ffff+SSs", "cccoohhc"),
    "half-open, enough probes under way: refuses": ("ffff+((((", "cccoohhhx"),
    "half-open, a probe that says nothing gives its place back": ("ffff+((ns", "cccoohhhh"),
    "half-open, opened again: waits its whole time": ("ffff+fff-s+s", "cccoohhooxoh"),
    "closed again: nothing is remembered": ("ffff+sssfff", "cccoohhcccc"),
    "a call of the closed state ends while open: does not count": ("(ffff)s", "ccccoox"),
    "a call of the closed state fails while half-open: is no probe": ("((((ffff+s]]]ss", "cccccccooh" + "hhhhc"),
    "a call of the closed state fails when it is closed again: does not count": ("(ffff+sss]fff", "ccccoohhccccc"),
}


@pytest.mark.parametrize(("steps", "states"), TABLE.values(), ids=TABLE)
def test_state_transitions(steps, states):
    """Each row lists the state of the breaker after each step."""
    clock = Clock()
    assert play(CircuitBreaker(RULES, clock=clock), clock, steps) == states


def test_each_transition_is_reported_once_and_counted():
    """Listeners get each transition in order; the counters include rejected calls."""
    clock, heard = Clock(), []
    breaker = CircuitBreaker(RULES, clock=clock, on_change=lambda before, after: heard.append((before, after)))
    play(breaker, clock, "sffFs+sss")
    assert heard == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]
    assert breaker.counts() == BreakerCounts(successes=4, failures=3, slow=1, refused=1)


def test_a_rejection_contains_the_remaining_time():
    """The error contains the rest of the time for which the breaker stays open."""
    clock = Clock()
    breaker = CircuitBreaker(RULES, clock=clock)
    play(breaker, clock, "ffff")
    clock.now += 4
    with pytest.raises(CircuitOpen) as refused:
        breaker.enter()
    assert refused.value.seconds == 6


def test_concurrent_threads_get_at_most_the_probes():
    """The limit holds for any number of threads at the time when the breaker becomes half-open."""
    clock = Clock()
    breaker = CircuitBreaker(RULES, clock=clock)
    play(breaker, clock, "ffff+")
    line, let_in = Barrier(16), []

    def come() -> None:
        line.wait()
        with suppress(CircuitOpen):
            let_in.append(breaker.enter())

    threads = [Thread(target=come) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == RULES.probes


class BreakerMachine(RuleBasedStateMachine):
    """Any sequence of overlapping calls, compared with a simple model."""

    calls = Bundle("calls")

    @initialize(
        limits=st.builds(
            BreakerRules,
            window=st.integers(1, 6),
            minimum=st.integers(1, 8),
            failure_rate=st.sampled_from([0.01, 0.3, 0.5, 1.0]),
            slow_seconds=st.just(5.0),
            slow_rate=st.sampled_from([0.01, 0.5, 1.0]),
            open_seconds=st.just(10.0),
            probes=st.integers(1, 4),
        )
    )
    def begin(self, limits):
        self.limits, self.clock = limits, Clock()
        self.breaker = CircuitBreaker(limits, clock=self.clock)
        self.state, self.era, self.since = CLOSED, 0, 0.0
        self.results: list[tuple[bool, bool]] = []
        self.under_way = 0

    def become(self, state: BreakerState) -> None:
        self.state, self.era, self.since, self.results, self.under_way = state, self.era + 1, self.clock.now, [], 0

    @rule(target=calls)
    def enter(self):
        if self.state is OPEN and self.clock.now - self.since >= 10:
            self.become(HALF_OPEN)
        full = self.state is HALF_OPEN and self.under_way + len(self.results) >= self.limits.probes
        if self.state is OPEN or full:
            with pytest.raises(CircuitOpen):
                self.breaker.enter()
            return None
        self.under_way += 1
        return self.breaker.enter(), self.era

    @rule(call=consumes(calls), outcome=st.sampled_from(Outcome), seconds=st.sampled_from([0.0, 4.9, 5.0]))
    def leave(self, call, outcome, seconds):
        if call is None:
            return
        era, number = call
        self.breaker.leave(era, outcome, seconds)
        if number != self.era:
            return
        self.under_way -= 1
        if outcome is Outcome.NOTHING:
            return
        self.results.append((outcome is Outcome.FAILURE, seconds >= 5))
        judged = self.results if self.state is HALF_OPEN else self.results[-self.limits.window :]
        enough = self.limits.probes if self.state is HALF_OPEN else min(self.limits.minimum, self.limits.window)
        if len(judged) < enough:
            return
        failed, slow = (sum(column) / len(judged) for column in zip(*judged, strict=True))
        if failed >= self.limits.failure_rate or slow >= self.limits.slow_rate:
            self.become(OPEN)
        elif self.state is HALF_OPEN:
            self.become(CLOSED)

    @rule(seconds=st.sampled_from([1.0, 9.0, 10.0]))
    def wait(self, seconds):
        self.clock.now += seconds

    @invariant()
    def they_agree(self):
        if hasattr(self, "breaker"):
            assert self.breaker.state is self.state


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
