"""Tests of the guard in front of Airflow: retries, rejections, and the calls that count for the breaker."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx

from workflow_adapters.airflow import AirflowV2
from workflow_adapters.airflow.breaker import BreakerRules, CircuitBreaker
from workflow_adapters.airflow.bulkhead import Bulkhead, BulkheadFull
from workflow_adapters.airflow.guarded import AT_MOST_ONCE, CallBudget, GuardedAirflow, guard_airflow
from workflow_adapters.delegation import methods_of
from workflow_adapters.http.deadline import left
from workflow_core.errors import AirflowOutcomeUnknown, AirflowRefused, AirflowUnavailable, DagNotFound
from workflow_core.ports.airflow import AirflowPort, BreakerState, EndState, Guarded
from workflow_core.testing.airflow.outage import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

ONCE = {"end_run", "clear_run"}
"""What may do harm when it is done twice."""


class Script:
    """An Airflow whose calls perform the steps of a list: raise the error or return the value. The last step repeats."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            self.calls.append(name)
            step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
            if callable(step):
                step = step()
            if isinstance(step, Exception):
                raise step
            return step

        return call


def passing(**given: Any) -> AirflowUnavailable:
    return AirflowUnavailable("away", passing=True, **given)


def unknown() -> AirflowOutcomeUnknown:
    return AirflowOutcomeUnknown("lost", passing=True)


