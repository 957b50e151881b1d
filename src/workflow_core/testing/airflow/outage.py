"""Rules for an Airflow that does not respond or rejects the credentials."""

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
    """The behaviour of the port during an outage."""

    def test_every_method_exists_and_is_called_by_the_suite(self, port: AirflowPort) -> None:
        """The implementation has every method of the port, and this suite calls each."""
        assert isinstance(port, AirflowPort)
        assert set(CALLS) | {"logs_url"} == {name for name in vars(AirflowPort) if not name.startswith("_")}

    @pytest.mark.parametrize("name", CALLS)
    def test_without_airflow_every_method_raises(self, unreachable: AirflowPort, name: str) -> None:
        """Every method raises the error which means that Airflow is unavailable and nothing was changed."""
        with pytest.raises(AirflowUnavailable):
            CALLS[name](unreachable)

    @pytest.mark.parametrize("name", sorted(set(CALLS) - {"health"}))
    def test_with_wrong_credentials_every_method_raises(self, locked_out: AirflowPort, name: str) -> None:
        """An Airflow that rejects the credentials is unavailable; only its health may be public."""
        with pytest.raises(AirflowUnavailable):
            CALLS[name](locked_out)

    def test_the_url_of_a_page_needs_no_airflow(self, unreachable: AirflowPort) -> None:
        """The port builds the URL of a page without a request."""
        assert "/dags/a_b/" in unreachable.logs_url("a_b", "run")
