"""The whole service over the three fakes, in random histories with deaths and outages, against a plain model of what was accepted.

Two processes share one database, store and Airflow. Each may die before or after any call of a port, or stand still there while the
other one works and leases end; any system may go and come back between any two calls, lose an answer, or fail once. What was answered
must be recorded; what was refused must not be; in the end, when everything is well again and the workers have had their time, the three
systems say the same, and that is what the model says: nothing lost, nothing twice.

``SEQUENCES`` histories (an environment variable) are tried; ``make model`` tries 2,000.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from attrs import define, field
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.support.databases import each_port
from tests.support.processes import DiedError, Process
from tests.support.world import World
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.names import dag_id_for
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import Run, RunStatus, RunType, Submission
from workflow_core.domain.spec import spec_hash
from workflow_core.domain.workflow import Phase as WorkflowPhase
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import Unavailable, WorkflowError
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.airflow import Effect
from workflow_core.usecases.config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Callable

SEQUENCES = int(os.environ.get("SEQUENCES", "60"))
NAMES = ("a.first", "a.second")
YAML = """\
version: v1
name: {name}
owner: data@example.com
description: revision {number}
schedule: {{cron: "0 6 * * *"}}
tasks:
  - {{task_id: one, operator: empty}}
  - {{task_id: two, operator: empty, dependencies: [one]}}
"""
POLICY = ServiceConfig(register_wait=1.0)
EVERYTHING = PageRequest(limit=500)
SETTLED_WITHIN = 40
"""Passes of five seconds until everything must be settled: leases of the dead end after thirty seconds, and a request that was sent may
arrive within two minutes."""


def _quietly(sweep: Callable[[], object]) -> None:
    """A pass of the other process; what becomes of that is its own business."""
    with suppress(DiedError, WorkflowError):
        sweep()


@define
class Expected:
    """What the model knows of a run: whether a stop was requested, and how many retries. ``may_be_marked``: a request to
    stop it, sent by who stood still for longer than a lease, may have reached Airflow after it had ended; Airflow knows no leases.
    """

    name: str
    dag_id: str
    stops: int = 0
    retries: int = 0
    is_outside: bool = False
    may_be_marked: bool = False


@define
class Model:
    """What was accepted."""

    text: dict[str, str] = field(factory=dict)
    """By the name of each live workflow: its YAML as registered."""
    paused: dict[str, bool] = field(factory=dict)
    runs: dict[str, Expected] = field(factory=dict)
    """By Airflow's run id."""


