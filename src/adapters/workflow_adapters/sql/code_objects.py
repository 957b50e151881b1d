"""``CodeObjectPort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from workflow_adapters.sql.columns import UtcDateTime, json_type
from workflow_adapters.sql.mapping import code_object_of, code_object_row
from workflow_adapters.sql.tables import code_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.engine import Connection

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.code import CodeObject

_TYPED: Final = (sa.bindparam("problems", type_=json_type()), sa.bindparam("seen_at", type_=UtcDateTime()))
_INSERT: Final = (
    "INSERT INTO code_objects (dataset_name, etag, problems, checked_by, seen_at, version)"
    " VALUES (:dataset_name, :etag, :problems, :checked_by, :seen_at, 1) ON CONFLICT (dataset_name) DO"
)
_SET: Final = (
    "etag = excluded.etag, problems = excluded.problems, checked_by = excluded.checked_by, seen_at = excluded.seen_at"
)
_REMEMBER: Final = sa.text(f"{_INSERT} UPDATE SET {_SET}, version = code_objects.version + 1").bindparams(*_TYPED)
_ADD: Final = sa.text(f"{_INSERT} NOTHING").bindparams(*_TYPED)
_REPLACE: Final = sa.text(
    "UPDATE code_objects SET etag = :etag, problems = :problems, checked_by = :checked_by, seen_at = :seen_at, version = version + 1"
    " WHERE dataset_name = :dataset_name AND version = :version"
).bindparams(*_TYPED)
_FORGET: Final = sa.text("DELETE FROM code_objects WHERE dataset_name = :dataset_name AND version = :version")


class SqlCodeObjects:
    """:class:`~workflow_core.ports.code_objects.CodeObjectPort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def code_objects(self) -> Mapping[str, CodeObject]:
        with self._transactions.reading(single=True) as connection:
            rows = connection.execute(sa.select(code_objects)).mappings().all()
        return {row["dataset_name"]: code_object_of(row) for row in rows}

    def save_code_objects(self, changed: Iterable[CodeObject], removed: Iterable[CodeObject]) -> None:
        # in the order of the names: concurrent callers that save the same objects wait for each other and do not deadlock
        kept = [code_object_row(one) for one in sorted(changed, key=lambda one: one.dataset_name)]
        gone = [{"dataset_name": one.dataset_name, "version": one.version} for one in removed]
        steps: tuple[tuple[sa.TextClause, list[dict[str, Any]]], ...] = (
            (_ADD, [row for row in kept if row["version"] == 0]),
            (_REPLACE, [row for row in kept if row["version"] != 0]),
            (_FORGET, sorted(gone, key=lambda row: str(row["dataset_name"]))),
        )
        with self._transactions.writing() as connection:
            for statement, rows in steps:
                if rows:
                    connection.execute(statement, rows)


def remember(connection: Connection, seen: CodeObject | None) -> None:
    """Replace the stored record of this object, in the transaction that writes its workflow."""
    if seen is not None:
        connection.execute(_REMEMBER, code_object_row(seen))
