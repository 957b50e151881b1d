"""Advance a backfill: failures end it or do not, and whichever process dies, each date runs exactly once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.backfills import a_backfilled_world, day
from tests.support.databases import each_port
from tests.support.world import ME, NAME
from workflow_core.domain.backfill import BackfillStatus, OnFailure
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.fakes.airflow import Effect

if TYPE_CHECKING:
    from workflow_core.domain.backfill import BackfillView


@pytest.fixture
def make_world():
    return a_backfilled_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestFailures:
    def fail_on(self, world: Any, *days: int) -> None:
        """The runs of these days fail in Airflow."""
        trigger = world.airflow.trigger

        def choosing(dag_id, run_id, *, conf, logical_date=None):
            failing = conf.get("date") in {day(number).isoformat() for number in days}
            world.airflow.end_task(dag_id, "extract", "failed" if failing else "success")
            return trigger(dag_id, run_id, conf=conf, logical_date=logical_date)

        world.airflow.trigger = choosing

    def wait_for(self, world: Any, view: BackfillView, status: BackfillStatus) -> None:
        for _ in range(30):
            if world.status(view) is status:
                return
            world.pass_time()
        raise AssertionError(world.by_date(view))

    def test_one_after_the_other_pauses_at_the_first_failure(self, world):
        """The next date is not submitted; a resume accepts the failure and continues, and the backfill ends as FAILED."""
        self.fail_on(world, 2)
        view = world.backfill(1, 4)
        self.wait_for(world, view, BackfillStatus.PAUSED)
        world.pass_time(5)
        assert world.by_date(view) == {1: "SUCCESS", 2: "FAILED", 3: "PENDING", 4: "PENDING"}
        wish = world.look(view).backfill.state_request
        assert (wish.by, wish.reason) == (
            "system", f"Run {view.runs[1].run_id} ended FAILED; resume continues with the next date."
        )  # fmt: skip
        world.usecases.resume_backfill(view.backfill.backfill_id, caller=ME)
        assert world.finish(view) is BackfillStatus.FAILED
        assert world.by_date(view) == {1: "SUCCESS", 2: "FAILED", 3: "SUCCESS", 4: "SUCCESS"}
        assert world.sent() == [f"2026-01-0{n}" for n in (1, 2, 3, 4)]

    def test_every_failure_pauses_anew(self, world):
        """Resuming accepts what has failed, not what is going to."""
        self.fail_on(world, 1, 2)
        view = world.backfill(1, 3)
        for failed in (1, 2):
            self.wait_for(world, view, BackfillStatus.PAUSED)
            assert len(world.sent()) == failed
            world.usecases.resume_backfill(view.backfill.backfill_id)
        assert world.finish(view) is BackfillStatus.FAILED

    def test_it_goes_on_if_told_to(self, world):
        """Nobody needs to resume."""
        self.fail_on(world, 2)
        view = world.backfill(1, 3, on_failure=OnFailure.CONTINUE)
        assert world.finish(view) is BackfillStatus.FAILED
        assert world.by_date(view) == {1: "SUCCESS", 2: "FAILED", 3: "SUCCESS"}

    @pytest.mark.parametrize(
        ("on_failure", "ended"), [(None, BackfillStatus.FAILED), (OnFailure.STOP, BackfillStatus.PAUSED)]
    )
    def test_parallel_goes_on_unless_told_to_stop(self, world, on_failure, ended):
        """What is under way beside the failure ends as it does."""
        self.fail_on(world, 1)
        view = world.backfill(1, 4, parallel=True, max_active=2, on_failure=on_failure)
        self.wait_for(world, view, ended)
        rest = "SUCCESS" if on_failure is None else "PENDING"
        assert world.by_date(view) == {1: "FAILED", 2: "SUCCESS", 3: rest, 4: rest}

    def test_a_failure_of_the_last_date_pauses_nothing(self, world):
        """There is nothing left to hold."""
        self.fail_on(world, 2)
        view = world.backfill(1, 2)
        assert world.finish(view) is BackfillStatus.FAILED

    def test_a_run_that_airflow_refuses_is_a_failed_slot(self, world):
        """For good: the backfill pauses there, with the reason at the run."""
        sound = world.airflow._refuse_bad_conf

        def picky(dag, conf):
            sound(dag, {**conf, "region": 5} if conf["date"] == "2026-01-01" else conf)

        world.airflow._refuse_bad_conf = picky
        view = world.backfill(1, 2)
        world.pass_time()
        run = world.look(view).runs[0]
        assert (run.status, run.submission, "region" in run.reason) == (RunStatus.FAILED, Submission.REFUSED, True)
        assert world.status(view) is BackfillStatus.PAUSED

    def test_a_run_that_somebody_stops_holds_the_others(self, world):
        """A stop of one run pauses the backfill; after a resume it ends as STOPPED."""
        view = world.backfill(1, 3)
        world.usecases.stop(view.runs[1].run_id)
        self.wait_for(world, view, BackfillStatus.PAUSED)
        assert world.by_date(view) == {1: "SUCCESS", 2: "STOPPED", 3: "PENDING"}
        world.usecases.resume_backfill(view.backfill.backfill_id)
        assert world.finish(view) is BackfillStatus.STOPPED
        assert world.sent() == ["2026-01-01", "2026-01-03"]


class DiedError(BaseException):
    """The process is gone."""


class Mortal:
    """A port whose process dies at one of its calls: just before it, or just after."""

    def __init__(self, port: Any, countdown: list[int], *, after: bool) -> None:
        self._port, self._countdown, self._after = port, countdown, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*given, **named):
            self._countdown[0] -= 1
            last = self._countdown[0] == 0
            if last and not self._after:
                raise DiedError
            try:
                return method(*given, **named)
            finally:
                if last:  # an answer that is an error reaches a dead process as little as any other
                    raise DiedError

        return call


class TestDeath:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        ("fields", "passes"), [({}, 7), ({"parallel": True, "max_active": 2}, 5)], ids=["serial", "parallel"]
    )
    def test_whoever_dies_wherever_another_goes_on(self, make_world, fields, passes, after):
        """For each call of a port in a backfill's life: a death there, and a new process finishes it; each date ran exactly once.

        ``passes`` of the worker take an undisturbed backfill to its end, and one pass further.
        """
        survived = False
        calls = 0
        while not survived:
            calls += 1
            world = make_world()
            countdown = [calls]
            mortal = world.another(
                database=each_port(world.database, partial(Mortal, countdown=countdown, after=after)),
                airflow=Mortal(world.airflow, countdown, after=after),
            )
            try:
                alone = mortal.backfill(1, 3, **fields)
                mortal.pass_time(passes)
                survived = True
                assert world.status(alone) is BackfillStatus.SUCCESS
            except DiedError:
                pass
            world = world.another()
            recorded = world.usecases.backfills(NAME).items
            view = world.look(recorded[0]) if recorded else world.backfill(1, 3, **fields)
            assert world.finish(view) is BackfillStatus.SUCCESS, calls
            assert world.sent() == ["2026-01-01", "2026-01-02", "2026-01-03"], calls
        assert calls > 50

    @pytest.mark.parametrize("effect", Effect)
    def test_answers_that_never_come(self, world, effect):
        """Carried out or not: the same id is sent again, and each date runs once."""
        world.airflow.lose_answers(effect, times=2)
        view = world.backfill(1, 3, parallel=True, max_active=2)
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert sorted(world.sent()) == ["2026-01-01", "2026-01-02", "2026-01-03"]

    def test_airflow_away_for_a_while(self, world):
        """What was not sent is sent later; what was sent is seen later."""
        view = world.backfill(1, 3)
        world.airflow.go_down()
        world.pass_time(10)
        assert world.status(view) is BackfillStatus.PENDING
        world.airflow.come_back()
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_airflow_away_right_after_the_acceptance(self, world):
        """Accepted all the same; nothing is tried again and again within one pass."""
        ping, asked = world.airflow.ping, []

        def last_words():
            ping()
            asked.append(1)
            if len(asked) == 2:  # the ping before the runs are sent
                world.airflow.go_down()

        world.airflow.ping = last_words
        view = world.backfill(1, 4, parallel=True)
        assert {run.submission for run in view.runs} == {Submission.WAITING}
        world.airflow.come_back()
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_a_stop_whose_process_died(self, world):
        """Recorded, but nothing was ended yet: the worker does that."""
        view = world.backfill(1, 3, parallel=True, max_active=2)
        world.clock.sleep(1.5)

        class Dying(Mortal):
            def __getattr__(self, name: str) -> Any:
                if name == "save_run":
                    raise DiedError
                return super().__getattr__(name)

        with pytest.raises(DiedError):
            world.another(
                database=each_port(world.database, lambda port: Dying(port, [0], after=False))
            ).usecases.stop_backfill(view.backfill.backfill_id)
        assert world.by_date(view)[3] == "STOPPED"
        assert world.finish(view) is BackfillStatus.STOPPED
