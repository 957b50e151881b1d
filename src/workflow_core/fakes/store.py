"""The state of the database in memory, and the rules that several ports share."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from threading import RLock, local
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve, fields, has

from workflow_core.domain.act import audit_event, key_record
from workflow_core.domain.conditions import AirflowState
from workflow_core.domain.names import uuid7
from workflow_core.domain.paging import Page, key_moment
from workflow_core.domain.workflow import Phase
from workflow_core.errors import ConcurrentUpdate, DatabaseUnavailable, KeyInUse, LeaseLost, RunAlreadyExists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from uuid import UUID

    from workflow_core.domain.act import AuditEntry, AuditEvent, KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.conditions import Observation
    from workflow_core.domain.lease import Lease
    from workflow_core.domain.paging import PageRequest
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Revision, Workflow

T = TypeVar("T")
Key = tuple[str, ...]

EVER: Final = datetime.min.replace(tzinfo=UTC)
"""Before all moments: sorts first what never happened."""

_WRITING: Final = ("add_", "save_", "revise_", "retire_", "record_")
"""Prefixes of the names of the methods that leases fence."""


class Store:
    """The state that the ports in memory share; threads may share it.

    Each rule of a port is a small method, so that a test can break exactly one. The rules that several ports share are here.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.workflows: dict[UUID, Workflow] = {}
        self.revisions: dict[UUID, list[Revision]] = {}
        self.attempts: dict[UUID, datetime] = {}
        self.runs: dict[str, Run] = {}
        self.backfills: dict[str, Backfill] = {}
        self.code_objects: dict[str, CodeObject] = {}
        self.observed_until: datetime | None = None
        self.observations: dict[UUID, Observation] = {}
        self.airflow_state = AirflowState()
        self.events: list[AuditEvent] = []
        self.keys: dict[tuple[str, str], KeyRecord] = {}
        self.leases: dict[str, Lease] = {}
        self.released: set[str] = set()
        self.fence = local()
        self.is_down = False
        self.failures: dict[str, int] = {}

    def go_down(self) -> None:
        """Every method raises :class:`DatabaseUnavailable` until :meth:`come_back`."""
        self.is_down = True

    def come_back(self) -> None:
        """Undo :meth:`go_down` and :meth:`fail`."""
        self.is_down = False
        self.failures.clear()

    def fail(self, method: str, *, times: int = 1) -> None:
        """The next ``times`` calls of the method of this name raise :class:`DatabaseUnavailable`."""
        self.failures[method] = times

    @contextmanager
    def transaction(self, method: str) -> Iterator[None]:
        """One call of the method of this name: fails on demand, and is fenced by the lease of the thread."""
        with self.lock:
            left = self.failures.get(method, 0)
            if left:
                self.failures[method] = left - 1
            if self.is_down or left:
                msg = "The database in memory fails on demand."
                raise DatabaseUnavailable(msg)
            self.refuse_lost_lease(method)
            yield

    @contextmanager
    def audited(self, method: str, act: AuditEntry | None) -> Iterator[None]:
        """A transaction that writes the audit entry and the idempotency key with its change; nothing if the change is refused."""
        with self.transaction(method):
            self.refuse_taken_key(act)
            yield
            self.keep_event(act)
            self.keep_key(act)

    def refuse_lost_lease(self, method: str) -> None:
        """Raise :class:`LeaseLost` if a method of this name writes and the lease of this thread is lost."""
        held: Lease | None = getattr(self.fence, "lease", None)
        if held is not None and method.startswith(_WRITING) and not self.is_held(held):
            raise LeaseLost(held.lease_key)

    def is_held(self, lease: Lease) -> bool:
        """Whether the lease is neither acquired by another owner nor released."""
        held = self.leases.get(lease.lease_key)
        same = held is not None and (held.owner, held.epoch) == (lease.owner, lease.epoch)
        return same and lease.lease_key not in self.released

    def kept(self, entity: T) -> T:
        """A copy that shares no mutable value with the caller's entity, with its times in UTC."""
        return _times_in_utc(deepcopy(entity))

    def live(self) -> list[Workflow]:
        """The workflows that have not left."""
        return [workflow for workflow in self.workflows.values() if not workflow.phase.has_left]

    def holder_of_name(self, dataset_name: str) -> Workflow | None:
        """The live workflow with this name."""
        return next((held for held in self.live() if held.dataset_name == dataset_name), None)

    def holder_of_dag(self, dag_id: str) -> Workflow | None:
        """The live workflow with this DAG id."""
        return next((held for held in self.live() if held.dag_id == dag_id), None)

    def sees(self, visible: Visibility | None, workflow: Workflow) -> bool:
        """Whether the workflow is visible."""
        return visible is None or visible.sees(workflow)

    def refuse_taken_run_id(self, run: Run) -> None:
        """Raise if the run id is taken."""
        if run.run_id in self.runs:
            raise RunAlreadyExists(run.run_id)

    def refuse_taken_airflow_id(self, run: Run) -> None:
        """Raise if the pair of DAG id and Airflow's run id is taken."""
        for held in self.runs.values():
            if (held.dag_id, held.airflow_run_id) == (run.dag_id, run.airflow_run_id):
                raise RunAlreadyExists(held.run_id)

    def refuse_other_run(self, run: Run) -> None:
        """Raise if the run was not read from the stored one."""
        stored = self.runs.get(run.run_id)
        if stored is None or _run_identity(stored) != _run_identity(run):
            what = f"Run {run.run_id!r}"
            raise ConcurrentUpdate(what)

    def refuse_malformed_key(self, page: PageRequest) -> None:
        """Raise if the key of the page does not start with a moment."""
        if page.after is not None:
            key_moment(page.after[0])

    def may_run(self, entity: Run | Backfill) -> bool:
        """Whether the workflow of a run or backfill may run: it is served and not paused."""
        owner = self.workflows[entity.workflow_id]
        return owner.phase is Phase.SERVED and owner.pause is None

    def dated(self, workflow_id: UUID, first: date, last: date) -> list[Run]:
        """The runs of the workflow with a run date in this range."""
        runs = [run for run in self.runs.values() if run.workflow_id == workflow_id and first <= run.run_date <= last]
        return sorted(runs, key=self.dated_order)

    def dated_order(self, run: Run) -> tuple[date, datetime, str]:
        """The order of :meth:`dated`."""
        return run.run_date, run.started_at, run.run_id

    def refuse_taken_key(self, act: AuditEntry | None) -> None:
        """Raise if the idempotency key of the entry has a record."""
        record = key_record(act)
        if record is not None and (record.scope, record.key) in self.keys:
            raise KeyInUse(record.key)

    def keep_event(self, act: AuditEntry | None) -> None:
        """Append the audit event of the entry."""
        if act is not None:
            self.events.append(self.kept(audit_event(act, uuid7(act.at))))

    def keep_key(self, act: AuditEntry | None) -> None:
        """Store the record of the entry's idempotency key, if it has one."""
        record = key_record(act)
        if record is not None:
            self.keys[record.scope, record.key] = self.kept(record)

    def with_next_version(self, entity: T) -> T:
        """The entity with its next version."""
        return evolve(entity, version=entity.version + 1)  # type: ignore[attr-defined, misc]  # one of the entities

    def page(
        self, ordered: Sequence[T], page: PageRequest, key: Callable[[T], Key], is_after: Callable[[Key, Key], bool]
    ) -> Page[T]:
        """The page of an ordered sequence."""
        rest = [item for item in ordered if page.after is None or is_after(key(item), page.after)][page.offset :]
        items = self.first(rest, page.limit)
        more = len(rest) > page.limit
        return Page(items=items, total=len(ordered), next_after=key(items[-1]) if more else None)

    def first(self, ordered: Sequence[T], limit: int) -> tuple[T, ...]:
        """Copies of the first ``limit`` entities."""
        return tuple(map(self.kept, ordered[:limit]))


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC."""
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone"
        raise ValueError(msg)
    return moment.astimezone(UTC)


def _run_identity(run: Run) -> tuple[object, ...]:
    return run.run_id, run.airflow_run_id, run.workflow_id, run.dataset_name, run.dag_id, run.version


def _times_in_utc(entity: T) -> T:
    changed: dict[str, object] = {}
    for field in fields(type(entity)):  # type: ignore[arg-type]  # attrs classes only
        value = getattr(entity, field.name)
        if isinstance(value, datetime):
            changed[field.name] = in_utc(value)
        elif has(type(value)):
            changed[field.name] = _times_in_utc(value)
    return evolve(entity, **changed) if changed else entity  # type: ignore[misc]
