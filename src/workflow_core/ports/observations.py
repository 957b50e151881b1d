"""The port for what was observed in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from workflow_core.domain.conditions import AirflowState, Observation


@runtime_checkable
class ObservationPort(Protocol):
    """Stores the last observation of each workflow, and the state of the mirror.

    :class:`~workflow_core.ports.database.Database` lists the rules that hold for every method.
    """

    def observed_until(self) -> datetime | None:
        """The moment up to which the changes in Airflow were mirrored; None before the first :meth:`save_observed_until`."""
        ...

    def save_observed_until(self, until: datetime) -> None:
        """Store the moment up to which the changes in Airflow were mirrored. A moment before the stored one is ignored."""
        ...

    def observations(self, workflow_ids: Iterable[UUID]) -> Mapping[UUID, Observation]:
        """The last observations of these workflows. Workflows that were never observed are left out."""
        ...

    def save_observations(self, observations: Sequence[Observation]) -> None:
        """Store observations, each in place of the previous one of the same workflow.

        An observation is ignored if ``listed_at`` or ``looked_at`` would go back or become None. Of two observations with equal
        moments, the one saved last counts.
        """
        ...

    def airflow_state(self) -> AirflowState:
        """The state of the mirror; initially a new :class:`AirflowState`."""
        ...

    def save_airflow_state(self, state: AirflowState) -> None:
        """Store the state of the mirror. The last call counts."""
        ...
