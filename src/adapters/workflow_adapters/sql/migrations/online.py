"""What a revision may do to a table that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

from workflow_adapters.sql.migrations import LOCK_WAIT

if TYPE_CHECKING:
    from collections.abc import Sequence


def create_index(
    name: str, table: str, columns: Sequence[str], *, unique: bool = False, where: str | None = None
) -> None:
    """Make an index while others write. It comes last in its revision: on PostgreSQL it ends the transaction that came before.

    One that a failed attempt has left, which PostgreSQL keeps as invalid, is dropped first, so that the revision can be repeated;
    what comes before in the revision must be repeatable too (``if_not_exists``).
    """
    context = op.get_context()
    condition = None if where is None else sa.text(where)
    if context.dialect.name != "postgresql":
        op.create_index(name, table, list(columns), unique=unique, sqlite_where=condition)
        return
    with context.autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for every older transaction, and blocks no other statement
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            if_not_exists=True,
            postgresql_where=condition,
            postgresql_concurrently=True,
        )
        op.execute(f"SET lock_timeout = {LOCK_WAIT}")
