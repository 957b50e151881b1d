"""Statements that both databases spell alike, and SQLAlchemy separately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable


def insert_into(connection: sa.Connection, table: sa.Table) -> postgresql.Insert:
    """An INSERT with support for ON CONFLICT, for the database of this connection."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)  # type: ignore[return-value] # has the same methods


def upsert_into(
    connection: sa.Connection, table: sa.Table, key: str, *, never_back: Iterable[str] = ()
) -> postgresql.Insert:
    """Insert a row or replace the stored one, unless a column of ``never_back`` would become smaller or NULL."""
    statement = insert_into(connection, table)
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name != key}
    kept = [sa.or_(table.c[name].is_(None), statement.excluded[name] >= table.c[name]) for name in never_back]
    return statement.on_conflict_do_update(index_elements=[key], set_=others, where=sa.and_(*kept) if kept else None)