class WholeService(RuleBasedStateMachine):
    """The histories."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.storage = InMemoryStorage()
        self.database = InMemoryDatabase()
        self.airflow = InMemoryAirflow(storage=self.storage, clock=self.clock, queue_seconds=1, task_seconds=20)
        self.model = Model()
        self.processes = [Process(), Process()]
        self.services = [self._born(process) for process in self.processes]
        self.number = 0
        self.outside = 0

    def _born(self, process: Process) -> World:
        return World(
            database=each_port(self.database, process.through),
            airflow=process.through(self.airflow),
            storage=process.through(self.storage),
            clock=self.clock,
            policy=POLICY,
        )

    # What users do.

    @rule(name=st.sampled_from(NAMES), who=st.integers(0, 1), force=st.booleans())
    def register(self, name: str, who: int, force: bool) -> None:
        """Register, or revise."""
        self.number += 1
        yaml = YAML.format(name=name, number=self.number)
        self._do(who, lambda world: world.usecases.register(name, yaml, force=force))

    @rule(name=st.sampled_from(NAMES), who=st.integers(0, 1), paused=st.booleans())
    def pause(self, name: str, who: int, paused: bool) -> None:
        """Pause or unpause."""
        self._do(who, lambda world: world.usecases.pause(name) if paused else world.usecases.unpause(name))

    @rule(name=st.sampled_from(NAMES), who=st.integers(0, 1), force=st.booleans())
    def unregister(self, name: str, who: int, force: bool) -> None:
        """Unregister."""
        self._do(who, lambda world: world.usecases.unregister(name, force=force))

    @rule(name=st.sampled_from(NAMES), who=st.integers(0, 1))
    def run(self, name: str, who: int) -> None:
        """Start a run."""
        self._do(who, lambda world: world.usecases.run(name))

    @precondition(lambda self: self._recorded())
    @rule(data=st.data(), who=st.integers(0, 1), again=st.booleans())
    def stop_or_retry(self, data: st.DataObject, who: int, again: bool) -> None:
        """Stop or retry a run."""
        run_id = data.draw(st.sampled_from(sorted(self._recorded())))
        began = self.clock.now()
        self._do(
            who, lambda world: world.usecases.retry(run_id, only_failed=False) if again else world.usecases.stop(run_id)
        )
        if not again and (self.clock.now() - began).total_seconds() > POLICY.lease:
            self.model.runs[self._recorded()[run_id].airflow_run_id].may_be_marked = True

    @precondition(lambda self: self._recorded())
    @rule(data=st.data(), who=st.integers(0, 1))
    def read(self, data: st.DataObject, who: int) -> None:
        """Look at a run."""
        run_id = data.draw(st.sampled_from(sorted(self._recorded())))
        self._do(who, lambda world: world.usecases.status(run_id))

    @rule(name=st.sampled_from(NAMES))
    def start_in_airflow(self, name: str) -> None:
        """Somebody starts a run in Airflow's own pages."""
        dag_id = dag_id_for(name)
        if name in self.model.text and dag_id in self.airflow._dags:
            self.outside += 1
            run_id = f"manual__{self.outside}"
            self.airflow.add_run(dag_id, run_id, run_type=RunType.MANUAL, triggered_by="rita")
            self.model.runs[run_id] = Expected(name, dag_id, is_outside=True)
            self._do(0, lambda world: world.sweeper.sweep())

    # What workers do, and what happens to them.

    @rule(who=st.integers(0, 1))
    def sweep(self, who: int) -> None:
        """A pass."""
        self._do(who, lambda world: world.sweeper.sweep())

    @rule(seconds=st.sampled_from([0.1, 3, 25, 200]))
    def time_passes(self, seconds: float) -> None:
        """Tasks end, leases end."""
        self.clock.sleep(seconds)

    @rule(who=st.integers(0, 1), calls=st.integers(0, 12), after=st.booleans())
    def will_die(self, who: int, calls: int, after: bool) -> None:
        """At one of its next calls."""
        process = self.processes[who]
        process.calls_left, process.dies_after = calls, after

    @rule(system=st.sampled_from(["airflow", "storage", "database"]), away=st.booleans())
    def outage(self, system: str, away: bool) -> None:
        """A system goes, or comes back."""
        port = getattr(self, system)
        port.go_down() if away else port.come_back()

    @rule(who=st.integers(0, 1), calls=st.integers(0, 12), seconds=st.sampled_from([0, 35, 150]))
    def will_stand_still(self, who: int, calls: int, seconds: float) -> None:
        """At one of its next calls, while time passes and the other process makes a pass."""

        def meanwhile() -> None:
            self.clock.sleep(seconds)
            other = self.services[1 - who]
            thread = Thread(target=_quietly, args=(other.sweeper.sweep,))  # leases are those of a thread
            thread.start()
            thread.join()

        self.processes[who].at_call[calls] = meanwhile

    @rule(
        who=st.integers(0, 1),
        system=st.sampled_from(["airflow", "storage", "database"]),
        calls=st.integers(0, 12),
        for_calls=st.integers(1, 4),
    )
    def will_be_away(self, who: int, system: str, calls: int, for_calls: int) -> None:
        """A system goes between two calls of a process, and comes back between two later ones."""
        port = getattr(self, system)
        self.processes[who].at_call |= {calls: port.go_down, calls + for_calls: port.come_back}

    @rule(method=st.sampled_from(["save_run", "save_workflow", "add_run", "claim", "release", "workflow_by_id"]))
    def the_database_fails(self, method: str) -> None:
        """Once, for one kind of call."""
        self.database.fail(method)

    @rule(effect=st.sampled_from(Effect), times=st.integers(1, 3))
    def answers_are_lost(self, effect: Effect, times: int) -> None:
        """Airflow does it, or does not, and the answer never comes."""
        self.airflow.lose_answers(effect, times=times)

    # What was accepted.

    def _do(self, who: int, call: Callable[[World], object]) -> None:
        """Let a process act, and note what was accepted."""
        before = self._recorded(), self._live()
        try:
            call(self.services[who])
        except DiedError:
            self.processes[who] = Process()
            self.services[who] = self._born(self.processes[who])
            self._note(before, answered=None)
        except Unavailable:
            self._note(before, answered=False)
        except WorkflowError:
            self._note(before, answered=False)
        else:
            self._note(before, answered=True)

    def _recorded(self) -> dict[str, Run]:
        return {run.run_id: run for run in self.database.store.runs.values()}

    def _live(self) -> dict[str, Any]:
        return {
            workflow.dataset_name: workflow
            for workflow in self.database.store.workflows.values()
            if not workflow.phase.has_left and workflow.removal is None
        }

    def _note(self, before: tuple[dict[str, Run], dict[str, Any]], *, answered: bool | None) -> None:
        """Take over what is recorded as wanted: of a refused request nothing may be, of a death anything once."""
        runs, live = before
        now_runs, now_live = self._recorded(), self._live()
        wanted_before = {name: (one.yaml, one.pause is not None) for name, one in live.items()}
        wanted_now = {name: (one.yaml, one.pause is not None) for name, one in now_live.items()}
        new = [run for run_id, run in now_runs.items() if run_id not in runs]
        new_here = [run for run in new if run.triggered_by != "rita"]
        assert len(new_here) <= 1, "one request made several runs"
        if answered is False:
            assert wanted_now == wanted_before, "a refused request changed what is wanted"
            assert not new_here, "a refused request left a run"
        self.model.text = {name: text for name, (text, _) in wanted_now.items()}
        self.model.paused = {name: paused for name, (_, paused) in wanted_now.items()}
        for run in new_here:
            self.model.runs[run.airflow_run_id] = Expected(run.dataset_name, run.dag_id)
        for run_id, run in now_runs.items():
            known = self.model.runs[run.airflow_run_id]
            was = runs.get(run_id)
            known.stops += run.stop is not None and (was is None or was.stop is None)
            known.retries = run.retry.number if run.retry else 0

    # In the end.

    def teardown(self) -> None:
        """All is well again, and the workers have their time."""
        for process in self.processes:
            process.at_call.clear()
        for port in (self.airflow, self.storage, self.database):
            port.come_back()
        worker = self._born(Process())
        for _ in range(SETTLED_WITHIN):
            self.clock.sleep(5)
            worker.sweeper.sweep()
        self.clock.sleep(POLICY.compare_every)
        for _ in range(3):
            worker.sweeper.sweep()
            self.clock.sleep(5)
        self._check_workflows()
        self._check_runs(worker)

    def _check_workflows(self) -> None:
        """Database, store and Airflow say the same, and it is what was accepted."""
        assert not self.database.workflows.unsettled_workflows(10)
        live = self._live()
        assert {name: one.yaml for name, one in live.items()} == self.model.text
        for name in NAMES:
            raw = self.storage.raw(SourceType.MANUAL, name)
            dag = self.airflow._dags.get(dag_id_for(name))
            if name not in live:
                assert (raw, dag) == (None, None), f"{name} is gone, but not everywhere"
                continue
            assert live[name].phase is WorkflowPhase.SERVED
            assert raw is not None
            assert raw.decode() == self.model.text[name], f"the YAML of {name} is another"
            assert dag is not None
            assert dag.spec_hash == spec_hash(self.model.text[name]), f"Airflow serves another {name}"
            assert dag.is_paused == self.model.paused[name], f"the pause of {name}"

    def _check_runs(self, worker: World) -> None:
        """Every run that was accepted is there, once, with the result that Airflow has; and no other."""
        recorded = {run.airflow_run_id: run for run in self._recorded().values()}
        assert set(recorded) == set(self.model.runs)
        in_airflow = {run_id: run for (_, run_id), run in self.airflow._runs.items()}
        assert set(in_airflow) <= set(recorded), "Airflow has runs that were not accepted"
        listed = {run.run_id for run in worker.usecases.history(HistoryFilter(), EVERYTHING).items}
        assert listed == {run.run_id for run in recorded.values()}
        for run_id, run in recorded.items():
            self._check_run(run, self.model.runs[run_id], in_airflow.get(run_id))

    def _check_run(self, run: Run, expected: Expected, there: Any) -> None:
        if there is None:
            waits = run.status is RunStatus.PENDING and self.model.paused.get(expected.name)
            was_stopped = run.status is RunStatus.STOPPED and run.stop is not None
            never_sent = was_stopped and run.submission is Submission.CANCELLED
            assert waits or never_sent, f"{run.run_id} is lost: {run.submission}"
            return
        tries = max(there.tries.values(), default=0)
        assert tries <= expected.retries, f"{run.run_id} was retried more often than requested"
        seen = there.seen(self.clock.now())
        if not seen.status.is_final:
            assert self.model.paused.get(expected.name), f"{run.run_id} does not end: {seen.state}"
            assert not run.status.is_final
            return
        if run.status is RunStatus.STOPPED:
            owner = self.database.store.workflows[run.workflow_id]
            assert expected.stops or owner.removal, "no request ended it"
            assert seen.state == "failed"
        else:
            assert run.status is seen.status
            done = seen.state == "success" or expected.may_be_marked
            assert done, "no request ended it, and it has not done its work"
        assert run.ended_at == seen.ended_at or run.status is RunStatus.STOPPED


def test_nothing_is_lost_and_nothing_done_twice() -> None:
    """After deaths and outages at any point, every accepted request has taken effect exactly once."""
    run_state_machine_as_test(
        WholeService,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=30,
            deadline=None,
            derandomize=SEQUENCES < 1000,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
