"""The rules for a database that is available or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.domain.audit import AuditFilter
from workflow_core.domain.conditions import AirflowState, Observation
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.lease import Lease
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import first_revision
from workflow_core.errors import DatabaseUnavailable
from workflow_core.ports.database import PORTS, Database
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow, an_act

if TYPE_CHECKING:
    from collections.abc import Callable

_W: Final = a_workflow()
_LEASE: Final = Lease(lease_key="a", owner="o", epoch=1, until=AT)


def _write_under_a_lease(database: Database) -> None:
    with database.leases.under(_LEASE):
        database.workflows.save_workflow(_W)


CALLS: Final[dict[str, Callable[[Database], object]]] = {
    "add_workflow": lambda database: database.workflows.add_workflow(_W),
    "workflow": lambda database: database.workflows.workflow("a.b"),
    "workflow_by_id": lambda database: database.workflows.workflow_by_id(_W.id),
    "workflow_by_dag": lambda database: database.workflows.workflow_by_dag("a_b"),
    "save_workflow": lambda database: database.workflows.save_workflow(_W),
    "revise_workflow": lambda database: database.workflows.revise_workflow(_W, first_revision(_W)),
    "revisions": lambda database: database.workflows.revisions(_W, PageRequest()),
    "revision": lambda database: database.workflows.revision(_W, 1),
    "retire_workflow": lambda database: database.workflows.retire_workflow(_W, force=False),
    "list_workflows": lambda database: database.workflows.list_workflows(WorkflowFilter(), PageRequest()),
    "retired_names": lambda database: database.workflows.retired_names(["a.b"]),
    "unsettled_workflows": lambda database: database.workflows.unsettled_workflows(1),
    "record_attempt": lambda database: database.workflows.record_attempt([_W], AT),
    "code_objects": lambda database: database.code_objects.code_objects(),
    "save_code_objects": lambda database: database.code_objects.save_code_objects([], []),
    "add_run": lambda database: database.workflows.add_run(a_run(_W)),
    "run": lambda database: database.workflows.run("r"),
    "run_versions": lambda database: database.workflows.run_versions(["r"]),
    "run_statuses": lambda database: database.workflows.run_statuses(["r"]),
    "runs_by_airflow_id": lambda database: database.workflows.runs_by_airflow_id([("d", "r")]),
    "save_run": lambda database: database.workflows.save_run(a_run(_W)),
    "history": lambda database: database.workflows.history(HistoryFilter(), PageRequest()),
    "last_runs": lambda database: database.workflows.last_runs(["a.b"]),
    "runs_to_send": lambda database: database.workflows.runs_to_send(1, sent_before=AT),
    "stopping_runs": lambda database: database.workflows.stopping_runs(1),
    "retrying_runs": lambda database: database.workflows.retrying_runs(1),
    "runs_to_poll": lambda database: database.workflows.runs_to_poll(1),
    "active_runs": lambda database: database.workflows.active_runs(_W),
    "dated_runs": lambda database: database.workflows.dated_runs(_W, AT.date(), AT.date()),
    "add_backfill": lambda database: database.backfills.add_backfill(a_backfill(_W), [], dated=0),
    "backfill": lambda database: database.backfills.backfill("b"),
    "save_backfill": lambda database: database.backfills.save_backfill(a_backfill(_W)),
    "list_backfills": lambda database: database.backfills.list_backfills("a.b", PageRequest()),
    "active_backfills": lambda database: database.backfills.active_backfills(1),
    "backfill_runs": lambda database: database.backfills.backfill_runs("b"),
    "backfill_counts": lambda database: database.backfills.backfill_counts(["b"]),
    "observed_until": lambda database: database.observations.observed_until(),
    "save_observed_until": lambda database: database.observations.save_observed_until(AT),
    "workflows_of_dags": lambda database: database.workflows.workflows_of_dags(["a_b"]),
    "workflows_to_poll": lambda database: database.workflows.workflows_to_poll(1, listed_before=AT),
    "observations": lambda database: database.observations.observations([_W.id]),
    "save_observations": lambda database: database.observations.save_observations([Observation(workflow_id=_W.id)]),
    "airflow_state": lambda database: database.observations.airflow_state(),
    "save_airflow_state": lambda database: database.observations.save_airflow_state(AirflowState()),
    "append": lambda database: database.audit.append(an_act()),
    "list_events": lambda database: database.audit.list_events(AuditFilter(), PageRequest()),
    "key_record": lambda database: database.idempotency.key_record("s", "k"),
    "store_response": lambda database: database.idempotency.store_response("s", "k", "{}"),
    "purge_keys": lambda database: database.idempotency.purge_keys(AT, 1),
    "acquire": lambda database: database.leases.acquire(["a"], owner="o", at=AT, until=AT),
    "renew": lambda database: database.leases.renew(_LEASE, AT),
    "release": lambda database: database.leases.release([_LEASE]),
    "under": _write_under_a_lease,
    "purge_leases": lambda database: database.leases.purge_leases(AT),
    "counts": lambda database: database.counts(),
    "check": lambda database: database.check(),
}


class OutageRules(DatabaseSubject):
    """The behaviour while the database is available, and while it is not."""

    def test_it_has_every_port(self, database: Database) -> None:
        """The implementation has every method of every port, and this suite calls each of them."""
        assert isinstance(database, Database)
        methods = {"counts", "check"}
        for name, port in PORTS.items():
            assert isinstance(getattr(database, name), port)
            methods |= {method for kind in port.__mro__ for method in vars(kind) if not method.startswith("_")}
        assert set(CALLS) == methods
        assert {name for name in vars(Database) if not name.startswith("_")} == {*PORTS, "counts", "check"}

    def test_check_returns(self, database: Database) -> None:
        """A database that answers and has the schema passes the check."""
        database.check()

    @pytest.mark.parametrize("name", CALLS)
    def test_every_method_reports_an_unavailable_database(self, unreachable: Database, name: str) -> None:
        """Every call raises the same error."""
        with pytest.raises(DatabaseUnavailable):
            CALLS[name](unreachable)