class Pauses(list[float]):
    """Records each pause and the upper limit of its random length."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[float] = []

    def jitter(self, low: float, high: float) -> float:
        assert low == 0
        self.limits.append(high)
        return high / 2


def guarded(
    airflow: Any, pauses: Pauses | None = None, breaker: CircuitBreaker | None = None, **share: Any
) -> GuardedAirflow:
    pauses = Pauses() if pauses is None else pauses
    given: dict[str, Any] = {"bulkhead": Bulkhead(4), "seconds": 15.0, **share}
    return guard_airflow(
        airflow, breaker or CircuitBreaker(), CallBudget(**given), sleep=pauses.append, jitter=pauses.jitter
    )


def test_the_guard_implements_both_ports() -> None:
    """It has each method of the port, and reports the state of its breaker."""
    port = guarded(Script(None))
    assert isinstance(port, AirflowPort)
    assert isinstance(port, Guarded)
    assert port.breaker_state() is BreakerState.CLOSED


# Retries.


def test_every_call_is_classified() -> None:
    """A new method of the port must be listed as safe to repeat, or it is called at most once."""
    repeated = {
        "ping", "health", "dag", "list_dags", "request_parse", "set_paused", "trigger", "run", "tasks", "runs_with_ended_tasks",
        "runs_under_way", "changed_runs",
    }  # fmt: skip
    assert AT_MOST_ONCE == ONCE
    assert methods_of(AirflowPort) == repeated | AT_MOST_ONCE | {"logs_url"}


@pytest.mark.parametrize("name", sorted(set(CALLS) - ONCE))
def test_safe_calls_are_retried(name: str) -> None:
    """Each of these calls is retried after transient failures, up to the number of attempts."""
    airflow = Script(passing(), passing(), "answer")
    CALLS[name](guarded(airflow))
    assert airflow.calls == [name] * 3


@pytest.mark.parametrize("name", sorted(ONCE))
@pytest.mark.parametrize("error", [passing(), unknown()], ids=["not done", "unknown"])
def test_unsafe_calls_are_never_retried(name: str, error: Exception) -> None:
    """Ending or clearing a run is sent once, for any outcome."""
    airflow = Script(error, "answer")
    with pytest.raises(type(error)):
        CALLS[name](guarded(airflow))
    assert airflow.calls == [name]


@pytest.mark.parametrize(
    "error",
    [
        AirflowUnavailable("no credentials"),
        AirflowOutcomeUnknown("timed out"),
        DagNotFound("a_b"),
        AirflowRefused("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_permanent_failures_are_not_retried(error: Exception) -> None:
    """A rejection, a failed login and a timeout are raised at once."""
    airflow = Script(error, "answer")
    with pytest.raises(type(error)):
        guarded(airflow).trigger("a_b", "run", conf={})
    assert len(airflow.calls) == 1


def test_the_number_of_attempts_is_limited() -> None:
    """After the last attempt the error is raised."""
    airflow = Script(passing())
    with pytest.raises(AirflowUnavailable, match="away"):
        guarded(airflow, attempts=4).ping()
    assert len(airflow.calls) == 4


def test_pauses_have_full_jitter_with_a_doubling_limit() -> None:
    """Pauses are random from zero to 0.1 s, 0.2 s, 0.4 s, … and at most one second."""
    pauses = Pauses()
    with pytest.raises(AirflowUnavailable):
        guarded(Script(passing()), pauses, attempts=7).ping()
    assert pauses.limits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pauses == [limit / 2 for limit in pauses.limits]


def test_a_pause_is_at_least_retry_after() -> None:
    """The random pause is added to ``Retry-After``, so that clients do not all return at the same time."""
    pauses = Pauses()
    guarded(Script(passing(retry_after=1.0), "answer"), pauses).ping()
    assert pauses == [1.05]


def test_a_long_retry_after_is_passed_to_the_caller() -> None:
    """No thread sleeps that long: the error contains the delay."""
    airflow = Script(passing(retry_after=7.0), "answer")
    with pytest.raises(AirflowUnavailable) as rejected:
        guarded(airflow).ping()
    assert rejected.value.retry_after == 7.0
    assert len(airflow.calls) == 1


def test_all_attempts_share_one_deadline() -> None:
    """A pause that would exceed the deadline is not started, and an attempt gets the remaining time."""
    seen: list[float] = []

    def step() -> AirflowUnavailable:
        seen.append(left() or 0.0)
        return passing(retry_after=0.5)

    airflow = Script(step)
    with pytest.raises(AirflowUnavailable):
        guarded(airflow, seconds=0.5).ping()
    assert len(airflow.calls) == 1
    assert 0 < seen[0] <= 0.5


def test_an_unknown_outcome_stays_unknown() -> None:
    """Only the later attempts certainly had no effect."""
    for later in (passing(), AirflowUnavailable("no"), DagNotFound("a_b")):
        with pytest.raises(AirflowOutcomeUnknown):
            guarded(Script(unknown(), later)).trigger("a_b", "run", conf={})


def test_an_open_breaker_ends_the_retries() -> None:
    """No attempt follows once the breaker has opened, so that the load on a failing Airflow is not multiplied."""
    airflow = Script(passing())
    breaker = CircuitBreaker(BreakerRules(window=2, minimum=2))
    with pytest.raises(AirflowUnavailable, match="circuit breaker"):
        guarded(airflow, breaker=breaker, attempts=10).ping()
    assert len(airflow.calls) == 2


def test_an_unknown_outcome_stays_unknown_when_the_breaker_opens() -> None:
    """The rejection of a later attempt does not reveal the outcome of the earlier one."""
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
    with pytest.raises(AirflowOutcomeUnknown):
        guarded(Script(unknown()), breaker=breaker).trigger("a_b", "run", conf={})


@respx.mock
@pytest.mark.parametrize(
    ("status", "attempts"), [(429, 3), (500, 3), (502, 3), (503, 3), (504, 3), (401, 1), (403, 1), (308, 1), (418, 1)]
)
def test_transient_responses_are_retried(status: int, attempts: int) -> None:
    """Rate limits and server failures are transient; a rejected login and a wrong address are not."""
    route = respx.get("http://airflow/api/v2/dags/a_b/dagRuns/run").respond(status)
    port = guarded(AirflowV2("http://airflow", username="u", password="p", headers={"Authorization": "Bearer x"}))
    with pytest.raises(AirflowUnavailable):
        port.run("a_b", "run")
    assert route.call_count == attempts


@respx.mock
@pytest.mark.parametrize(
    ("error", "attempts"), [(httpx.ConnectError, 3), (httpx.ConnectTimeout, 1), (httpx.ReadTimeout, 1)]
)
def test_transient_network_faults_are_retried(error: type[Exception], attempts: int) -> None:
    """A refused connection is transient; after a timeout the caller has waited long enough, and more load does not help
    a slow server.
    """
    route = respx.get("http://airflow/api/v2/dags/a_b/dagRuns/run").mock(side_effect=error)
    port = guarded(AirflowV2("http://airflow", username="u", password="p", headers={"Authorization": "Bearer x"}))
    with pytest.raises(AirflowUnavailable):
        port.run("a_b", "run")
    assert route.call_count == attempts


@respx.mock
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("soon", None), ("-3", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), (None, None)],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    """The header contains seconds or a date (RFC 9110); other values are ignored."""
    headers = {} if header is None else {"Retry-After": header}
    respx.get("http://airflow/api/v2/dags/a_b/dagRuns/run").respond(503, headers=headers)
    port = AirflowV2("http://airflow", username="u", password="p", headers={"Authorization": "Bearer x"})
    with pytest.raises(AirflowUnavailable) as rejected:
        port.run("a_b", "run")
    assert rejected.value.retry_after == seconds


# What counts for the breaker.


@pytest.mark.parametrize(
    ("step", "opens"),
    [
        (AirflowUnavailable("away"), True),
        (AirflowOutcomeUnknown("lost"), True),
        (DagNotFound("a_b"), False),
        (AirflowRefused("no"), False),
        (RuntimeError("a fault of ours"), False),
        ("answer", False),
    ],
    ids=repr,
)
def test_failures_of_airflow_open_the_breaker(step: Any, opens: bool) -> None:
    """A missing or unusable response is a failure; a rejection is not, and neither is an error in this project's code."""
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
    port = guarded(Script(step), breaker=breaker)
    with suppress(Exception):
        port.run("a_b", "run")
    assert (breaker.state is BreakerState.OPEN) is opens


