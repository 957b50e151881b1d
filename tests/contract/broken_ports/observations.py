"""The port for observations, each time with one rule broken."""

from __future__ import annotations

from typing import Any

from workflow_core.fakes.observations import InMemoryObservations


class OneObservationIsKept(InMemoryObservations):
    def save_observations(self, observations: Any) -> None:
        super().save_observations(observations[:1])


class FirstObservationStays(InMemoryObservations):
    def save_observations(self, observations: Any) -> None:
        super().save_observations([seen for seen in observations if seen.workflow_id not in self._store.observations])


class OlderObservationCounts(InMemoryObservations):
    def _is_news(self, seen: Any) -> bool:
        return True


class ALookMayGoBack(InMemoryObservations):
    def _is_news(self, seen: Any) -> bool:
        before = self._store.observations.get(seen.workflow_id)
        return before is None or before.listed_at is None or (seen.listed_at or before.listed_at) >= before.listed_at


class EquallyNewIsNoNews(InMemoryObservations):
    def _is_news(self, seen: Any) -> bool:
        before = self._store.observations.get(seen.workflow_id)
        is_as_new = before is not None and (before.listed_at, before.looked_at) == (seen.listed_at, seen.looked_at)
        return super()._is_news(seen) and not is_as_new


class EveryObservationIsTold(InMemoryObservations):
    def observations(self, workflow_ids: Any) -> Any:
        return super().observations(self._store.workflows)


class FirstStateStays(InMemoryObservations):
    def save_airflow_state(self, state: Any) -> None:
        super().save_airflow_state(state if self.airflow_state().reached_at is None else self.airflow_state())


class MarksGoBack(InMemoryObservations):
    def _is_progress(self, until: Any) -> bool:
        return True


class FirstMarkStays(InMemoryObservations):
    def _is_progress(self, until: Any) -> bool:
        return self._store.observed_until is None
