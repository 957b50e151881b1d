"""A world for tests of what the worker sees in Airflow: requests are counted, and things happen between two of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.support.world import DAG, NAME, World, a_spec
from workflow_core.errors import AirflowUnavailable
from workflow_core.fakes import InMemoryAirflow
from workflow_core.usecases.config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Callable


LATER = datetime(2026, 2, 1, tzinfo=UTC)


LATE = ServiceConfig().in_flight_limit.total_seconds()


ZONED = '{cron: "0 6 * * *", timezone: America/New_York}'


class Airflow(InMemoryAirflow):
    """The fake, which counts its calls; ``meanwhile`` runs once, between its answer to a pass and the next step of the pass."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked = 0
        self.meanwhile: list[Callable[[], object]] = []

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> Any:
        return self._then(super().list_dags(offset, limit=limit))

    def dag(self, dag_id: str) -> Any:
        return self._then(super().dag(dag_id))

    def _then(self, answer: Any) -> Any:
        while self.meanwhile:
            self.meanwhile.pop(0)()
        return answer

    def _reached(self, *, changes: bool = False) -> Any:
        self.asked += 1
        return super()._reached(changes=changes)


class Mirrored(World):
    """A registered workflow whose only task takes five seconds."""

    def drifted(self, *, paused: bool) -> Callable[..., Any]:
        """Change the pause state in Airflow, as a user would; return a function that reverts it."""
        if not paused:
            self.usecases.pause(NAME)
            self.clock.sleep(LATE)
            self.sweep()
        self.airflow.set_paused(DAG, paused=paused)
        self.sweep()
        assert len(self.types()) == 1
        return self.usecases.unpause if paused else self.usecases.pause

    def types(self, name: str = NAME) -> list[str]:
        return [condition.type.value for condition in self.usecases.workflow(name).conditions]

    def register_all(self, *names: str) -> None:
        for name in names:
            self.register(name, a_spec(name, schedule=ZONED))


def a_mirrored_world() -> Mirrored:
    """One registered workflow, which the worker has seen."""
    world = Mirrored.of(airflow=Airflow, task_seconds=5, fresh_for=3.0)
    world.register_all(NAME)
    world.sweep()
    return world


def away(*_: object, **__: object) -> None:
    msg = "away"
    raise AirflowUnavailable(msg)


def nothing(*_: object) -> None:
    """In the place of a parse."""