def test_a_read_that_exceeds_its_short_limit_is_no_failure() -> None:
    """A call budget below Airflow's timeout does not open the breaker when it expires; other failures within it do."""

    def step() -> AirflowUnavailable:
        time.sleep(0.03)
        return AirflowUnavailable("no answer")

    for seconds, opens in ((0.02, False), (5.0, True)):
        breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
        with pytest.raises(AirflowUnavailable):
            guarded(Script(step), breaker=breaker, seconds=seconds, judges=False).run("a_b", "run")
        assert (breaker.state is BreakerState.OPEN) is opens


def test_an_open_breaker_reports_retry_after() -> None:
    """Airflow is not called, and the error contains the remaining time."""
    airflow = Script(AirflowUnavailable("away"))
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1, open_seconds=30.0))
    port = guarded(airflow, breaker=breaker)
    with pytest.raises(AirflowUnavailable):
        port.ping()
    with pytest.raises(AirflowUnavailable) as rejected:
        port.changed_runs(datetime.now(UTC))
    assert airflow.calls == ["ping"]
    assert 29 < (rejected.value.retry_after or 0) <= 30
    assert port.breaker_state() is BreakerState.OPEN


# The bulkhead.


def test_a_full_bulkhead_rejects_at_once() -> None:
    """The caller gets BulkheadFull, which is not a failure of Airflow."""
    inside, go_on = Event(), Event()

    def hold() -> str:
        inside.set()
        assert go_on.wait(10)
        return "answer"

    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
    port = guarded(Script(hold), breaker=breaker, bulkhead=Bulkhead(1))
    thread = Thread(target=port.ping)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(AirflowUnavailable, match="Too many"):
        port.ping()
    assert breaker.state is BreakerState.CLOSED
    go_on.set()
    thread.join()
    port.ping()


def test_the_queue_of_the_bulkhead_is_limited() -> None:
    """One call is active and one waits for the slot; the third is rejected without waiting."""
    bulkhead = Bulkhead(1, waiting=1, patience=10)
    got_it = Event()

    def wait() -> None:
        with bulkhead.place():
            got_it.set()

    thread = Thread(target=wait)
    with bulkhead.place():
        thread.start()
        while bulkhead._line._value > 0:
            time.sleep(0.001)
        began = time.monotonic()
        with pytest.raises(BulkheadFull), bulkhead.place():
            pass
        assert time.monotonic() - began < 1
        assert not got_it.is_set()
    thread.join(10)
    assert got_it.is_set()


def test_the_wait_for_a_slot_is_limited() -> None:
    """After its timeout a call is rejected, and others can wait in its place."""
    bulkhead = Bulkhead(1, waiting=1, patience=0.02)
    with bulkhead.place():
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(BulkheadFull), bulkhead.place():
                pass
            assert time.monotonic() - began >= 0.02


# The port again.


def test_calls_are_forwarded_unchanged() -> None:
    """All arguments are forwarded."""
    seen: dict[str, tuple[Any, Any]] = {}

    class Recorder:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            return lambda *args, **kwargs: seen.setdefault(name, (args, kwargs))

    port = guarded(Recorder())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    port.list_dags(7, limit=9)
    port.set_paused("d", paused=False)
    port.trigger("d", "r", conf={"a": 1}, logical_date=at)
    port.end_run("d", "r", EndState.SUCCESS)
    port.clear_run("d", "r", ["t"])
    port.changed_runs(at, limit=3)
    assert seen == {
        "list_dags": ((7,), {"limit": 9}),
        "set_paused": (("d",), {"paused": False}),
        "trigger": (("d", "r"), {"conf": {"a": 1}, "logical_date": at}),
        "end_run": (("d", "r", EndState.SUCCESS), {}),
        "clear_run": (("d", "r", ["t"]), {}),
        "changed_runs": ((at,), {"limit": 3}),
    }
