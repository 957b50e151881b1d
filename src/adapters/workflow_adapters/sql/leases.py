"""``LeasePort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from attrs import evolve

from workflow_adapters.sql.dialects import insert_into
from workflow_adapters.sql.tables import leases
from workflow_adapters.sql.transactions import held
from workflow_core.domain.lease import Lease
from workflow_core.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from workflow_adapters.sql.transactions import Transactions


class SqlLeases:
    """:class:`~workflow_core.ports.leases.LeasePort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def acquire(self, lease_keys: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        # one statement, in which the database decides which caller gets a key; in the order of the keys, so that concurrent callers
        # that acquire the same keys wait for each other and do not deadlock
        wanted = sorted(set(lease_keys))
        if not wanted:
            return {}
        with self._transactions.writing(fenced=False) as connection:
            statement = insert_into(connection, leases).values(
                [{"subject": lease_key, "owner": owner, "epoch": 1, "until": until} for lease_key in wanted]
            )
            new = statement.excluded
            acquired = statement.on_conflict_do_update(
                index_elements=["subject"],
                set_={"owner": new.owner, "epoch": leases.c.epoch + 1, "until": new.until, "released": False},
                where=sa.or_(leases.c.released, leases.c.until <= at),
            ).returning(leases.c.subject.label("lease_key"), leases.c.owner, leases.c.epoch, leases.c.until)
            rows = connection.execute(acquired).mappings().all()
        return {row["lease_key"]: Lease(**row) for row in rows}

    def renew(self, lease: Lease, until: datetime) -> Lease:
        with self._transactions.writing(fenced=False) as connection:
            if connection.execute(leases.update().where(*held(lease)).values(until=until)).rowcount == 0:
                raise LeaseLost(lease.lease_key)
            kept = connection.execute(sa.select(leases.c.until).where(*held(lease))).scalar_one()
        return evolve(lease, until=kept)

    def release(self, held_leases: Iterable[Lease]) -> None:
        ending = sorted(held_leases, key=lambda lease: lease.lease_key)
        if not ending:
            return
        with self._transactions.writing(fenced=False) as connection:
            for lease in ending:
                connection.execute(leases.update().where(*held(lease)).values(released=True))

    def under(self, lease: Lease) -> AbstractContextManager[None]:
        return self._transactions.under(lease)

    def purge_leases(self, before: datetime) -> None:
        with self._transactions.writing(fenced=False) as connection:
            connection.execute(leases.delete().where(leases.c.until < before))
