"""The fixtures of the suite: two equal systems, one of them behind the API under test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import pytest

from workflow_core.api import RegisterRequest, RunRequest
from workflow_core.domain.caller import Caller
from workflow_core.errors import WorkflowError
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.api import WorkflowApi
    from workflow_core.ports.database import Database

T = TypeVar("T")

NAME: Final = "iceberg.analytics.daily_clicks"
AT: Final = datetime(2026, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)
"""A moment with microseconds, so that a test detects a difference in them."""
CALLER: Final = Caller(name="user@example.com")
YAML: Final = """\
version: v1
name: {name}
owner: data@example.com
team: "@data-eng"
description: Clicks per day, ünïcode 数据 🙂
schedule: {{cron: 0 6 * * *, timezone: America/New_York}}
params: {{region: EU, note: "", limit: {{default: 10, enum: [10, 20]}}}}
tasks:
  - {{task_id: extract, operator: bash, bash_command: "true"}}
  - {{task_id: load, operator: empty, dependencies: [extract]}}
"""


class ApiWorld:
    """A service over the fakes with a manual clock. ``database`` may be another, empty implementation."""

    def __init__(self, database: Database | None = None) -> None:
        self.clock = ManualClock(AT)
        self.storage = InMemoryStorage()
        self.airflow = InMemoryAirflow(storage=self.storage, clock=self.clock, queue_seconds=1, task_seconds=2)
        self.service = WorkflowService(
            database=database or InMemoryDatabase(),
            airflow=self.airflow,
            storage=self.storage,
            clock=self.clock,
            caller=CALLER,
        )
        self.sweeper = Sweeper(self.service.context)


class Twins:
    """The API under test and a :class:`WorkflowService`, over two worlds with the same history."""

    def __init__(self, subject: WorkflowApi, world: ApiWorld) -> None:
        twin = ApiWorld()
        self._apis = (subject, twin.service)
        self._worlds = (world, twin)

    def answer(self, ask: Callable[[WorkflowApi], T]) -> T:
        """The answer of the API under test, which must equal the answer of the other one."""
        answer, expected = (ask(api) for api in self._apis)
        assert answer == expected
        assert type(answer) is type(expected)
        return answer

    def error(self, ask: Callable[[WorkflowApi], object]) -> WorkflowError:
        """The error of the API under test, which must equal the error of the other one."""
        error, expected = (_raised(api, ask) for api in self._apis)
        assert type(error) is type(expected)
        assert (error.code, error.message, error.problems) == (expected.code, expected.message, expected.problems)
        assert str(error) == str(expected)
        return error

    def each(self, do: Callable[[ApiWorld], object]) -> None:
        """Change both worlds in the same way, without the API."""
        for world in self._worlds:
            do(world)

    def register(self, name: str = NAME, yaml: str = YAML) -> None:
        """Register a workflow in both worlds."""
        self.answer(lambda api: api.register(a_registration(name, yaml)))

    def run(self, *, after: float = 0) -> str:
        """Start a run in both worlds ``after`` this number of seconds, and return its id."""
        self.each(lambda world: world.clock.sleep(after))
        return self.answer(lambda api: api.run(NAME, RunRequest())).run_id


def a_registration(name: str = NAME, yaml: str = YAML) -> RegisterRequest:
    """A valid request."""
    return RegisterRequest(dataset_name=name, yaml_content=yaml.format(name=name))


def _raised(api: WorkflowApi, ask: Callable[[WorkflowApi], object]) -> WorkflowError:
    try:
        answer = ask(api)
    except WorkflowError as error:
        return error
    msg = f"{type(api).__name__} answered: {answer}"
    raise AssertionError(msg)


class ApiSubject:
    """The fixtures that a subclass overrides."""

    @pytest.fixture
    def world(self) -> ApiWorld:
        """The system behind the API under test; by default it runs on the fakes."""
        return ApiWorld()

    @pytest.fixture
    def api(self, world: ApiWorld) -> WorkflowApi:
        """The API under test on ``world``, as :data:`CALLER`."""
        raise NotImplementedError

    @pytest.fixture
    def twins(self, api: WorkflowApi, world: ApiWorld) -> Twins:
        """The API under test together with the expected one."""
        return Twins(api, world)
