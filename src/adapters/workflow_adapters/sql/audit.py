"""``AuditPort`` on PostgreSQL and SQLite, and the transaction that writes an audit entry with its change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.idempotency import taken
from workflow_adapters.sql.mapping import audit_of, audit_row, key_row
from workflow_adapters.sql.tables import audit_events as events
from workflow_adapters.sql.tables import idempotency_keys as keys
from workflow_adapters.sql.visibility import is_of_visible_name
from workflow_core.domain.audit import audit_event, key_record
from workflow_core.domain.names import uuid7
from workflow_core.domain.paging import Page, key_id, key_moment, moment_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.audit import AuditEntry, AuditEvent, AuditFilter
    from workflow_core.domain.paging import PageRequest


class SqlAudit:
    """:class:`~workflow_core.ports.audit.AuditPort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def append(self, act: AuditEntry) -> None:
        with audited(self._transactions, act):
            pass

    def list_events(self, where: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        conditions = _conditions(where, self._transactions.dialect)
        place = sa.tuple_(events.c.at, events.c.id)
        after = []
        if page.after is not None:
            moment, event_id = key_moment(page.after[0]), key_id(page.after[1])
            after = [place < sa.tuple_(sa.literal(moment, UtcDateTime()), sa.literal(event_id, sa.Uuid()))]
        query = sa.select(events).where(*conditions, *after).order_by(events.c.at.desc(), events.c.id.desc())
        with self._transactions.reading() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(events).where(*conditions)).scalar_one()
            rows = connection.execute(query.limit(page.limit + 1).offset(page.offset)).mappings().all()
        found = tuple(map(audit_of, rows[: page.limit]))
        key = (moment_key(found[-1].at), str(found[-1].id)) if len(rows) > page.limit else None
        return Page(items=found, total=total, next_after=key)


@contextmanager
def audited(transactions: Transactions, act: AuditEntry | None, *, single: bool = False) -> Iterator[Connection]:
    """A transaction that writes the audit entry and the idempotency key together with the changes of the block.

    ``single`` has the meaning of :meth:`Transactions.writing` if there is no entry.

    Raises:
        KeyInUse: The idempotency key of the entry has a record already; nothing was written.
    """
    rows = rows_of(act)
    with taken(act), transactions.writing(single=single and not rows) as connection:
        yield connection
        insert(connection, rows)


def insert(connection: Connection, rows: Mapping[sa.Table, Mapping[str, Any]]) -> None:
    """Insert these rows, one into each table."""
    for table, row in rows.items():
        connection.execute(table.insert(), row)


def rows_of(act: AuditEntry | None) -> dict[sa.Table, dict[str, Any]]:
    """The rows that record the entry, by table."""
    if act is None:
        return {}
    rows = {events: audit_row(audit_event(act, uuid7(act.at)))}
    record = key_record(act)
    return rows if record is None else {**rows, keys: key_row(record)}


def _conditions(where: AuditFilter, dialect: str) -> Sequence[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if where.visible is not None:
        conditions.append(is_of_visible_name(events.c.dataset_name, where.visible, dialect))
    if where.dataset_name is not None:
        conditions.append(events.c.dataset_name == where.dataset_name)
    if where.action is not None:
        conditions.append(events.c.action == where.action.value)
    if where.who is not None:
        conditions.append(events.c.who == where.who)
    if where.since is not None:
        conditions.append(events.c.at >= where.since)
    if where.until is not None:
        conditions.append(events.c.at < where.until)
    return conditions
