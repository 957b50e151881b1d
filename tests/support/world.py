"""One process of the service over the in-memory systems, and the workflow that most tests register in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from attrs import Factory, evolve, field, frozen

from tests.support.use_cases import UseCases
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.workflow import SourceType
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper
from workflow_core.usecases.config import ServiceConfig
from workflow_core.usecases.context import Context

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow

NAME: Final = "iceberg.analytics.daily_clicks"
DAG: Final = "iceberg_analytics_daily_clicks"
ME: Final = Caller(name="me@example.com")


def a_spec(
    name: str = NAME, *chain: str, command: str = '"true"', owner: str = "data@example.com", **fields: str
) -> str:
    """The YAML of a workflow whose tasks run one after the other; ``fields`` are further lines of it, as YAML."""
    tasks = []
    for before, task in zip((None, *chain), chain or ("only",), strict=False):
        after = f", dependencies: [{before}]" if before else ""
        tasks.append(f"  - {{task_id: {task}, operator: bash, bash_command: {command}{after}}}\n")
    head = {"version": "v1", "name": name.rpartition(".")[2], "owner": owner, "schedule": '{cron: "0 6 * * *"}'}
    lines = [f"{key}: {value}\n" for key, value in (head | fields).items()]
    return "".join([*lines, "tasks:\n", *tasks])


YAML: Final = a_spec(
    NAME, "extract", command="echo hello", params="{region: US, limit: {default: 10, type: integer, enum: [10, 20]}}"
).replace("tasks:", "tasks:  # one")
"""What :meth:`World.register` registers: one task, two params."""


def _context(world: World) -> Context:
    return Context(
        db=world.database,
        airflow=world.airflow,
        storage=world.storage,
        clock=world.clock,
        policy=world.policy,
    )


@frozen(kw_only=True)
class World:
    """One process of the service, and the systems behind it, which other processes may share."""

    database: Any
    airflow: Any
    storage: Any
    clock: ManualClock
    policy: ServiceConfig = Factory(ServiceConfig)
    context: Context = field(init=False, default=Factory(_context, takes_self=True))

    @classmethod
    def of(
        cls,
        *,
        airflow: type[InMemoryAirflow] = InMemoryAirflow,
        database: Any = None,
        storage: Any = None,
        at: datetime | None = None,
        queue_seconds: float = 1.0,
        task_seconds: float = 1.0,
        **config: Any,
    ) -> Self:
        """A separate world; ``config`` contains fields of :class:`ServiceConfig`."""
        clock = ManualClock(at) if at else ManualClock()
        storage = InMemoryStorage() if storage is None else storage
        return cls(
            database=InMemoryDatabase() if database is None else database,
            airflow=airflow(storage=storage, clock=clock, queue_seconds=queue_seconds, task_seconds=task_seconds),
            storage=storage,
            clock=clock,
            policy=ServiceConfig(**config),
        )

    def another(self, **changes: Any) -> Self:
        """Another process over the same systems, but for ``changes``."""
        return evolve(self, **changes)

    @property
    def service(self) -> WorkflowService:
        """The API of this process, called by :data:`ME`."""
        return WorkflowService.over(self.context, ME)

    @property
    def usecases(self) -> UseCases:
        """The use cases of this process."""
        return UseCases(self.context)

    @property
    def sweeper(self) -> Sweeper:
        """The worker of this process."""
        return Sweeper(self.context)

    def register(self, name: str = NAME, yaml: str | None = None, **fields: Any) -> Workflow:
        """Register a workflow, as :data:`ME` unless the fields name another caller."""
        text = YAML.replace("daily_clicks", name.rpartition(".")[2]) if yaml is None else yaml
        workflow: Workflow = self.usecases.register(name, text, **{"caller": ME, **fields})
        return workflow

    def sweep(self, passes: int = 1, *, seconds: float = 2) -> None:
        """Let the worker make ``times`` passes, each after a pause."""
        for _ in range(passes):
            self.clock.sleep(seconds)
            self.sweeper.sweep()

    def later(self, seconds: float = 60) -> None:
        """Let time pass, then sweep once."""
        self.sweep(seconds=seconds)

    def start(self, name: str = NAME, **params: Any) -> str:
        """Start a run; its id."""
        run_id: str = self.usecases.run(name, params).run_id
        return run_id

    def ended(self) -> str:
        """A run that has ended, and whose end is recorded."""
        run_id = self.start()
        self.later()
        return run_id

    def failed(self, task: str) -> str:
        """A run that has failed in a task, which succeeds from now on."""
        self.airflow.end_task(DAG, task, "failed")
        run_id = self.ended()
        self.airflow.end_task(DAG, task, "success")
        return run_id

    def run(self, run_id: str) -> Run:
        """The recorded run."""
        run: Run | None = self.database.workflows.run(run_id)
        assert run is not None
        return run

    def workflow(self, name: str = NAME) -> Workflow:
        """The recorded workflow."""
        workflow: Workflow | None = self.database.workflows.workflow(name)
        assert workflow is not None
        return workflow

    def is_empty(self) -> bool:
        """Whether nothing at all was recorded or stored."""
        everything = PageRequest(limit=500)
        return (
            self.database.workflows.list_workflows(WorkflowFilter(), everything).total == 0
            and self.database.workflows.history(HistoryFilter(), everything).total == 0
            and not [*self.storage.list(SourceType.MANUAL)]
        )
