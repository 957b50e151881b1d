"""``IdempotencyPort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.errors import violated
from workflow_adapters.sql.mapping import key_of
from workflow_adapters.sql.tables import idempotency_keys as keys
from workflow_core.errors import KeyInUse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.audit import AuditEntry, KeyRecord

_TAKEN: Final = frozenset({"pk_idempotency_keys", "uq_idempotency_keys_scope_key"})
_SAME_KEY: Final = (keys.c.scope == sa.bindparam("of_scope"), keys.c.key == sa.bindparam("of_key"))
_FIND: Final = sa.select(keys).where(*_SAME_KEY)
_STORE: Final = (
    keys.update()
    .where(*_SAME_KEY)
    .values(answer=sa.func.coalesce(keys.c.answer, sa.bindparam("new_answer")))
    .returning(keys.c.answer)
)
_STORE_WITHOUT_FLUSH: Final = _STORE.where(sa.func.set_config("synchronous_commit", "off", sa.true()).is_not(None))
"""For PostgreSQL: the commit does not wait for the disk; the port allows a crash of the database to lose a response."""
_PURGE: Final = keys.delete().where(
    sa.tuple_(keys.c.scope, keys.c.key).in_(
        sa.select(keys.c.scope, keys.c.key)
        .where(keys.c.at < sa.bindparam("before", type_=UtcDateTime()))
        .order_by(keys.c.at)
        .limit(sa.bindparam("most"))
    )
)


class SqlIdempotency:
    """:class:`~workflow_core.ports.idempotency.IdempotencyPort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def key_record(self, scope: str, text: str) -> KeyRecord | None:
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(_FIND, {"of_scope": scope, "of_key": text}).mappings().first()
        return None if row is None else key_of(row)

    def store_response(self, scope: str, text: str, answer: str) -> str | None:
        values = {"of_scope": scope, "of_key": text, "new_answer": answer}
        with self._transactions.writing(single=True) as connection:
            on_postgresql = connection.dialect.name == "postgresql"
            kept: str | None = connection.execute(_STORE_WITHOUT_FLUSH if on_postgresql else _STORE, values).scalar()
        return kept

    def purge_keys(self, before: datetime, limit: int) -> int:
        with self._transactions.writing(single=True) as connection:
            return connection.execute(_PURGE, {"before": before, "most": limit}).rowcount


@contextmanager
def taken(act: AuditEntry | None) -> Iterator[None]:
    """Raise :class:`KeyInUse` if the database refuses the key of the entry."""
    try:
        yield
    except IntegrityError as error:
        if act is None or act.caller.key is None or violated(error) not in _TAKEN:
            raise
        raise KeyInUse(act.caller.key.text) from error
