"""The part of the adapter that is about leases."""

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
    """Leases."""

    _transactions: Transactions

    def claim(self, subjects: Iterable[str], *, owner: str, at: datetime, until: datetime) -> Mapping[str, Lease]:
        """As the port says: one statement, in which the database decides who of several gets a subject. In the order of the subjects, so
        that two who claim the same ones wait for each other and do not stand still.
        """
        wanted = sorted(set(subjects))
        if not wanted:
            return {}
        with self._transactions.writing(fenced=False) as connection:
            statement = insert_into(connection, leases).values(
                [{"subject": subject, "owner": owner, "epoch": 1, "until": until} for subject in wanted]
            )
            new = statement.excluded
            claimed = statement.on_conflict_do_update(
                index_elements=["subject"],
                set_={"owner": new.owner, "epoch": leases.c.epoch + 1, "until": new.until, "released": False},
                where=sa.or_(leases.c.released, leases.c.until <= at),
            ).returning(leases.c.subject, leases.c.owner, leases.c.epoch, leases.c.until)
            rows = connection.execute(claimed).mappings().all()
        return {row["subject"]: Lease(**row) for row in rows}

    def renew(self, lease: Lease, until: datetime) -> Lease:
        """As the port says."""
        with self._transactions.writing(fenced=False) as connection:
            if connection.execute(leases.update().where(*held(lease)).values(until=until)).rowcount == 0:
                raise LeaseLost(lease.subject)
            kept = connection.execute(sa.select(leases.c.until).where(*held(lease))).scalar_one()
        return evolve(lease, until=kept)

    def release(self, held_leases: Iterable[Lease]) -> None:
        """As the port says."""
        ending = sorted(held_leases, key=lambda lease: lease.subject)
        if not ending:
            return
        with self._transactions.writing(fenced=False) as connection:
            for lease in ending:
                connection.execute(leases.update().where(*held(lease)).values(released=True))

    def under(self, lease: Lease) -> AbstractContextManager[None]:
        """As the port says."""
        return self._transactions.under(lease)

    def forget_leases(self, before: datetime) -> None:
        """As the port says."""
        with self._transactions.writing(fenced=False) as connection:
            connection.execute(leases.delete().where(leases.c.until < before))
