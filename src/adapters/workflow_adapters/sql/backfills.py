"""``BackfillPort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.audit import audited
from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.errors import violated
from workflow_adapters.sql.mapping import (
    BACKFILL_IDENTITY,
    backfill_of,
    backfill_row,
    changes,
    new_backfill_row,
    new_run_row,
    run_of,
)
from workflow_adapters.sql.runs import batches, dated_within, raise_if_taken, saved_run
from workflow_adapters.sql.tables import ACTIVE_SLOT, MAY_RUN, backfills, workflows
from workflow_adapters.sql.tables import runs as run_table
from workflow_adapters.sql.visibility import is_of_visible
from workflow_core.domain.paging import Page, key_moment, moment_key
from workflow_core.domain.run import RunStatus
from workflow_core.errors import BackfillAlreadyExists, ConcurrentUpdate, WorkflowNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from sqlalchemy.engine import Connection

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.audit import AuditEntry
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.paging import PageRequest
    from workflow_core.domain.run import Run

_BACKFILL_ID: Final = "uq_backfills_backfill_id"


class SqlBackfills:
    """:class:`~workflow_core.ports.backfills.BackfillPort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add_backfill(
        self, backfill: Backfill, runs: Sequence[Run], *, dated: int, act: AuditEntry | None = None
    ) -> None:
        try:
            with audited(self._transactions, act) as connection:
                _lock_open_workflow(connection, backfill)
                if _number_dated(connection, backfill.workflow_id, backfill.start_date, backfill.end_date) != dated:
                    raise _changed(backfill)
                connection.execute(backfills.insert(), new_backfill_row(backfill))
                if runs:
                    connection.execute(run_table.insert(), [new_run_row(run) for run in runs])
        except IntegrityError as error:
            if violated(error) == _BACKFILL_ID:
                raise BackfillAlreadyExists(backfill.backfill_id) from error
            raise_if_taken(self._transactions, error, runs)
            raise

    def backfill(self, backfill_id: str) -> Backfill | None:
        query = sa.select(backfills).where(backfills.c.backfill_id == backfill_id)
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else backfill_of(row)

    def save_backfill(
        self, backfill: Backfill, runs: Sequence[Run] = (), *, act: AuditEntry | None = None
    ) -> tuple[Backfill, Sequence[Run]]:
        row = backfill_row(backfill)
        same = (backfills.c[name] == row[name] for name in (*BACKFILL_IDENTITY, "version") if name in row)
        values = changes(row, BACKFILL_IDENTITY)
        with audited(self._transactions, act) as connection:
            if connection.execute(backfills.update().where(*same).values(values)).rowcount == 0:
                raise _changed(backfill)
            saved = tuple(saved_run(connection, run) for run in runs)
        return evolve(backfill, version=backfill.version + 1), saved

    def list_backfills(
        self, dataset_name: str, page: PageRequest, *, visible: Visibility | None = None
    ) -> Page[Backfill]:
        mine = backfills.c.dataset_name == dataset_name
        if visible is not None:
            mine &= is_of_visible(backfills.c.workflow_id, visible, self._transactions.dialect)
        place = sa.tuple_(backfills.c.created_at, backfills.c.backfill_id)
        after = []
        if page.after is not None:
            moment, backfill_id = page.after
            after = [place < sa.tuple_(sa.literal(key_moment(moment), UtcDateTime()), sa.literal(backfill_id))]
        order = backfills.c.created_at.desc(), backfills.c.backfill_id.desc()
        query = sa.select(backfills).where(mine, *after).order_by(*order)
        with self._transactions.reading() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(backfills).where(mine)).scalar_one()
            rows = connection.execute(query.limit(page.limit + 1).offset(page.offset)).mappings().all()
        found = tuple(map(backfill_of, rows[: page.limit]))
        more = len(rows) > page.limit
        key = (moment_key(found[-1].created_at), found[-1].backfill_id) if more else None
        return Page(items=found, total=total, next_after=key)

    def active_backfills(self, limit: int) -> Sequence[Backfill]:
        # starts from the index of active runs, so that ended backfills cost nothing
        slots = sa.select(run_table.c.backfill_id).where(sa.text(ACTIVE_SLOT))
        mine = sa.select(run_table.c.run_id).where(sa.text(ACTIVE_SLOT), _IS_MINE).correlate(backfills)
        wanted, waits = run_table.c.stop_at.is_(None), run_table.c.submission == "waiting"
        may_run = sa.exists().where(workflows.c.id == backfills.c.workflow_id, sa.text(MAY_RUN))
        sent = mine.where(~waits).with_only_columns(sa.func.count()).scalar_subquery()
        sending = mine.where(run_table.c.submission == "sending", wanted).exists()
        its_turn = mine.where(waits).exists() & (sent < backfills.c.max_active)
        query = sa.select(backfills).where(
            backfills.c.backfill_id.in_(slots),
            sa.or_(
                sa.and_(backfills.c.wanted == "run", may_run, sa.or_(sending, its_turn)),
                sa.and_(backfills.c.wanted == "stop", mine.where(wanted).exists()),
            ),
        )
        with self._transactions.reading(single=True) as connection:
            ordered = query.order_by(backfills.c.updated_at, backfills.c.backfill_id).limit(limit)
            rows = connection.execute(ordered).mappings().all()
        return tuple(map(backfill_of, rows))

    def backfill_runs(self, backfill_id: str) -> Sequence[Run]:
        query = (
            sa.select(run_table)
            .where(run_table.c.backfill_id == backfill_id)
            .order_by(run_table.c.run_date, run_table.c.run_id)
        )
        with self._transactions.reading(single=True) as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(run_of, rows))

    def backfill_counts(self, backfill_ids: Iterable[str]) -> Mapping[str, Mapping[RunStatus, int]]:
        which = run_table.c.backfill_id, run_table.c.status
        found: dict[str, dict[RunStatus, int]] = {}
        with self._transactions.reading() as connection:
            for some in batches(backfill_ids):
                query = sa.select(*which, sa.func.count()).where(run_table.c.backfill_id.in_(some)).group_by(*which)
                for backfill_id, status, number in connection.execute(query):
                    found.setdefault(backfill_id, {})[RunStatus(status)] = number
        return found


_IS_MINE: Final = run_table.c.backfill_id == backfills.c.backfill_id


def _lock_open_workflow(connection: Connection, backfill: Backfill) -> None:
    """Lock the workflow until the end of the transaction: no other transaction adds runs to it or retires it (SQLite has one writer)."""
    is_open = workflows.c.phase.not_in(["unregistering", "leaving", "gone"])
    query = sa.select(workflows.c.id).where(workflows.c.id == backfill.workflow_id, is_open).with_for_update()
    if connection.execute(query).first() is None:
        raise WorkflowNotFound(backfill.dataset_name)


def _number_dated(connection: Connection, workflow_id: UUID, first: date, last: date) -> int:
    query = sa.select(sa.func.count()).select_from(run_table).where(*dated_within(workflow_id, first, last))
    number: int = connection.execute(query).scalar_one()
    return number


def _changed(backfill: Backfill) -> ConcurrentUpdate:
    return ConcurrentUpdate(f"Backfill {backfill.backfill_id!r}")
