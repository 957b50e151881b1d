"""``WorkflowPort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.audit import audited
from workflow_adapters.sql.code_objects import remember
from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.errors import violated
from workflow_adapters.sql.mapping import (
    WORKFLOW_IDENTITY,
    changes,
    spec_revision_of,
    spec_revision_row,
    workflow_of,
    workflow_row,
)
from workflow_adapters.sql.runs import SqlRuns, batches
from workflow_adapters.sql.tables import (
    ACTIVE,
    ACTIVE_RUN,
    DISABLED,
    LIVE,
    PAUSED,
    UNSETTLED_WORKFLOW,
    observations,
    revisions,
    runs,
    tries,
    workflows,
)
from workflow_adapters.sql.visibility import is_visible
from workflow_core.domain.paging import Page
from workflow_core.domain.workflow import Revision, Workflow, WorkflowStatus, first_revision, revision_number
from workflow_core.errors import ConcurrentUpdate, WorkflowAlreadyExists, WorkflowHasActiveRuns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.code import CodeObject
    from workflow_core.domain.filters import WorkflowFilter
    from workflow_core.domain.paging import PageRequest

_UNIQUE: Final = frozenset({"uq_workflows_dataset_name", "uq_workflows_dag_id"})
_LIVE: Final = sa.text(LIVE)
_BY_NAME: Final = sa.select(workflows).where(_LIVE, workflows.c.dataset_name == sa.bindparam("dataset_name"))
_ATTEMPT: Final = sa.text(
    "INSERT INTO workflow_tries (workflow_id, tried_at) SELECT id, :tried_at FROM workflows WHERE id = :workflow_id"
    " ON CONFLICT (workflow_id) DO UPDATE SET tried_at = excluded.tried_at"
).bindparams(sa.bindparam("workflow_id", type_=sa.Uuid()), sa.bindparam("tried_at", type_=UtcDateTime()))
_STATUS: Final = {
    WorkflowStatus.ACTIVE: ACTIVE,
    WorkflowStatus.PAUSED: PAUSED,
    WorkflowStatus.DISABLED: DISABLED,
}


class SqlWorkflows(SqlRuns):
    """:class:`~workflow_core.ports.workflows.WorkflowPort` on PostgreSQL or SQLite."""

    def add_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> None:
        try:
            with audited(self._transactions, act) as connection:
                connection.execute(workflows.insert(), workflow_row(workflow))
                connection.execute(revisions.insert(), spec_revision_row(workflow, first_revision(workflow)))
                remember(connection, seen)
        except IntegrityError as error:
            if violated(error) not in _UNIQUE:
                raise
            held = sa.or_(workflows.c.dataset_name == workflow.dataset_name, workflows.c.dag_id == workflow.dag_id)
            holder = self._workflow(
                _LIVE, held
            )  # None: the holder has left in the meantime; then only the requested name is known
            name = holder.dataset_name if holder else None
            raise WorkflowAlreadyExists(workflow.dataset_name, holder=name, dag_id=workflow.dag_id) from error

    def workflow(self, dataset_name: str) -> Workflow | None:
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(_BY_NAME, {"dataset_name": dataset_name}).mappings().first()
        return None if row is None else workflow_of(row)

    def workflow_by_id(self, workflow_id: UUID) -> Workflow | None:
        return self._workflow(workflows.c.id == workflow_id)

    def workflow_by_dag(self, dag_id: str) -> Workflow | None:
        return self._workflow(_LIVE, workflows.c.dag_id == dag_id)

    def workflows_of_dags(self, dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
        with self._transactions.reading() as connection:
            rows = [
                row
                for some in batches(dag_ids)
                for row in connection.execute(
                    sa.select(workflows).where(sa.text(LIVE), workflows.c.dag_id.in_(some))
                ).mappings()
            ]
        return {found.dag_id: found for found in map(workflow_of, rows)}

    def save_workflow(
        self, workflow: Workflow, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        with audited(self._transactions, act) as connection:
            saved = _saved(connection, workflow)
            remember(connection, seen)
        return saved

    def revise_workflow(
        self, workflow: Workflow, revision: Revision, *, seen: CodeObject | None = None, act: AuditEntry | None = None
    ) -> Workflow:
        with audited(self._transactions, act) as connection:
            saved = _saved(connection, workflow)
            connection.execute(revisions.insert(), spec_revision_row(workflow, revision))
            remember(connection, seen)
        return saved

    def revisions(self, workflow: Workflow, page: PageRequest) -> Page[Revision]:
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
        query = sa.select(revisions).where(revisions.c.workflow_id == workflow.id, revisions.c.number == number)
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else spec_revision_of(row)

    def retire_workflow(self, workflow: Workflow, *, force: bool, act: AuditEntry | None = None) -> Workflow:
        # the update comes first: it waits for runs that are being added, and later ones wait for it
        active = sa.select(runs.c.run_id).where(runs.c.workflow_id == workflow.id, sa.text(ACTIVE_RUN))
        with audited(self._transactions, act) as connection:
            saved = _saved(connection, workflow)
            found = [] if force else connection.execute(active.order_by(runs.c.run_id)).scalars().all()
            if found:
                raise WorkflowHasActiveRuns(workflow.dataset_name, found)
        return saved

    def list_workflows(self, where: WorkflowFilter, page: PageRequest) -> Page[Workflow]:
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

    def retired_names(self, dataset_names: Iterable[str]) -> Collection[str]:
        named, left = workflows.c.dataset_name, workflows.c.phase.in_(["leaving", "gone"])
        found: dict[str, bool] = {}
        with self._transactions.reading() as connection:
            for some in batches(dataset_names):
                for name, has_left in connection.execute(sa.select(named, left).where(named.in_(some))):
                    found[name] = found.get(name, True) and bool(has_left)
        return {name for name, have_all_left in found.items() if have_all_left}

    def unsettled_workflows(self, limit: int) -> Sequence[Workflow]:
        tried = workflows.outerjoin(tries, tries.c.workflow_id == workflows.c.id)
        order = tries.c.tried_at.asc().nulls_first(), workflows.c.updated_at, workflows.c.dataset_name
        unsettled = sa.select(workflows).select_from(tried).where(sa.text(UNSETTLED_WORKFLOW))
        query = unsettled.order_by(*order).limit(limit)
        with self._transactions.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(workflow_of, rows))

    def record_attempt(self, workflows: Iterable[Workflow], at: datetime) -> None:
        # in the order of the ids: concurrent callers that record the same workflows wait for each other and do not deadlock
        rows = [{"workflow_id": one, "tried_at": at} for one in sorted(workflow.id for workflow in workflows)]
        if not rows:
            return
        with self._transactions.writing() as connection:
            connection.execute(_ATTEMPT, rows)

    def workflows_to_poll(self, limit: int, *, listed_before: datetime) -> Sequence[Workflow]:
        looked = observations.c.looked_at
        before = sa.literal(listed_before, UtcDateTime())
        known = sa.or_(observations.c.listed_at >= before, looked >= before)
        order = (
            sa.case((known, 1), else_=0),
            looked.asc().nulls_first(),
            workflows.c.dataset_name,
        )
        query = (
            sa.select(workflows)
            .select_from(workflows.outerjoin(observations, observations.c.workflow_id == workflows.c.id))
            .where(workflows.c.phase.in_(["served", "failed"]))
            .order_by(*order)
            .limit(limit)
        )
        with self._transactions.reading(single=True) as connection:
            return tuple(map(workflow_of, connection.execute(query).mappings()))

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
    stays = () if workflow.phase.has_left else (_LIVE,)  # a workflow that has left is never live again
    saved = connection.execute(workflows.update().where(*_same(workflow), *stays).values(values)).rowcount
    if saved == 0:
        raise _changed(workflow)
    return evolve(workflow, version=workflow.version + 1)


def _same(workflow: Workflow) -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions that the row is unchanged since this workflow was read."""
    names = (*WORKFLOW_IDENTITY, "version")
    return tuple(workflows.c[name] == getattr(workflow, name) for name in names)


def _changed(workflow: Workflow) -> ConcurrentUpdate:
    return ConcurrentUpdate(f"Workflow {workflow.dataset_name!r}")
