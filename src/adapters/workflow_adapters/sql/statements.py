"""Statements of every request, compiled to text once.

SQLAlchemy's path from a compiled statement to the driver can take longer than the database itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from workflow_adapters.sql.columns import dump_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import sqlalchemy as sa
    from sqlalchemy.engine import Connection, CursorResult, Dialect


class Prepared:
    """A statement whose parameters are single values, not lists. On SQLite it is executed like every other statement."""

    def __init__(self, statement: sa.Update | sa.Insert | sa.Select[Any]) -> None:
        self._statement = statement

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute it with these values, in the types of their columns; the result has the number of changed rows."""
        if connection.dialect.name != "postgresql":
            return connection.execute(self._statement, values, execution_options={"preserve_rowcount": True})
        text, constants, conversions = self._compiled
        given = {**constants, **values}
        for name, converted in conversions:
            given[name] = converted(given[name])
        return connection.exec_driver_sql(text, given)

    @cached_property
    def _compiled(self) -> tuple[str, Mapping[str, Any], list[tuple[str, Callable[[Any], Any]]]]:
        """The text, the constant parameters, and the converters of the other parameters for the driver."""
        dialect: Dialect = PGDialect_psycopg(json_serializer=dump_json)  # type: ignore[no-untyped-call]
        compiled: Any = self._statement.compile(dialect=dialect)
        types = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
        conversions = [(name, kind.bind_processor(dialect)) for name, kind in types.items()]
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return str(compiled), constants, [(name, converted) for name, converted in conversions if converted is not None]
