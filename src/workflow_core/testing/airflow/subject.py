"""The fixtures that the suite requires from its subclass."""

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
    """A task that does nothing for at least ``seconds`` and then ``ends`` as ``success``, ``failed`` or ``skipped``."""

    task_id: str
    after: tuple[str, ...] = ()
    ends: str = "success"
    seconds: float = 0.0


@frozen(kw_only=True)
class DagSeed:
    """A DAG for Airflow to serve. It starts in the past, without catchup.

    ``mark`` is the last line of its ``doc_md``. ``integer_param`` is the name of a declared param with JSON type ``integer`` and
    default 1. ``schedule`` is five cron fields or ``@once``.
    """

    dag_id: str
    tasks: tuple[TaskSeed, ...] = (TaskSeed(task_id="only"),)
    paused: bool = True
    mark: ServedMark | None = None
    integer_param: str | None = None
    schedule: str | None = None


class BehindAirflow(Protocol):
    """Direct access to Airflow without the port, so that a wrong write and a wrong read cannot cancel out."""

    sentinel: str
    """The sentinel DAG of the file to which :meth:`write` adds."""

    def serve(self, *seeds: DagSeed) -> None:
        """Make Airflow serve these DAGs, and return when it does. A DAG that it already serves is unchanged."""
        ...

    def write(self, seed: DagSeed) -> str:
        """Add a DAG to the file of the sentinel without a request to Airflow.

        The return value is the hash in the mark of the DAG: the seed's, unless the implementation requires specs in another form.
        """
        ...

    def withdraw(self, dag_id: str) -> None:
        """Remove a written or served DAG from its file, and parse the file."""
        ...

    def start_elsewhere(self, dag_id: str, run_id: str) -> str:
        """Start a run as a user of Airflow's UI, and return the user's name."""
        ...

    def fire_schedule(self, dag_id: str) -> None:
        """Let the scheduler start the run of an unpaused DAG with the schedule ``@once``, possibly with a delay."""
        ...

    def runs(self, dag_id: str) -> Mapping[str, Mapping[str, Any]]:
        """All runs of a DAG by run id.

        Each run has ``state``, ``conf``, ``logical_date`` (aware, or None) and ``data_interval`` (its start and end, or None).
        """
        ...

    def has_begun(self, dag_id: str, run_id: str, task_id: str) -> bool:
        """Whether the work of a task has begun. Airflow reports "running" already while the task's process starts."""
        ...

    def is_paused(self, dag_id: str) -> bool:
        """Whether the DAG is paused."""
        ...

    def pass_time(self) -> None:
        """Let at most a second pass."""
        ...


QUICK: Final = DagSeed(dag_id="contract_quick", paused=False)
HELD: Final = DagSeed(dag_id="contract_held", integer_param="n")
"""A paused DAG, whose runs cost nothing and stay queued."""
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
"""A DAG whose runs end only when a caller ends them."""
COMMON: Final = (QUICK, HELD, MIXED, WIDE, BUILT, BROKEN, LASTING)

_POLLS: Final = 600
_numbers = count(1)


def new_id(prefix: str = "run") -> str:
    """A unique id, because several tests share one server."""
    return f"{prefix}_{uuid4().hex[:12]}_{next(_numbers)}"


@frozen
class World:
    """The Airflow behind the port, and a way to wait for its state."""

    behind: BehindAirflow

    def eventually(self, poll: Callable[[], T], accept: Callable[[T], object]) -> T:
        """Poll until a state is accepted, and return it. The test fails after about two minutes."""
        state = poll()
        for _ in range(_POLLS):
            if accept(state):
                return state
            self.behind.pass_time()
            state = poll()
        return pytest.fail(f"the expected state was not reached; the last state was {state}")


class AirflowSubject:
    """The fixtures that a subclass overrides, and the features that Airflow 2.11 lacks."""

    dates_are_optional: ClassVar[bool] = True
    """Whether a run can have no logical date."""
    users_are_reported: ClassVar[bool] = True
    """Whether Airflow reports the user who started a run."""

    @pytest.fixture
    def port(self) -> AirflowPort:
        """The implementation under test."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self) -> BehindAirflow:
        """The Airflow of ``port``. Each test uses unique ids, so that all tests may share one Airflow."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> AirflowPort:
        """The implementation with an Airflow that does not respond."""
        raise NotImplementedError

    @pytest.fixture
    def locked_out(self) -> AirflowPort:
        """The implementation with credentials that Airflow rejects."""
        raise NotImplementedError

    @pytest.fixture
    def deaf(self, behind: BehindAirflow) -> AirflowPort:
        """The implementation on the same Airflow, which makes every change but whose responses to changes are lost."""
        raise NotImplementedError

    @pytest.fixture
    def world(self, behind: BehindAirflow) -> World:
        """The Airflow with the DAGs that most tests use."""
        behind.serve(*COMMON)
        return World(behind)
