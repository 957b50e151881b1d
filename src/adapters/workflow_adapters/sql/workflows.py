"""The adapter: workflows here, runs in :mod:`workflow_adapters.sql.runs`, backfills in :mod:`workflow_adapters.sql.backfills`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.audit import SqlActs, acting
from workflow_adapters.sql.backfills import SqlBackfills
from workflow_adapters.sql.code_objects import SqlCodeObjects, remember
from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.errors import violated, wrong_revision
from workflow_adapters.sql.leases import SqlLeases
from workflow_adapters.sql.mapping import (
    WORKFLOW_IDENTITY,
    changes,
    spec_revision_of,
    spec_revision_row,
    workflow_of,
    workflow_row,
)
from workflow_adapters.sql.migrations import HEAD, is_served_by, revision_of
from workflow_adapters.sql.observations import SqlMirror
from workflow_adapters.sql.runs import batches
from workflow_adapters.sql.tables import (
    ACTIVE,
    ACTIVE_RUN,
    DISABLED,
    LIVE,
    PAUSED,
    UNSETTLED_WORKFLOW,
    revisions,
    runs,
    tries,
    workflows,
)
from workflow_adapters.sql.transactions import Transactions
from workflow_adapters.sql.visibility import is_visible
from workflow_core.domain.counts import Counts
from workflow_core.domain.paging import Page
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase, Revision, Workflow, WorkflowStatus, first_revision, revision_number
from workflow_core.errors import ConcurrentUpdate, WorkflowAlreadyExists, WorkflowHasActiveRuns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection, Engine

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.filters import WorkflowFilter
    from workflow_core.domain.paging import PageRequest

_UNIQUE: Final = frozenset({"uq_workflows_dataset_name", "uq_workflows_dag_id"})
_LIVE: Final = sa.text(LIVE)
_BY_NAME: Final = sa.select(workflows).where(_LIVE, workflows.c.dataset_name == sa.bindparam("dataset_name"))
_TRIED: Final = sa.text(
    "INSERT INTO workflow_tries (workflow_id, tried_at) SELECT id, :tried_at FROM workflows WHERE id = :workflow_id"
    " ON CONFLICT (workflow_id) DO UPDATE SET tried_at = excluded.tried_at"
).bindparams(sa.bindparam("workflow_id", type_=sa.Uuid()), sa.bindparam("tried_at", type_=UtcDateTime()))
_COUNTS: Final = sa.text(
    "SELECT 'workflow', phase, count(*) FROM workflows WHERE phase <> 'gone' GROUP BY phase"  # noqa: S608 - our own conditions
    f" UNION ALL SELECT 'run', status, count(*) FROM workflow_runs WHERE {ACTIVE_RUN} GROUP BY status"
)
_STATUS: Final = {
    WorkflowStatus.ACTIVE: ACTIVE,
    WorkflowStatus.PAUSED: PAUSED,
    WorkflowStatus.DISABLED: DISABLED,
}


class SqlWorkflows(SqlBackfills, SqlCodeObjects, SqlMirror, SqlLeases, SqlActs):
    """:class:`~workflow_core.ports.workflow.WorkflowPort` on PostgreSQL or SQLite.

    ``engine`` comes from :func:`workflow_adapters.sql.engine.make_engine`. Threads may share one instance.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(Transactions(engine))
        self._engine = engine

    def close(self) -> None:
        """Close the connections that nobody is using."""
        self._engine.dispose()

    def add_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> None:
        """As the port says."""
        try:
            with acting(self._transactions, act) as connection:
                connection.execute(workflows.insert(), workflow_row(workflow))
                connection.execute(revisions.insert(), spec_revision_row(workflow, first_revision(workflow)))
                remember(connection, seen)
        except IntegrityError as error:
            if violated(error) not in _UNIQUE:
                raise
            held = sa.or_(workflows.c.dataset_name == workflow.dataset_name, workflows.c.dag_id == workflow.dag_id)
            holder = self._workflow(
                _LIVE, held
            )  # None: gone again already; then only the name that was asked for can be said
            name = holder.dataset_name if holder else None
            raise WorkflowAlreadyExists(workflow.dataset_name, holder=name, dag_id=workflow.dag_id) from error

    def workflow(self, dataset_name: str) -> Workflow | None:
        """As the port says."""
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(_BY_NAME, {"dataset_name": dataset_name}).mappings().first()
        return None if row is None else workflow_of(row)

    def workflow_by_id(self, workflow_id: UUID) -> Workflow | None:
        """As the port says."""
        return self._workflow(workflows.c.id == workflow_id)

    def workflow_by_dag(self, dag_id: str) -> Workflow | None:
        """As the port says."""
        return self._workflow(_LIVE, workflows.c.dag_id == dag_id)

    def save_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """As the port says."""
        with acting(self._transactions, act) as connection:
            saved = _saved(connection, workflow)
            remember(connection, seen)
        return saved

    def revise_workflow(
        self, workflow: Workflow, revision: Revision, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        """As the port says."""
        with acting(self._transactions, act) as connection:
            saved = _saved(connection, workflow)
            connection.execute(revisions.insert(), spec_revision_row(workflow, revision))
            remember(connection, seen)
        return saved

    def revisions(self, workflow: Workflow, page: PageRequest) -> Page[Revision]:
        """As the port says."""
        mine, number = revisions.c.workflow_id == workflow.id, revisions.c.number
        after = [number < revision_number(page.after)] if page.after is not None else []
        query = sa.select(revisions).where(mine, *after).order_by(number.desc())
        with self._transactions.reading() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(revisions).where(mine)).scalar_one()
            rows = connection.execute(query.limit(page.limit + 1).offset(page.offset)).mappings().all()
        found = tuple(map(spec_revision_of, rows[: page.limit]))
        more = len(rows) > page.limit
        return Page(items=found, total=total, next_after=(str(found[-1].number),) if more else None)

    def revision(self, workflow: Workflow, number: int) -> Revision | None:
        """As the port says."""
        query = sa.select(revisions).where(revisions.c.workflow_id == workflow.id, revisions.c.number == number)
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else spec_revision_of(row)

    def retire_workflow(self, workflow: Workflow, *, force: bool, act: AuditEntry | None = None) -> Workflow:
        """As the port says. The update comes first: it waits for runs that are being added, and later ones wait for it."""
        active = sa.select(runs.c.run_id).where(runs.c.workflow_id == workflow.id, sa.text(ACTIVE_RUN))
        with acting(self._transactions, act) as connection:
            saved = _saved(connection, workflow)
            found = [] if force else connection.execute(active.order_by(runs.c.run_id)).scalars().all()
            if found:
                raise WorkflowHasActiveRuns(workflow.dataset_name, found)
        return saved

    def workflows(self, where: WorkflowFilter, page: PageRequest) -> Page[Workflow]:
        """As the port says."""
        conditions = _conditions(where, self._transactions.dialect)
        name = workflows.c.dataset_name
        after = [name > page.after[0]] if page.after is not None else []
        query = sa.select(workflows).where(*conditions, *after).order_by(name)
        with self._transactions.reading() as connection:
            total = connection.execute(
                sa.select(sa.func.count()).select_from(workflows).where(*conditions)
            ).scalar_one()
            rows = connection.execute(query.limit(page.limit + 1).offset(page.offset)).mappings().all()
        found = tuple(map(workflow_of, rows[: page.limit]))
        more = len(rows) > page.limit
        return Page(items=found, total=total, next_after=(found[-1].dataset_name,) if more else None)

    def names_that_left(self, dataset_names: Iterable[str]) -> Collection[str]:
        """As the port says."""
        named, left = workflows.c.dataset_name, workflows.c.phase.in_(["leaving", "gone"])
        found: dict[str, bool] = {}
        with self._transactions.reading() as connection:
            for some in batches(dataset_names):
                for name, has_left in connection.execute(sa.select(named, left).where(named.in_(some))):
                    found[name] = found.get(name, True) and bool(has_left)
        return {name for name, have_all_left in found.items() if have_all_left}

    def unsettled_workflows(self, limit: int) -> Sequence[Workflow]:
        """As the port says."""
        tried = workflows.outerjoin(tries, tries.c.workflow_id == workflows.c.id)
        order = tries.c.tried_at.asc().nulls_first(), workflows.c.updated_at, workflows.c.dataset_name
        unsettled = sa.select(workflows).select_from(tried).where(sa.text(UNSETTLED_WORKFLOW))
        query = unsettled.order_by(*order).limit(limit)
        with self._transactions.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(workflow_of, rows))

    def mark_tried(self, workflows: Iterable[Workflow], at: datetime) -> None:
        """As the port says. In the order of the ids, so that two who mark the same ones wait for each other and do not stand still."""
        rows = [{"workflow_id": one, "tried_at": at} for one in sorted(workflow.id for workflow in workflows)]
        if not rows:
            return
        with self._transactions.writing() as connection:
            connection.execute(_TRIED, rows)

    def counts(self) -> Counts:
        """As the port says."""
        with self._transactions.reading(single=True) as connection:
            rows = connection.execute(_COUNTS).all()
        return Counts(
            workflows={Phase(state): number for kind, state, number in rows if kind == "workflow"},
            runs={RunStatus(state): number for kind, state, number in rows if kind == "run"},
        )

    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        pool = cast("sa.QueuePool", self._engine.pool)
        return pool.checkedout(), pool.size()

    def check(self) -> None:
        """As the port says; a schema of an earlier revision counts as unavailable, a later one does not."""
        with self._transactions.reading() as connection:
            found = revision_of(connection)
        if not is_served_by(found):
            raise wrong_revision(self._transactions.engine, found, HEAD)

    def _workflow(self, *conditions: sa.ColumnElement[bool] | sa.TextClause) -> Workflow | None:
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(sa.select(workflows).where(*conditions)).mappings().first()
        return None if row is None else workflow_of(row)


