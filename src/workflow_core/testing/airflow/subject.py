"""What the suite needs from whoever runs it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar
from uuid import uuid4

import pytest
from attrs import frozen

from workflow_core.domain.served import ServedMark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.ports.airflow import AirflowPort

T = TypeVar("T")


@frozen(kw_only=True)
class TaskSeed:
    """A task that does nothing for at least ``seconds``, then ``ends`` as ``success``, ``failed`` or ``skipped``."""

    task_id: str
    after: tuple[str, ...] = ()
    ends: str = "success"
    seconds: float = 0.0


@frozen(kw_only=True)
class DagSeed:
    """A DAG that Airflow is to serve. It has no catch-up and starts in the past.

    ``mark`` is the last line of its ``doc_md``; ``integer_param`` the name of a declared param with JSON type ``integer`` and the
    default 1; ``schedule`` five cron fields or ``@once``.
    """

    dag_id: str
    tasks: tuple[TaskSeed, ...] = (TaskSeed(task_id="only"),)
    paused: bool = True
    mark: ServedMark | None = None
    integer_param: str | None = None
    schedule: str | None = None


class BehindAirflow(Protocol):
    """Airflow itself, without the port, so that a wrong write and a wrong read cannot cancel out."""

    sentinel: str
    """A DAG that the file which :meth:`write` adds to always defines."""

    def serve(self, *seeds: DagSeed) -> None:
        """Return when Airflow serves these DAGs, by whatever way. One that it serves already is left as it is."""
        ...

    def write(self, seed: DagSeed) -> str:
        """Add a DAG to the file of the sentinel without telling Airflow. Returns the hash of the spec that it will carry: the
        seed's, unless specs must be of another form here.
        """
        ...

    def withdraw(self, dag_id: str) -> None:
        """Take a DAG that was written or served out of its file, and have that file parsed."""
        ...

    def start_elsewhere(self, dag_id: str, run_id: str) -> str:
        """Start a run as a person does in Airflow's own pages; returns that person's name."""
        ...

    def fire_schedule(self, dag_id: str) -> None:
        """Have the scheduler start the run of an unpaused DAG with the schedule ``@once``; it may take its time."""
        ...

    def runs(self, dag_id: str) -> Mapping[str, Mapping[str, Any]]:
        """All runs of a DAG by run id: ``state``, ``conf``, ``logical_date`` (aware, or None) and ``data_interval`` (its two ends,
        or None).
        """
        ...

    def has_begun(self, dag_id: str, run_id: str, task_id: str) -> bool:
        """Whether the work of a task that takes time has begun: "running" is said while its process is still being made ready."""
        ...

    def is_paused(self, dag_id: str) -> bool:
        """Whether the DAG is paused."""
        ...

    def pass_time(self) -> None:
        """Let a little time pass: at most a second."""
        ...


QUICK: Final = DagSeed(dag_id="contract_quick", paused=False)
HELD: Final = DagSeed(dag_id="contract_held", integer_param="n")
"""Paused, so that its runs cost nothing and stay as they are."""
MIXED: Final = DagSeed(
    dag_id="contract_mixed",
    paused=False,
    tasks=(
        TaskSeed(task_id="good"),
        TaskSeed(task_id="bad", after=("good",), ends="failed"),
        TaskSeed(task_id="below_bad", after=("bad",)),
        TaskSeed(task_id="skipping", after=("good",), ends="skipped"),
        TaskSeed(task_id="below_skipping", after=("skipping",)),
    ),
)
WIDE: Final = DagSeed(
    dag_id="contract_wide", tasks=tuple(TaskSeed(task_id=f"task_{number:02d}") for number in range(60))
)
BUILT: Final = DagSeed(dag_id="contract_built", mark=ServedMark(spec_hash="0123456789abcdef"), schedule="0 6 * * *")
BROKEN: Final = DagSeed(
    dag_id="contract_broken", mark=ServedMark(spec_hash="fedcba9876543210", error="tasks[2]: <no> such --> operator")
)
LASTING: Final = DagSeed(
    dag_id="contract_lasting",
    paused=False,
    tasks=(
        TaskSeed(task_id="before"),
        TaskSeed(task_id="lasting", after=("before",), seconds=600),
        TaskSeed(task_id="later", after=("lasting",)),
    ),
)
"""A run of it ends only when somebody ends it."""
COMMON: Final = (QUICK, HELD, MIXED, WIDE, BUILT, BROKEN, LASTING)

_LOOKS: Final = 600
_numbers = count(1)


def new_id(prefix: str = "run") -> str:
    """An id that nothing has yet, on a server that other tests share, too."""
    return f"{prefix}_{uuid4().hex[:12]}_{next(_numbers)}"


@frozen
class World:
    """Airflow behind the port, and waiting for it."""

    behind: BehindAirflow

    def eventually(self, look: Callable[[], T], good: Callable[[T], object]) -> T:
        """What ``look`` saw when it was ``good`` for the first time; fails after about two minutes of looks."""
        seen = look()
        for _ in range(_LOOKS):
            if good(seen):
                return seen
            self.behind.pass_time()
            seen = look()
        return pytest.fail(f"it never came; last seen: {seen}")


class AirflowSubject:
    """The fixtures to give, and what Airflow 2.11 cannot do."""

    dates_are_optional: ClassVar[bool] = True
    """Whether there are runs without a logical date."""
    people_are_told: ClassVar[bool] = True
    """Whether Airflow tells who started a run."""

    @pytest.fixture
    def port(self) -> AirflowPort:
        """The implementation."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self) -> BehindAirflow:
        """The Airflow that ``port`` talks to. Tests use ids of their own, so one Airflow may serve all of them."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> AirflowPort:
        """The implementation, its Airflow away."""
        raise NotImplementedError

    @pytest.fixture
    def locked_out(self) -> AirflowPort:
        """The implementation, with credentials that Airflow does not know."""
        raise NotImplementedError

    @pytest.fixture
    def deaf(self, behind: BehindAirflow) -> AirflowPort:
        """The implementation, on the same Airflow, which carries out every change, but whose answers to changes are lost."""
        raise NotImplementedError

    @pytest.fixture
    def world(self, behind: BehindAirflow) -> World:
        """Airflow, with the DAGs that most tests use."""
        behind.serve(*COMMON)
        return World(behind)
