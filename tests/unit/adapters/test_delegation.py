"""Tests of the proxies of ports: each proxy has all methods of its port, also new ones."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from workflow_adapters.airflow import auto_airflow
from workflow_adapters.airflow.breaker import CircuitBreaker
from workflow_adapters.airflow.bulkhead import Bulkhead
from workflow_adapters.airflow.guarded import CallBudget, guard_airflow
from workflow_adapters.delegation import delegating, methods_of
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.ports.airflow import AirflowPort, Guarded
from workflow_entrypoints.observability.instrumentation import System, instrumented

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Port(Protocol):
    """A port with two methods."""

    def read(self, key: str) -> str: ...

    def write(self, key: str, *, value: str) -> None: ...


class LargerPort(Port, Protocol):
    """The same port with an additional method."""

    def delete(self, key: str) -> bool: ...


class Silent:
    """An instrument that records nothing."""

    def call(self, system: System, operation: str) -> AbstractContextManager[Any]:
        del system, operation
        return nullcontext()


def fake() -> InMemoryAirflow:
    return InMemoryAirflow(storage=InMemoryStorage(), clock=ManualClock())


PROXIES: dict[str, Callable[[], AirflowPort]] = {
    "auto": lambda: auto_airflow("http://airflow.test", username="u", password="p"),
    "guarded": lambda: guard_airflow(fake(), CircuitBreaker(), CallBudget(bulkhead=Bulkhead(1), seconds=1.0)),
    "instrumented": lambda: instrumented(fake(), AirflowPort, System.AIRFLOW, [Silent(), Silent()]),
}


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("name", sorted(methods_of(AirflowPort)))
def test_every_proxy_has_every_method_of_the_port(proxy: str, name: str) -> None:
    """The casts that mypy accepts hold for each method of the protocol."""
    port = PROXIES[proxy]()
    assert isinstance(port, AirflowPort)
    assert callable(getattr(port, name))


def test_a_guard_has_the_methods_of_both_its_ports() -> None:
    """The methods of a base protocol belong to the port."""
    assert isinstance(PROXIES["guarded"](), Guarded)
    assert methods_of(LargerPort) == {"read", "write", "delete"}


def test_each_call_is_forwarded_with_its_name_and_arguments() -> None:
    """The function gets the method's name before the arguments, and its result is the method's."""
    calls: list[Any] = []

    def call(name: str, *args: Any, **kwargs: Any) -> str:
        calls.append((name, args, kwargs))
        return f"answer to {name}"

    port = delegating(LargerPort, call)
    assert port.read("a") == "answer to read"
    port.write("b", value="c")
    port.delete("d")
    assert calls == [("read", ("a",), {}), ("write", ("b",), {"value": "c"}), ("delete", ("d",), {})]


def test_explicit_methods_bypass_the_function() -> None:
    """A method that is defined on the proxy is called directly, whether or not the port declares it."""
    port: Any = delegating(Port, lambda *_, **__: pytest.fail("called"), read=str.upper, close=lambda: "closed")
    assert (port.read("a"), port.close()) == ("A", "closed")


def test_a_method_that_no_port_declares_is_rejected() -> None:
    """A misspelt method is an error, not a call."""
    port: Any = delegating(Port, lambda *_, **__: None)
    with pytest.raises(AttributeError):
        port.raed("a")
