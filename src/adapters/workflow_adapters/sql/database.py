"""``Database`` on PostgreSQL and SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import sqlalchemy as sa

from workflow_adapters.sql.audit import SqlAudit
from workflow_adapters.sql.backfills import SqlBackfills
from workflow_adapters.sql.code_objects import SqlCodeObjects
from workflow_adapters.sql.errors import wrong_revision
from workflow_adapters.sql.idempotency import SqlIdempotency
from workflow_adapters.sql.leases import SqlLeases
from workflow_adapters.sql.migrations import HEAD, is_served_by, revision_of
from workflow_adapters.sql.observations import SqlObservations
from workflow_adapters.sql.tables import ACTIVE_RUN
from workflow_adapters.sql.transactions import Transactions
from workflow_adapters.sql.workflows import SqlWorkflows
from workflow_core.domain.counts import Counts
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_COUNTS: Final = sa.text(
    "SELECT 'workflow', phase, count(*) FROM workflows WHERE phase <> 'gone' GROUP BY phase"  # noqa: S608 - our own conditions
    f" UNION ALL SELECT 'run', status, count(*) FROM workflow_runs WHERE {ACTIVE_RUN} GROUP BY status"
)


class SqlDatabase:
    """:class:`~workflow_core.ports.database.Database` on PostgreSQL or SQLite.

    ``engine`` comes from :func:`workflow_adapters.sql.engine.make_engine`. Threads may share one instance. The ports share one
    :class:`~workflow_adapters.sql.transactions.Transactions`, so a lease fences the writes of all of them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._transactions = Transactions(engine)
        self.workflows = SqlWorkflows(self._transactions)
        self.backfills = SqlBackfills(self._transactions)
        self.observations = SqlObservations(self._transactions)
        self.audit = SqlAudit(self._transactions)
        self.idempotency = SqlIdempotency(self._transactions)
        self.code_objects = SqlCodeObjects(self._transactions)
        self.leases = SqlLeases(self._transactions)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def counts(self) -> Counts:
        with self._transactions.reading(single=True) as connection:
            rows = connection.execute(_COUNTS).all()
        return Counts(
            workflows={Phase(state): number for kind, state, number in rows if kind == "workflow"},
            runs={RunStatus(state): number for kind, state, number in rows if kind == "run"},
        )

    def connections(self) -> tuple[int, int]:
        """The number of connections in use, and the size of the pool."""
        pool = cast("sa.QueuePool", self._engine.pool)
        return pool.checkedout(), pool.size()

    def check(self) -> None:
        # an earlier schema revision counts as unavailable, a later one does not
        with self._transactions.reading() as connection:
            found = revision_of(connection)
        if not is_served_by(found):
            raise wrong_revision(self._transactions.engine, found, HEAD)
