"""The guard in front of Airflow: what is repeated, what is refused, and what counts."""

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
    """An Airflow whose every call does the next thing of a list: raise an error, or answer it. It goes on with the last one."""

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
    """Remembers how long somebody wanted to sleep, and what was the longest that chance could have made of it."""

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


def test_it_is_both_ports() -> None:
    """It has every method of the port, and tells the state of its breaker."""
    port = guarded(Script(None))
    assert isinstance(port, AirflowPort)
    assert isinstance(port, Guarded)
    assert port.breaker_state() is BreakerState.CLOSED


# Retries.


def test_every_call_is_classified() -> None:
    """A new method of the port is either listed here as harmless to repeat, or made at most once."""
    repeated = {
        "ping", "health", "dag", "list_dags", "request_parse", "set_paused", "trigger", "run", "tasks", "runs_with_ended_tasks",
        "runs_under_way", "changed_runs",
    }  # fmt: skip
    assert AT_MOST_ONCE == ONCE
    assert methods_of(AirflowPort) == repeated | AT_MOST_ONCE | {"logs_url"}


@pytest.mark.parametrize("name", sorted(set(CALLS) - ONCE))
def test_what_may_be_repeated_is_repeated(name: str) -> None:
    """Each of these calls is made again after a failure that may pass, as often as it takes, up to its attempts."""
    airflow = Script(passing(), passing(), "answer")
    CALLS[name](guarded(airflow))
    assert airflow.calls == [name] * 3


@pytest.mark.parametrize("name", sorted(ONCE))
@pytest.mark.parametrize("error", [passing(), unknown()], ids=["not done", "unknown"])
def test_what_may_do_harm_is_never_repeated(name: str, error: Exception) -> None:
    """To end a run, or to clear it, is asked for once, whatever comes back."""
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
def test_what_would_fail_again_is_not_repeated(error: Exception) -> None:
    """An answer that says no, a login that is refused, and a timeout are told at once."""
    airflow = Script(error, "answer")
    with pytest.raises(type(error)):
        guarded(airflow).trigger("a_b", "run", conf={})
    assert len(airflow.calls) == 1


def test_the_attempts_are_bounded() -> None:
    """After the last one the error is told."""
    airflow = Script(passing())
    with pytest.raises(AirflowUnavailable, match="away"):
        guarded(airflow, attempts=4).ping()
    assert len(airflow.calls) == 4


def test_pauses_are_random_up_to_a_limit_that_doubles() -> None:
    """Full jitter: from nothing to 0.1 s, 0.2 s, 0.4 s, … and never more than a second."""
    pauses = Pauses()
    with pytest.raises(AirflowUnavailable):
        guarded(Script(passing()), pauses, attempts=7).ping()
    assert pauses.limits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pauses == [limit / 2 for limit in pauses.limits]


def test_a_pause_is_no_shorter_than_airflow_asked_for() -> None:
    """``Retry-After`` comes on top of chance, so that not all come back at the same moment."""
    pauses = Pauses()
    guarded(Script(passing(retry_after=1.0), "answer"), pauses).ping()
    assert pauses == [1.05]


def test_who_is_asked_to_wait_for_long_tells_the_caller() -> None:
    """No thread sleeps that long: the error says when to come back."""
    airflow = Script(passing(retry_after=7.0), "answer")
    with pytest.raises(AirflowUnavailable) as told:
        guarded(airflow).ping()
    assert told.value.retry_after == 7.0
    assert len(airflow.calls) == 1


def test_all_attempts_share_one_time_limit() -> None:
    """A pause that would end after the time of the call is not begun, and an attempt sees what is left of it."""
    seen: list[float] = []

    def step() -> AirflowUnavailable:
        seen.append(left() or 0.0)
        return passing(retry_after=0.5)

    airflow = Script(step)
    with pytest.raises(AirflowUnavailable):
        guarded(airflow, seconds=0.5).ping()
    assert len(airflow.calls) == 1
    assert 0 < seen[0] <= 0.5


def test_what_is_unknown_stays_unknown() -> None:
    """That nothing was done is certain of the later attempts only."""
    for later in (passing(), AirflowUnavailable("no"), DagNotFound("a_b")):
        with pytest.raises(AirflowOutcomeUnknown):
            guarded(Script(unknown(), later)).trigger("a_b", "run", conf={})


def test_an_open_breaker_ends_the_repeating() -> None:
    """No attempt is made once it has opened, so that the load on whoever is down is not multiplied."""
    airflow = Script(passing())
    breaker = CircuitBreaker(BreakerRules(window=2, minimum=2))
    with pytest.raises(AirflowUnavailable, match="circuit breaker"):
        guarded(airflow, breaker=breaker, attempts=10).ping()
    assert len(airflow.calls) == 2


