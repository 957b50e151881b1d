"""Statements that are executed with every request, compiled to text once.

SQLAlchemy's way from a compiled statement to the driver is long enough to take longer than the database, on a core that did something
else meanwhile.
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
    """A statement each of whose parameters is one value, no list. Elsewhere than on PostgreSQL it is executed as any other."""

    def __init__(self, statement: sa.Update | sa.Insert | sa.Select[Any]) -> None:
        self._statement = statement

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute it with these values, in the types of their columns; the result tells how many rows it changed."""
        if connection.dialect.name != "postgresql":
            return connection.execute(self._statement, values, execution_options={"preserve_rowcount": True})
        text, constants, conversions = self._compiled
        given = {**constants, **values}
        for name, converted in conversions:
            given[name] = converted(given[name])
        return connection.exec_driver_sql(text, given)

    @cached_property
    def _compiled(self) -> tuple[str, Mapping[str, Any], list[tuple[str, Callable[[Any], Any]]]]:
        """The text, the parameters that the statement itself has values of, and what makes the others fit for the driver."""
        dialect: Dialect = PGDialect_psycopg(json_serializer=dump_json)  # type: ignore[no-untyped-call]
        compiled: Any = self._statement.compile(dialect=dialect)
        types = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
        conversions = [(name, kind.bind_processor(dialect)) for name, kind in types.items()]
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return str(compiled), constants, [(name, converted) for name, converted in conversions if converted is not None]