def _conditions(where: WorkflowFilter, dialect: str) -> Sequence[sa.ColumnElement[bool]]:
    found: list[Any] = [_LIVE]
    if where.visible is not None:
        found.append(is_visible(where.visible, dialect))
    if where.status is not None:
        found.append(sa.text(_STATUS[where.status]))
    if where.source_type is not None:
        found.append(workflows.c.source_type == where.source_type.value)
    if where.owner is not None:
        found.append(workflows.c.owner == where.owner)
    return found


def _saved(connection: Connection, workflow: Workflow) -> Workflow:
    values = changes(workflow_row(workflow), WORKFLOW_IDENTITY)
    stays = () if workflow.phase.has_left else (_LIVE,)  # what has left does not come back
    saved = connection.execute(workflows.update().where(*_same(workflow), *stays).values(values)).rowcount
    if saved == 0:
        raise _changed(workflow)
    return evolve(workflow, version=workflow.version + 1)


def _same(workflow: Workflow) -> tuple[sa.ColumnElement[bool], ...]:
    """The row that this workflow was read from, unchanged since."""
    names = (*WORKFLOW_IDENTITY, "version")
    return tuple(workflows.c[name] == getattr(workflow, name) for name in names)


def _changed(workflow: Workflow) -> ConcurrentUpdate:
    return ConcurrentUpdate(f"Workflow {workflow.dataset_name!r}")
