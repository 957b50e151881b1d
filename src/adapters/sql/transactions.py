"""One transaction, around nothing but its statements."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from adapters.sql.engine import BEGIN_IMMEDIATE
from adapters.sql.errors import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine


class Transactions:
    """Transactions on an engine of :func:`adapters.sql.engine.make_engine`, with the driver's errors translated."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{BEGIN_IMMEDIATE: True})
        # several statements of one answer see one state; SQLite's readers always do
        snapshot = engine.dialect.name == "postgresql"
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ") if snapshot else engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, all of it from one snapshot."""
        with unavailable(self.engine), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block, rolled back if that raises."""
        with unavailable(self.engine), self._writer.begin() as connection:
            yield connection