def test_what_was_unknown_when_it_opened_stays_unknown() -> None:
    """The refusal of a later attempt says nothing of the earlier one."""
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
    with pytest.raises(AirflowOutcomeUnknown):
        guarded(Script(unknown()), breaker=breaker).trigger("a_b", "run", conf={})


@respx.mock
@pytest.mark.parametrize(
    ("status", "attempts"), [(429, 3), (500, 3), (502, 3), (503, 3), (504, 3), (401, 1), (403, 1), (308, 1), (418, 1)]
)
def test_which_answers_may_pass(status: int, attempts: int) -> None:
    """Too many requests and failures of a server may pass; a login that is refused or a wrong address does not."""
    route = respx.get("http://airflow/api/v2/dags/a_b/dagRuns/run").respond(status)
    port = guarded(AirflowV2("http://airflow", username="u", password="p", headers={"Authorization": "Bearer x"}))
    with pytest.raises(AirflowUnavailable):
        port.run("a_b", "run")
    assert route.call_count == attempts


@respx.mock
@pytest.mark.parametrize(
    ("error", "attempts"), [(httpx.ConnectError, 3), (httpx.ConnectTimeout, 1), (httpx.ReadTimeout, 1)]
)
def test_which_faults_of_the_network_may_pass(error: type[Exception], attempts: int) -> None:
    """A refused connection may; a timeout has used up the patience of whoever waits, and whoever is slow is not helped by more."""
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
    """Seconds, or a moment (RFC 9110); anything else is as good as nothing."""
    headers = {} if header is None else {"Retry-After": header}
    respx.get("http://airflow/api/v2/dags/a_b/dagRuns/run").respond(503, headers=headers)
    port = AirflowV2("http://airflow", username="u", password="p", headers={"Authorization": "Bearer x"})
    with pytest.raises(AirflowUnavailable) as told:
        port.run("a_b", "run")
    assert told.value.retry_after == seconds


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
def test_what_is_a_failure_of_airflow(step: Any, opens: bool) -> None:
    """No answer, or none that is usable; an answer that says no is an answer, and a fault of ours says nothing."""
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
    port = guarded(Script(step), breaker=breaker)
    with suppress(Exception):
        port.run("a_b", "run")
    assert (breaker.state is BreakerState.OPEN) is opens


def test_a_read_that_runs_out_of_its_own_short_time_is_no_failure() -> None:
    """A share that is more impatient than Airflow may be slow opens nothing by that; what fails within its time does."""

    def step() -> AirflowUnavailable:
        time.sleep(0.03)
        return AirflowUnavailable("no answer")

    for seconds, opens in ((0.02, False), (5.0, True)):
        breaker = CircuitBreaker(BreakerRules(window=1, minimum=1))
        with pytest.raises(AirflowUnavailable):
            guarded(Script(step), breaker=breaker, seconds=seconds, judges=False).run("a_b", "run")
        assert (breaker.state is BreakerState.OPEN) is opens


def test_an_open_breaker_says_when_to_come_back() -> None:
    """Nobody is asked, and the error tells for how long."""
    airflow = Script(AirflowUnavailable("away"))
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1, open_seconds=30.0))
    port = guarded(airflow, breaker=breaker)
    with pytest.raises(AirflowUnavailable):
        port.ping()
    with pytest.raises(AirflowUnavailable) as told:
        port.changed_runs(datetime.now(UTC))
    assert airflow.calls == ["ping"]
    assert 29 < (told.value.retry_after or 0) <= 30
    assert port.breaker_state() is BreakerState.OPEN


# The bulkhead.


def test_when_all_places_are_taken_the_next_is_refused_at_once() -> None:
    """A full bulkhead is told to the caller, and is no failure of Airflow."""
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


def test_only_so_many_wait_for_a_place() -> None:
    """One is inside, one waits and gets the place; the third is refused without waiting."""
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


def test_who_waits_for_a_place_waits_only_so_long() -> None:
    """After its patience it is refused, and others may wait in its stead."""
    bulkhead = Bulkhead(1, waiting=1, patience=0.02)
    with bulkhead.place():
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(BulkheadFull), bulkhead.place():
                pass
            assert time.monotonic() - began >= 0.02


# The port again.


def test_every_call_arrives_as_it_was_made() -> None:
    """Nothing of the arguments is lost on the way."""
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
