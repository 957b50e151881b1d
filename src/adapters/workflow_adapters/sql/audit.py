"""The part of the adapter that is about what was asked for: the audit, and idempotency keys."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.errors import violated
from workflow_adapters.sql.mapping import audit_of, audit_row, key_of, key_row
from workflow_adapters.sql.tables import audit_events as events
from workflow_adapters.sql.tables import idempotency_keys as keys
from workflow_adapters.sql.visibility import is_of_visible_name
from workflow_core.domain.act import audit_event, key_record
from workflow_core.domain.names import uuid7
from workflow_core.domain.paging import Page, key_id, key_moment, moment_key
from workflow_core.errors import KeyInUse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.act import AuditEntry, AuditEvent, AuditFilter, KeyRecord
    from workflow_core.domain.paging import PageRequest

_TAKEN: Final = frozenset({"pk_idempotency_keys", "uq_idempotency_keys_scope_key"})
_MINE: Final = (keys.c.scope == sa.bindparam("of_scope"), keys.c.key == sa.bindparam("of_key"))
_FIND: Final = sa.select(keys).where(*_MINE)
_KEEP: Final = (
    keys.update()
    .where(*_MINE)
    .values(answer=sa.func.coalesce(keys.c.answer, sa.bindparam("new_answer")))
    .returning(keys.c.answer)
)
_KEEP_WITHOUT_FLUSH: Final = _KEEP.where(sa.func.set_config("synchronous_commit", "off", sa.true()).is_not(None))
"""For PostgreSQL: nobody waits for the disk; the port allows that a crash of the database loses an answer."""
_FORGET: Final = keys.delete().where(
    sa.tuple_(keys.c.scope, keys.c.key).in_(
        sa.select(keys.c.scope, keys.c.key)
        .where(keys.c.at < sa.bindparam("before", type_=UtcDateTime()))
        .order_by(keys.c.at)
        .limit(sa.bindparam("most"))
    )
)


class SqlActs:
    """What was asked for."""

    _transactions: Transactions

    def record(self, act: AuditEntry) -> None:
        """As the port says."""
        with acting(self._transactions, act):
            pass

    def audit(self, where: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
        """As the port says."""
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

    def key(self, scope: str, text: str) -> KeyRecord | None:
        """As the port says."""
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(_FIND, {"of_scope": scope, "of_key": text}).mappings().first()
        return None if row is None else key_of(row)

    def keep_answer(self, scope: str, text: str, answer: str) -> str | None:
        """As the port says."""
        values = {"of_scope": scope, "of_key": text, "new_answer": answer}
        with self._transactions.writing(single=True) as connection:
            on_postgresql = connection.dialect.name == "postgresql"
            kept: str | None = connection.execute(_KEEP_WITHOUT_FLUSH if on_postgresql else _KEEP, values).scalar()
        return kept

    def forget_keys(self, before: datetime, limit: int) -> int:
        """As the port says."""
        with self._transactions.writing(single=True) as connection:
            return connection.execute(_FORGET, {"before": before, "most": limit}).rowcount


@contextmanager
def acting(transactions: Transactions, act: AuditEntry | None, *, single: bool = False) -> Iterator[Connection]:
    """A transaction that records the act with what the block changes; ``single`` as for ``writing``, where there is none.

    Raises:
        KeyInUse: as the port says.
    """
    rows = rows_of(act)
    with taken(act), transactions.writing(single=single and not rows) as connection:
        yield connection
        insert(connection, rows)


def insert(connection: Connection, rows: Mapping[sa.Table, Mapping[str, Any]]) -> None:
    """Insert these rows, one in each table."""
    for table, row in rows.items():
        connection.execute(table.insert(), row)


@contextmanager
def taken(act: AuditEntry | None) -> Iterator[None]:
    """Raise :class:`KeyInUse` where the database refuses the key."""
    try:
        yield
    except IntegrityError as error:
        if act is None or act.caller.key is None or violated(error) not in _TAKEN:
            raise
        raise KeyInUse(act.caller.key.text) from error


def rows_of(act: AuditEntry | None) -> dict[sa.Table, dict[str, Any]]:
    """What is recorded of an act, by table."""
    if act is None:
        return {}
    rows = {events: audit_row(audit_event(act, uuid7(act.at)))}
    record = key_record(act)
    return rows if record is None else {**rows, keys: key_row(record)}


def _conditions(where: AuditFilter, dialect: str) -> Sequence[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if where.visible is not None:
        found.append(is_of_visible_name(events.c.dataset_name, where.visible, dialect))
    if where.dataset_name is not None:
        found.append(events.c.dataset_name == where.dataset_name)
    if where.action is not None:
        found.append(events.c.action == where.action.value)
    if where.who is not None:
        found.append(events.c.who == where.who)
    if where.since is not None:
        found.append(events.c.at >= where.since)
    if where.until is not None:
        found.append(events.c.at < where.until)
    return found
