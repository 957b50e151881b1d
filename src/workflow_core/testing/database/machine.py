"""Random histories with the database in memory as the oracle: every result and every error must be the same."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from workflow_core.domain.backfill import Backfill, DesiredState
from workflow_core.domain.code import CodeObject
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, Stop, Submission
from workflow_core.domain.workflow import Pause, Phase, SourceType, WorkflowStatus
from workflow_core.errors import WorkflowError
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow, slots_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from uuid import UUID

    from workflow_core.domain.lease import Lease
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database

# Few of each, so that they meet: 'a.b-c' and 'a.b_c' have one DAG id.
NAMES: Final = ["a.b", "a.B", "a._", "a.b-c", "a.b_c"]
IDS: Final = ["r1", "r10", "r_", "rA"]

_names = st.sampled_from(NAMES)
_ids = st.sampled_from(IDS)
_moments = st.integers(-2, 2).map(lambda n: AT + n * timedelta(hours=10, microseconds=1))
_pages = st.builds(PageRequest, limit=st.integers(1, 3), offset=st.integers(0, 2))
_days = st.none() | st.integers(-1, 1).map(lambda n: date(2026, 1, 1) + timedelta(days=n))
_owners = st.sampled_from(["x", "X", "y"])
_changes = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(Phase),
        "pause": st.none() | st.builds(Pause, by=st.just("paula"), at=_moments),
        "airflow_paused": st.sampled_from([None, False, True]),
        "source_type": st.sampled_from(SourceType),
        "owner": _owners,
        "updated_at": _moments,
    },
)
_run_changes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(RunStatus),
        "submission": st.sampled_from(Submission),
        "sent_at": st.none() | _moments,
        "backfill_id": st.none() | st.just("b"),
        "stop": st.none() | st.builds(Stop, by=st.just("sam"), at=_moments, asked_at=st.none() | _moments),
        "started_at": _moments,
        "observed_at": st.none() | _moments,
        "params": st.dictionaries(st.sampled_from("ab"), st.integers() | st.none(), max_size=2),
    },
)


class DatabaseMachine(RuleBasedStateMachine):
    """Use :func:`database_machine`."""

    subject: Callable[[], AbstractContextManager[Database]]

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self._database = self._open.enter_context(self.subject())
        self._oracle = InMemoryDatabase()
        # everything that was ever handed out: stale versions and entities that are gone are among it
        self._workflows: list[Workflow] = []
        self._runs: list[Run] = []
        self._backfills: list[Backfill] = []
        self._leases: list[Lease] = []

    def teardown(self) -> None:
        """Close the subject."""
        self._open.close()

    @rule(name=_names, changes=_changes)
    def add_workflow(self, name: str, changes: dict[str, Any]) -> None:
        """Add a workflow under a name that may be taken."""
        workflow = a_workflow(name, yaml=f"version: v1\nname: {name}\n", **changes)
        if workflow.phase.has_left:  # a new workflow has not left
            return
        self._same("workflows.add_workflow", workflow)
        self._workflows.append(workflow)

    @rule(data=st.data(), changes=_changes)
    def save_workflow(self, data: st.DataObject, changes: dict[str, Any]) -> None:
        """Save an entity that was read earlier."""
        if self._workflows:
            saved = self._same(
                "workflows.save_workflow", evolve(data.draw(st.sampled_from(self._workflows)), **changes)
            )
            if not isinstance(saved, tuple):
                self._workflows.append(saved)

    @rule(data=st.data(), at=_moments)
    def record_attempt(self, data: st.DataObject, at: Any) -> None:
        """Record an attempt for a workflow that was read earlier."""
        if self._workflows:
            self._same("workflows.record_attempt", [data.draw(st.sampled_from(self._workflows))], at)

    @rule(name=_names, etag=st.sampled_from("12"), version=st.integers(0, 2), gone=st.booleans())
    def save_code_objects(self, name: str, etag: str, version: int, gone: bool) -> None:  # noqa: FBT001 - a parameter of the rule
        """Save or remove an object, with a version that may be old."""
        seen = CodeObject(dataset_name=name, etag=etag, seen_at=AT, checked_by="x", version=version)
        self._same("code_objects.save_code_objects", [] if gone else [seen], [seen] if gone else [])

    @rule(data=st.data(), etag=st.sampled_from("12"))
    def save_with_object(self, data: st.DataObject, etag: str) -> None:
        """Save a workflow that was read earlier, with the object that it was made from."""
        if self._workflows:
            found = data.draw(st.sampled_from(self._workflows))
            seen = CodeObject(dataset_name=found.dataset_name, etag=etag, seen_at=AT, checked_by="x")
            saved = self._same("workflows.save_workflow", found, seen=seen)
            if not isinstance(saved, tuple):
                self._workflows.append(saved)

    @rule(data=st.data(), force=st.booleans())
    def retire_workflow(self, data: st.DataObject, force: bool) -> None:  # noqa: FBT001 - a parameter of the rule
        """Retire a workflow that was read earlier."""
        if self._workflows:
            found = data.draw(st.sampled_from(self._workflows))
            saved = self._same("workflows.retire_workflow", evolve(found, phase=Phase.UNREGISTERING), force=force)
            if not isinstance(saved, tuple):
                self._workflows.append(saved)

    @rule(data=st.data(), run_id=_ids, airflow_id=st.none() | _ids, changes=_run_changes)
    def add_run(self, data: st.DataObject, run_id: str, airflow_id: str | None, changes: dict[str, Any]) -> None:
        """Add a run under ids that may be taken, of a workflow that may be gone."""
        if self._workflows:
            workflow = data.draw(st.sampled_from(self._workflows))
            run = a_run(workflow, run_id=run_id, airflow_run_id=airflow_id or run_id, **changes)
            if self._is_taken_twice(run):
                return
            self._same("workflows.add_run", run)
            self._runs.append(run)

    @rule(data=st.data(), changes=_run_changes)
    def save_run(self, data: st.DataObject, changes: dict[str, Any]) -> None:
        """Save an entity that was read earlier."""
        if self._runs:
            saved = self._same("workflows.save_run", evolve(data.draw(st.sampled_from(self._runs)), **changes))
            if not isinstance(saved, tuple):
                self._runs.append(saved)

    @rule(
        data=st.data(), nth=st.integers(1, 2), changes=_run_changes, moment=_moments, dated=st.sampled_from([0, 0, 1])
    )
    def add_backfill(self, data: st.DataObject, nth: int, changes: dict[str, Any], moment: Any, dated: int) -> None:
        """Add a backfill of two dates whose id, or whose runs, may be taken, of a workflow that may be gone."""
        if self._workflows:
            workflow = data.draw(st.sampled_from(self._workflows))
            backfill = a_backfill(workflow, nth=nth, days=2, updated_at=moment, created_at=moment)
            slots = slots_of(workflow, backfill, **{**changes, "backfill_id": backfill.backfill_id})
            # that an id and the dates are both taken, and so on: the port does not say which of them answers
            seen = self._oracle.workflows.dated_runs(workflow, backfill.start_date, backfill.end_date)
            taken = self._oracle.backfills.backfill(backfill.backfill_id) is not None
            if taken + dated + self._is_leaving(workflow) > 1:
                return
            refused = self._same("backfills.add_backfill", backfill, slots, dated=len(seen) + dated)
            if refused is None:
                self._backfills.append(backfill)
                self._runs += slots

    @rule(data=st.data(), wanted=st.sampled_from(DesiredState), moment=_moments, changes=_run_changes)
    def save_backfill(self, data: st.DataObject, wanted: DesiredState, moment: Any, changes: dict[str, Any]) -> None:
        """Save a backfill that was read earlier, with runs that may belong to another backfill."""
        if self._backfills:
            backfill = data.draw(st.sampled_from(self._backfills))
            runs = data.draw(st.lists(st.sampled_from(self._runs), max_size=2, unique_by=lambda run: run.run_id))
            wished = evolve(
                backfill, state_request=evolve(backfill.state_request, desired_state=wanted), updated_at=moment
            )
            changes.pop("backfill_id", None)
            saved = self._same("backfills.save_backfill", wished, [evolve(run, **changes) for run in runs])
            if isinstance(saved[0], Backfill):
                self._backfills.append(saved[0])
                self._runs += saved[1]

    @rule(name=_names, page=_pages)
    def list_backfills(self, name: str, page: PageRequest) -> None:
        """List backfills page by page, with their runs and counts."""
        self._same_pages("backfills.list_backfills", name, page)
        for backfill_id in {one.backfill_id for one in self._backfills}:
            self._same("backfills.backfill_runs", backfill_id)
            self._same("backfills.backfill", backfill_id)
        self._same("backfills.backfill_counts", [one.backfill_id for one in self._backfills])

    @rule(until=_moments)
    def save_observed_until(self, until: Any) -> None:
        """Save a moment, later or earlier."""
        self._same("observations.save_observed_until", until)

    @rule(
        status=st.none() | st.sampled_from(WorkflowStatus),
        source=st.none() | st.sampled_from(SourceType),
        owner=st.none() | _owners,
        page=_pages,
    )
    def list_workflows(self, status: Any, source: Any, owner: str | None, page: PageRequest) -> None:
        """List, page by page."""
        self._same_pages(
            "workflows.list_workflows", WorkflowFilter(status=status, source_type=source, owner=owner), page
        )

    @rule(name=st.none() | _names, start=_days, end=_days, page=_pages)
    def list_history(self, name: str | None, start: date | None, end: date | None, page: PageRequest) -> None:
        """List, page by page."""
        self._same_pages("workflows.history", HistoryFilter(dataset_name=name, start_date=start, end_date=end), page)

    @rule(
        lease_keys=st.lists(st.sampled_from("abc"), max_size=3),
        owner=st.sampled_from("xy"),
        at=_moments,
        until=_moments,
    )
    def acquire(self, lease_keys: list[str], owner: str, at: Any, until: Any) -> None:
        """Acquire keys that may be free."""
        self._leases += self._same("leases.acquire", lease_keys, owner=owner, at=at, until=until).values()

    @rule(data=st.data(), until=_moments)
    def renew(self, data: st.DataObject, until: Any) -> None:
        """Renew a lease that was acquired earlier."""
        if self._leases:
            self._same("leases.renew", data.draw(st.sampled_from(self._leases)), until)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Release a lease that was acquired earlier."""
        if self._leases:
            self._same("leases.release", [data.draw(st.sampled_from(self._leases))])

    @rule(before=_moments)
    def purge_leases(self, before: Any) -> None:
        """Purge old leases."""
        self._same("leases.purge_leases", before)

    @rule(limit=st.integers(1, 4))
    def list_unsettled(self, limit: int) -> None:
        """List the entities with work that is due."""
        self._same("workflows.unsettled_workflows", limit)
        self._same("workflows.runs_to_send", limit, sent_before=AT)
        self._same("workflows.stopping_runs", limit)
        self._same("backfills.active_backfills", limit)
        self._same("workflows.retrying_runs", limit)
        self._same("workflows.runs_to_poll", limit)
        if self._workflows:
            self._same("workflows.active_runs", self._workflows[-1])
            self._same("workflows.dated_runs", self._workflows[-1], date(2026, 1, 1), date(2026, 1, 2))

    @invariant()
    def everything_is_the_same(self) -> None:
        """All stored values are the same."""
        self._same("workflows.list_workflows", WorkflowFilter(), PageRequest())
        self._same("workflows.history", HistoryFilter(), PageRequest())
        self._same("workflows.last_runs", NAMES)
        self._same("workflows.retired_names", NAMES)
        self._same("workflows.run_versions", [run.run_id for run in self._runs])
        self._same("workflows.run_statuses", [run.run_id for run in self._runs])
        self._same("observations.observed_until")
        self._same("code_objects.code_objects")
        self._same("counts")

    def _same(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call both; return the result, or the error as type and message."""
        expected = _outcome(self._oracle, method, *arguments, **named)
        actual = _outcome(self._database, method, *arguments, **named)
        assert actual == expected, f"{method}{arguments}"
        return actual

    def _same_pages(self, method: str, where: Any, first: PageRequest) -> None:
        page = self._same(method, where, first)
        while page.next_after is not None:
            page = self._same(method, where, PageRequest(limit=first.limit, after=page.next_after))

    def _is_taken_twice(self, run: Run) -> bool:
        """Whether several rules refuse the run: the port does not specify which error is raised."""
        pairs = self._oracle.workflows.runs_by_airflow_id([(run.dag_id, run.airflow_run_id)])
        no_workflow = self._refuses_runs(run)
        taken = self._oracle.workflows.run(run.run_id) is not None
        return taken + no_workflow + any(held.run_id != run.run_id for held in pairs.values()) > 1

    def _latest(self, workflow_id: UUID) -> Workflow:
        return max((one for one in self._workflows if one.id == workflow_id), key=lambda one: one.version)

    def _is_leaving(self, workflow: Workflow) -> bool:
        latest = self._latest(workflow.id)
        return latest.phase is Phase.UNREGISTERING or latest.phase.has_left

    def _refuses_runs(self, run: Run) -> bool:
        """Whether the workflow accepts the run, by its latest known state."""
        latest = self._latest(run.workflow_id)
        if latest.phase is Phase.UNREGISTERING:
            return run.submission is not Submission.SUBMITTED
        return latest.phase.has_left


def _outcome(database: Database, method: str, *arguments: Any, **named: Any) -> Any:
    try:
        answer = attrgetter(method)(database)(*arguments, **named)
    except WorkflowError as error:
        return type(error), str(error)
    return list(answer) if isinstance(answer, tuple) else answer


def database_machine(subject: Callable[[], AbstractContextManager[Database]]) -> type[RuleBasedStateMachine]:
    """A state machine that compares ``subject`` with the database in memory; its ``TestCase`` is what a runner collects.

    ``subject`` provides an empty implementation for each random history.
    """
    return type("Machine", (DatabaseMachine,), {"subject": staticmethod(subject)})
