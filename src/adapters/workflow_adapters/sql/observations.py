"""``ObservationPort`` on PostgreSQL and SQLite."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.dialects import upsert_into
from workflow_adapters.sql.runs import batches
from workflow_adapters.sql.tables import airflow_state, observation, observations
from workflow_core.domain.conditions import AirflowState, Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from workflow_adapters.sql.transactions import Transactions


_SAVE_UNTIL: Final = sa.text(
    "INSERT INTO observation (id, until) VALUES (1, :until)"
    " ON CONFLICT (id) DO UPDATE SET until = excluded.until WHERE observation.until < excluded.until"
).bindparams(sa.bindparam("until", type_=UtcDateTime()))


class SqlObservations:
    """:class:`~workflow_core.ports.observations.ObservationPort` on PostgreSQL or SQLite."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def observed_until(self) -> datetime | None:
        with self._transactions.reading() as connection:
            until: datetime | None = connection.execute(sa.select(observation.c.until)).scalar()
        return until

    def save_observed_until(self, until: datetime) -> None:
        with self._transactions.writing() as connection:
            connection.execute(_SAVE_UNTIL, {"until": until})

    def observations(self, workflow_ids: Iterable[UUID]) -> Mapping[UUID, Observation]:
        with self._transactions.reading() as connection:
            rows = [
                row
                for some in batches(workflow_ids)
                for row in connection.execute(
                    sa.select(observations).where(observations.c.workflow_id.in_(some))
                ).mappings()
            ]
        return {row["workflow_id"]: _observation_of(row) for row in rows}

    def save_observations(self, seen: Sequence[Observation]) -> None:
        if not seen:
            return
        rows = [_observation_row(one) for one in sorted(seen, key=lambda one: one.workflow_id)]
        with self._transactions.writing() as connection:
            never_back = ("listed_at", "looked_at")
            connection.execute(upsert_into(connection, observations, "workflow_id", never_back=never_back), rows)

    def airflow_state(self) -> AirflowState:
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(sa.select(airflow_state)).mappings().first()
        return AirflowState() if row is None else AirflowState(**{name: row[name] for name in row if name != "id"})

    def save_airflow_state(self, state: AirflowState) -> None:
        row = {
            "id": 1,
            "tried_at": state.tried_at,
            "reached_at": state.reached_at,
            "unreachable_since": state.unreachable_since,
            "detail": state.detail,
            "offset": state.offset,
            "cycle_at": state.cycle_at,
            "last_cycle_at": state.last_cycle_at,
        }
        with self._transactions.writing(single=True) as connection:
            connection.execute(upsert_into(connection, airflow_state, "id"), row)


def _observation_row(seen: Observation) -> dict[str, Any]:
    return {
        "workflow_id": seen.workflow_id,
        "listed_at": seen.listed_at,
        "looked_at": seen.looked_at,
        "facts": {
            "is_served": seen.is_served,
            "is_paused": seen.is_paused,
            "has_import_errors": seen.has_import_errors,
            "spec_hash": seen.spec_hash,
            "error": seen.error,
            "next_run": seen.next_run and seen.next_run.isoformat(),
            "is_stored": seen.is_stored,
            "stored_hash": seen.stored_hash,
            "since": {kind: moment.isoformat() for kind, moment in seen.since.items()},
        },
    }


def _observation_of(row: Mapping[Any, Any]) -> Observation:
    facts = dict(row["facts"])
    next_run, since = facts.pop("next_run"), facts.pop("since")
    return Observation(
        workflow_id=row["workflow_id"],
        listed_at=row["listed_at"],
        looked_at=row["looked_at"],
        next_run=None if next_run is None else datetime.fromisoformat(next_run),
        since={kind: datetime.fromisoformat(moment) for kind, moment in since.items()},
        **facts,
    )
