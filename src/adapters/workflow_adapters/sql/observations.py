"""The part of the adapter that is about what was seen: of each workflow, and of Airflow as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from workflow_adapters.sql.columns import UtcDateTime
from workflow_adapters.sql.dialects import upsert_into
from workflow_adapters.sql.mapping import workflow_of
from workflow_adapters.sql.runs import batches
from workflow_adapters.sql.tables import LIVE, airflow_state, observations, workflows
from workflow_core.domain.conditions import AirflowState, Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from workflow_adapters.sql.transactions import Transactions
    from workflow_core.domain.workflow import Workflow


class SqlMirror:
    """What was seen."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def workflows_of_dags(self, dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
        """As the port says."""
        with self._transactions.reading() as connection:
            rows = [
                row
                for some in batches(dag_ids)
                for row in connection.execute(
                    sa.select(workflows).where(sa.text(LIVE), workflows.c.dag_id.in_(some))
                ).mappings()
            ]
        return {found.dag_id: found for found in map(workflow_of, rows)}

    def workflows_to_look_at(self, limit: int, *, listed_before: datetime) -> Sequence[Workflow]:
        """As the port says."""
        looked = observations.c.looked_at
        before = sa.literal(listed_before, UtcDateTime())
        known = sa.or_(observations.c.listed_at >= before, looked >= before)
        order = (
            sa.case((known, 1), else_=0),
            looked.asc().nulls_first(),
            workflows.c.dataset_name,
        )
        query = (
            sa.select(workflows)
            .select_from(workflows.outerjoin(observations, observations.c.workflow_id == workflows.c.id))
            .where(workflows.c.phase.in_(["served", "failed"]))
            .order_by(*order)
            .limit(limit)
        )
        with self._transactions.reading(single=True) as connection:
            return tuple(map(workflow_of, connection.execute(query).mappings()))

    def observations(self, workflow_ids: Iterable[UUID]) -> Mapping[UUID, Observation]:
        """As the port says."""
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
        """As the port says."""
        if not seen:
            return
        rows = [_observation_row(one) for one in sorted(seen, key=lambda one: one.workflow_id)]
        with self._transactions.writing() as connection:
            never_back = ("listed_at", "looked_at")
            connection.execute(upsert_into(connection, observations, "workflow_id", never_back=never_back), rows)

    def airflow_state(self) -> AirflowState:
        """As the port says."""
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(sa.select(airflow_state)).mappings().first()
        return AirflowState() if row is None else AirflowState(**{name: row[name] for name in row if name != "id"})

    def save_airflow_state(self, state: AirflowState) -> None:
        """As the port says."""
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
