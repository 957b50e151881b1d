"""One transaction, around nothing but its statements."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from adapters.sql.engine import BEGIN_IMMEDIATE
from adapters.sql.errors import is_unanswered, outcome_unknown, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine


class Transactions:
    """Transactions on an engine of :func:`adapters.sql.engine.make_engine`, with the driver's errors translated.

    A transaction of a ``single`` statement needs no BEGIN and COMMIT around it on PostgreSQL, where each is a round trip.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{BEGIN_IMMEDIATE: True})
        self._reader = engine
        self._single_reader, self._single_writer = self._reader, self._writer
        if engine.dialect.name == "postgresql":
            # several statements of one answer see one state; SQLite's readers always do
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")
            self._single_reader = self._single_writer = engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def reading(self, *, single: bool = False) -> Iterator[Connection]:
        """A transaction that only reads, all of it from one snapshot."""
        with unavailable(self.engine), (self._single_reader if single else self._reader).begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, single: bool = False) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block, rolled back if that raises."""
        writer = self._single_writer if single else self._writer
        commits = False
        with unavailable(self.engine):
            try:
                with writer.begin() as connection:
                    commits = writer is not self._writer  # then each statement does so by itself
                    yield connection
                    commits = True
            except DBAPIError as error:
                if commits and is_unanswered(self.engine, error):
                    raise outcome_unknown(self.engine) from error
                raise
