"""``ObservationPort`` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.fakes.store import in_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.conditions import AirflowState, Observation
    from workflow_core.fakes.store import Store


class InMemoryObservations:
    """:class:`~workflow_core.ports.observations.ObservationPort` in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def observed_until(self) -> datetime | None:
        with self._store.transaction("observed_until"):
            return self._store.observed_until

    def save_observed_until(self, until: datetime) -> None:
        with self._store.transaction("save_observed_until"):
            if self._is_progress(until):
                self._store.observed_until = in_utc(until)

    def observations(self, workflow_ids: Iterable[UUID]) -> Mapping[UUID, Observation]:
        with self._store.transaction("observations"):
            wanted = set(workflow_ids)
            return {key: self._store.kept(last) for key, last in self._store.observations.items() if key in wanted}

    def save_observations(self, observations: Sequence[Observation]) -> None:
        with self._store.transaction("save_observations"):
            new = [observation for observation in observations if self._is_news(observation)]
            self._store.observations |= {observation.workflow_id: self._store.kept(observation) for observation in new}

    def airflow_state(self) -> AirflowState:
        with self._store.transaction("airflow_state"):
            return self._store.airflow_state

    def save_airflow_state(self, state: AirflowState) -> None:
        with self._store.transaction("save_airflow_state"):
            self._store.airflow_state = self._store.kept(state)

    def _is_news(self, observation: Observation) -> bool:
        before = self._store.observations.get(observation.workflow_id)
        if before is None:
            return True
        moments = ((before.listed_at, observation.listed_at), (before.looked_at, observation.looked_at))
        return all(old is None or (new is not None and new >= old) for old, new in moments)

    def _is_progress(self, until: datetime) -> bool:
        return self._store.observed_until is None or until > self._store.observed_until
