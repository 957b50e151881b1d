"""The database answers, or it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.domain.act import AuditFilter
from workflow_core.domain.conditions import AirflowState, Observation
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.lease import Lease
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import first_revision
from workflow_core.errors import DatabaseUnavailable
from workflow_core.ports.workflow import WorkflowPort
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow, an_act
from workflow_core.testing.workflow.subject import WorkflowSubject

if TYPE_CHECKING:
    from collections.abc import Callable

_W: Final = a_workflow()
_LEASE: Final = Lease(subject="a", owner="o", epoch=1, until=AT)


def _write_under_a_lease(port: WorkflowPort) -> None:
    with port.under(_LEASE):
        port.save_workflow(_W)


CALLS: Final[dict[str, Callable[[WorkflowPort], object]]] = {
    "add_workflow": lambda port: port.add_workflow(_W),
    "workflow": lambda port: port.workflow("a.b"),
    "workflow_by_id": lambda port: port.workflow_by_id(_W.id),
    "workflow_by_dag": lambda port: port.workflow_by_dag("a_b"),
    "save_workflow": lambda port: port.save_workflow(_W),
    "revise_workflow": lambda port: port.revise_workflow(_W, first_revision(_W)),
    "revisions": lambda port: port.revisions(_W, PageRequest()),
    "revision": lambda port: port.revision(_W, 1),
    "retire_workflow": lambda port: port.retire_workflow(_W, force=False),
    "workflows": lambda port: port.workflows(WorkflowFilter(), PageRequest()),
    "names_that_left": lambda port: port.names_that_left(["a.b"]),
    "unsettled_workflows": lambda port: port.unsettled_workflows(1),
    "mark_tried": lambda port: port.mark_tried([_W], AT),
    "code_objects": lambda port: port.code_objects(),
    "save_code_objects": lambda port: port.save_code_objects([], []),
    "add_run": lambda port: port.add_run(a_run(_W)),
    "run": lambda port: port.run("r"),
    "run_versions": lambda port: port.run_versions(["r"]),
    "run_statuses": lambda port: port.run_statuses(["r"]),
    "runs_by_airflow_id": lambda port: port.runs_by_airflow_id([("d", "r")]),
    "save_run": lambda port: port.save_run(a_run(_W)),
    "history": lambda port: port.history(HistoryFilter(), PageRequest()),
    "last_runs": lambda port: port.last_runs(["a.b"]),
    "runs_to_send": lambda port: port.runs_to_send(1, sent_before=AT),
    "stopping_runs": lambda port: port.stopping_runs(1),
    "retrying_runs": lambda port: port.retrying_runs(1),
    "runs_to_look_at": lambda port: port.runs_to_look_at(1),
    "active_runs": lambda port: port.active_runs(_W),
    "dated_runs": lambda port: port.dated_runs(_W, AT.date(), AT.date()),
    "add_backfill": lambda port: port.add_backfill(a_backfill(_W), [], dated=0),
    "backfill": lambda port: port.backfill("b"),
    "save_backfill": lambda port: port.save_backfill(a_backfill(_W)),
    "backfills": lambda port: port.backfills("a.b", PageRequest()),
    "active_backfills": lambda port: port.active_backfills(1),
    "backfill_runs": lambda port: port.backfill_runs("b"),
    "backfill_counts": lambda port: port.backfill_counts(["b"]),
    "observed_until": lambda port: port.observed_until(),
    "mark_observed": lambda port: port.mark_observed(AT),
    "workflows_of_dags": lambda port: port.workflows_of_dags(["a_b"]),
    "workflows_to_look_at": lambda port: port.workflows_to_look_at(1, listed_before=AT),
    "observations": lambda port: port.observations([_W.id]),
    "save_observations": lambda port: port.save_observations([Observation(workflow_id=_W.id)]),
    "airflow_state": lambda port: port.airflow_state(),
    "save_airflow_state": lambda port: port.save_airflow_state(AirflowState()),
    "record": lambda port: port.record(an_act()),
    "audit": lambda port: port.audit(AuditFilter(), PageRequest()),
    "key": lambda port: port.key("s", "k"),
    "keep_answer": lambda port: port.keep_answer("s", "k", "{}"),
    "forget_keys": lambda port: port.forget_keys(AT, 1),
    "claim": lambda port: port.claim(["a"], owner="o", at=AT, until=AT),
    "renew": lambda port: port.renew(_LEASE, AT),
    "release": lambda port: port.release([_LEASE]),
    "under": _write_under_a_lease,
    "forget_leases": lambda port: port.forget_leases(AT),
    "counts": lambda port: port.counts(),
    "check": lambda port: port.check(),
}


class OutageRules(WorkflowSubject):
    """What holds while the database is there, and while it is away."""

    def test_it_is_the_port(self, port: WorkflowPort) -> None:
        """The implementation has every method of the port, and this suite calls each."""
        assert isinstance(port, WorkflowPort)
        assert set(CALLS) == {name for name in vars(WorkflowPort) if not name.startswith("_")}

    def test_check_returns(self, port: WorkflowPort) -> None:
        """A database that answers and has the schema passes."""
        port.check()

    @pytest.mark.parametrize("name", CALLS)
    def test_without_its_database_every_method_says_so(self, unreachable: WorkflowPort, name: str) -> None:
        """Whatever is asked, the answer is the one error that says so."""
        with pytest.raises(DatabaseUnavailable):
            CALLS[name](unreachable)
