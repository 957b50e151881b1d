"""Airflow is there, or it is not, or it does not let us in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.errors import AirflowUnavailable
from workflow_core.ports.airflow import AirflowPort, EndState
from workflow_core.testing.airflow.subject import AirflowSubject

if TYPE_CHECKING:
    from collections.abc import Callable

_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)

CALLS: Final[dict[str, Callable[[AirflowPort], object]]] = {
    "ping": lambda port: port.ping(),
    "health": lambda port: port.health(),
    "dag": lambda port: port.dag("a_b"),
    "list_dags": lambda port: port.list_dags(),
    "request_parse": lambda port: port.request_parse("a_b"),
    "set_paused": lambda port: port.set_paused("a_b", paused=True),
    "trigger": lambda port: port.trigger("a_b", "run", conf={}),
    "end_run": lambda port: port.end_run("a_b", "run", EndState.FAILED),
    "clear_run": lambda port: port.clear_run("a_b", "run"),
    "run": lambda port: port.run("a_b", "run"),
    "tasks": lambda port: port.tasks([("a_b", "run")]),
    "runs_with_ended_tasks": lambda port: port.runs_with_ended_tasks([("a_b", "run")], _AT),
    "runs_under_way": lambda port: port.runs_under_way("a_b"),
    "changed_runs": lambda port: port.changed_runs(_AT),
}


class AirflowOutageRules(AirflowSubject):
    """What the port says when Airflow says nothing."""

    def test_it_is_the_port(self, port: AirflowPort) -> None:
        """The implementation has every method of the port, and this suite calls each."""
        assert isinstance(port, AirflowPort)
        assert set(CALLS) | {"logs_url"} == {name for name in vars(AirflowPort) if not name.startswith("_")}

    @pytest.mark.parametrize("name", CALLS)
    def test_without_airflow_every_method_says_so(self, unreachable: AirflowPort, name: str) -> None:
        """Whatever is asked, the answer is the one error that says so, and that certainly nothing was done."""
        with pytest.raises(AirflowUnavailable):
            CALLS[name](unreachable)

    @pytest.mark.parametrize("name", sorted(set(CALLS) - {"health"}))
    def test_with_wrong_credentials_every_method_says_so(self, locked_out: AirflowPort, name: str) -> None:
        """An Airflow that does not let us in is as good as none, but may tell its health to anybody."""
        with pytest.raises(AirflowUnavailable):
            CALLS[name](locked_out)

    def test_without_airflow_pages_still_have_addresses(self, unreachable: AirflowPort) -> None:
        """The address of a page needs no Airflow."""
        assert "/dags/a_b/" in unreachable.logs_url("a_b", "run")
