"""One transaction, around nothing but its statements."""

from __future__ import annotations

from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from workflow_adapters.sql.engine import BEGIN_IMMEDIATE
from workflow_adapters.sql.errors import is_unanswered, outcome_unknown, unavailable
from workflow_adapters.sql.tables import leases
from workflow_core.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection, Engine

    from workflow_core.domain.lease import Lease


class Transactions:
    """Transactions on an engine of :func:`workflow_adapters.sql.engine.make_engine`, with the driver's errors translated.

    A transaction of a ``single`` statement needs no BEGIN and COMMIT around it on PostgreSQL, where each is a round trip.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self._held = local()
        self._reader: Engine = engine
        self._single_reader = engine
        self._writer: Engine = engine.execution_options(**{BEGIN_IMMEDIATE: True})
        self._single_writer: Engine = self._writer
        if self.dialect == "postgresql":  # in autocommit, see `make_engine`
            # several statements of one answer see one state; SQLite's readers always do
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")
            self._writer = engine.execution_options(isolation_level="READ COMMITTED")
            self._single_writer = engine

    @contextmanager
    def reading(self, *, single: bool = False) -> Iterator[Connection]:
        """A transaction that only reads, all of it from one snapshot."""
        reader = self._single_reader if single else self._reader
        with unavailable(self.engine), self._opened(reader) as connection:
            yield connection

    @contextmanager
    def writing(self, *, single: bool = False, fenced: bool = True) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block, rolled back if that raises.

        Raises:
            LeaseLost: ``fenced`` is set, and the lease of this thread is lost.
        """
        lease: Lease | None = getattr(self._held, "lease", None) if fenced else None
        writer = self._single_writer if single and lease is None else self._writer
        commits = False
        with unavailable(self.engine):
            try:
                with self._opened(writer) as connection:
                    if lease is not None:
                        _hold(connection, lease)
                    commits = writer is not self._writer  # then each statement commits on its own
                    yield connection
                    commits = True
            except DBAPIError as error:
                if commits and is_unanswered(self.engine, error):
                    raise outcome_unknown(self.engine) from error
                raise

    def _opened(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A connection in a transaction, or in autocommit: then there is nothing that a commit would do."""
        autocommits = self.dialect == "postgresql" and engine is self.engine
        return engine.connect() if autocommits else engine.begin()

    @contextmanager
    def under(self, lease: Lease) -> Iterator[None]:
        """Fence the writes of this thread with the lease."""
        before = getattr(self._held, "lease", None)
        self._held.lease = lease
        try:
            yield
        finally:
            self._held.lease = before


def held(lease: Lease) -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions that the lease is neither acquired by another owner nor released."""
    same = leases.c.subject == lease.lease_key, leases.c.owner == lease.owner, leases.c.epoch == lease.epoch
    return *same, sa.not_(leases.c.released)


def _hold(connection: Connection, lease: Lease) -> None:
    """Lock a lease until the end of the transaction: a caller that acquires its key waits for that."""
    locked = sa.select(leases.c.epoch).where(*held(lease)).with_for_update(read=True)
    if connection.execute(locked).first() is None:
        raise LeaseLost(lease.lease_key)
