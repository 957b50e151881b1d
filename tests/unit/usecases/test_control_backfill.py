"""Pause, resume and stop a backfill, also by what happens to its workflow."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.backfills import a_backfilled_world
from tests.support.world import ME, NAME
from workflow_core.domain.backfill import BackfillStatus, Reprocess
from workflow_core.errors import (
    BackfillNotActive,
    ConcurrentUpdate,
    DagNotFound,
    InvalidRequest,
    WorkflowHasActiveRuns,
    WorkflowPaused,
)
from workflow_core.usecases.reconcile.sweep import BATCH


@pytest.fixture
def make_world():
    return a_backfilled_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestSteering:
    def test_pause_sends_no_more_and_lets_run_what_runs(self, world):
        """After the answer; who, when and why are kept; a second pause changes nothing."""
        view = world.backfill(1, 4, parallel=True, max_active=2)
        paused = world.usecases.pause_backfill(view.backfill.backfill_id, "tea", caller=ME)
        again = world.usecases.pause_backfill(view.backfill.backfill_id, "coffee")
        assert paused == again
        assert (paused.status, paused.backfill.state_request.by, paused.backfill.state_request.reason) == (
            BackfillStatus.PAUSED, "me@example.com", "tea",
        )  # fmt: skip
        world.pass_time(10)
        assert world.by_date(view) == {1: "SUCCESS", 2: "SUCCESS", 3: "PENDING", 4: "PENDING"}
        assert world.status(view) is BackfillStatus.PAUSED

    def test_pause_needs_no_airflow(self, world):
        """It is about what we send."""
        view = world.backfill()
        world.airflow.go_down()
        assert world.usecases.pause_backfill(view.backfill.backfill_id).status is BackfillStatus.PAUSED

    def test_resume_goes_on_at_once(self, world):
        """A resume submits the next dates within the request; a backfill that is not paused does not change."""
        view = world.backfill(1, 2, parallel=True, max_active=1)
        world.usecases.pause_backfill(view.backfill.backfill_id)
        world.pass_time(5)
        assert world.usecases.resume_backfill(view.backfill.backfill_id).status is BackfillStatus.RUNNING
        assert len(world.sent()) == 2
        assert world.usecases.resume_backfill(view.backfill.backfill_id).status is BackfillStatus.RUNNING
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_stop_cancels_what_waits_and_ends_what_runs(self, world):
        """What waits never reaches Airflow; STOPPED is said only when the running ones are dead."""
        view = world.backfill(1, 4, parallel=True, max_active=2)
        world.clock.sleep(1.5)
        stopped = world.usecases.stop_backfill(view.backfill.backfill_id, "wrong region", caller=ME)
        assert stopped.status is BackfillStatus.STOPPING
        assert world.by_date(view) == {1: "STOPPING", 2: "STOPPING", 3: "STOPPED", 4: "STOPPED"}
        assert world.finish(view) is BackfillStatus.STOPPED
        assert len(world.in_airflow()) == 2
        stops = {(run.stop.by, run.stop.reason) for run in world.look(view).runs}
        assert stops == {("me@example.com", "wrong region")}

    def test_a_stop_is_finished_by_the_worker(self, world):
        """Accepted while Airflow is away; what runs is ended when it is back."""
        view = world.backfill(1, 3, parallel=True, max_active=2)
        world.airflow.go_down()
        assert world.usecases.stop_backfill(view.backfill.backfill_id).status is BackfillStatus.STOPPING
        world.airflow.come_back()
        assert world.finish(view) is BackfillStatus.STOPPED

    def test_a_second_stop_changes_nothing(self, world):
        """Neither while it is stopping nor afterwards; the first reason stays."""
        view = world.backfill()
        for reason in ("first", "second"):
            found = world.usecases.stop_backfill(view.backfill.backfill_id, reason)
            assert found.backfill.state_request.reason == "first"
        world.finish(view)
        assert world.usecases.stop_backfill(view.backfill.backfill_id).status is BackfillStatus.STOPPED

    def test_what_has_ended_cannot_be_changed(self, world):
        """Nor what is being stopped, but for a second stop."""
        view = world.backfill(1, 1)
        world.finish(view)
        service, key = world.usecases, view.backfill.backfill_id
        for act in (service.pause_backfill, service.resume_backfill, service.stop_backfill):
            with pytest.raises(BackfillNotActive, match="SUCCESS"):
                act(key)
        other = world.backfill(2, 3).backfill.backfill_id
        service.stop_backfill(other)
        for act in (service.pause_backfill, service.resume_backfill):
            with pytest.raises(BackfillNotActive, match="STOPPING"):
                act(other)

    def test_a_paused_backfill_can_be_stopped(self, world):
        """Nothing of it was under way: it has ended by that."""
        view = world.backfill(1, 2, parallel=True, max_active=1)
        world.usecases.pause_backfill(view.backfill.backfill_id)
        world.pass_time(5)
        assert world.usecases.stop_backfill(view.backfill.backfill_id).status is BackfillStatus.STOPPED

    def test_a_stop_that_came_too_late_does_not_count(self, world):
        """Runs that had ended keep their results, and so does the whole."""
        view = world.backfill(1, 1)
        world.clock.sleep(10)
        world.usecases.stop_backfill(view.backfill.backfill_id)
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_resume_is_refused_while_nothing_could_run(self, world):
        """The workflow is paused."""
        view = world.backfill()
        world.usecases.pause_backfill(view.backfill.backfill_id)
        world.usecases.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.usecases.resume_backfill(view.backfill.backfill_id)

    @pytest.mark.parametrize("reason", ["x" * 1001, "a\0b"])
    def test_an_odd_reason_is_refused(self, world, reason):
        """As everywhere."""
        view = world.backfill()
        for act in (world.usecases.pause_backfill, world.usecases.stop_backfill):
            with pytest.raises(InvalidRequest, match="reason"):
                act(view.backfill.backfill_id, reason)

    @pytest.mark.parametrize("act", ["pause_backfill", "resume_backfill", "stop_backfill"])
    def test_somebody_elses_save_in_between_means_decide_again(self, world, act):
        """A concurrent save of the worker does not prevent the requested change."""
        view = world.backfill(1, 3)
        if act == "resume_backfill":
            world.usecases.pause_backfill(view.backfill.backfill_id)
        save, faults = world.database.backfills.save_backfill, [ConcurrentUpdate("x"), ConcurrentUpdate("y")]

        def overtaken(*given, **named):
            if faults:
                raise faults.pop()
            return save(*given, **named)

        world.database.backfills.save_backfill = overtaken
        getattr(world.usecases, act)(view.backfill.backfill_id)
        wanted = world.look(view).backfill.desired_state
        assert (faults, wanted) == ([], act.removesuffix("_backfill").replace("resume", "run"))

    def test_a_pause_and_the_worker_at_the_same_time(self, world):
        """The worker has decided to send when the pause is saved: it sends nothing."""
        view = world.backfill(1, 3, parallel=True, max_active=2)
        world.pass_time(1)
        ping = world.airflow.ping

        def paused_meanwhile():
            world.airflow.ping = ping
            world.usecases.pause_backfill(view.backfill.backfill_id)

        world.clock.sleep(5)
        world.airflow.ping = paused_meanwhile
        world.sweeper.sweep()
        assert world.status(view) is BackfillStatus.PAUSED
        assert world.sent() == ["2026-01-01", "2026-01-02"]


class TestTheWorkflowAround:
    def test_a_paused_workflow_holds_its_backfill(self, world):
        """No further run is submitted, the answer gives the reason, and the backfill continues automatically afterwards."""
        view = world.backfill(1, 2)
        world.usecases.pause(NAME)
        world.pass_time(5)
        found = world.look(view)
        assert (len(world.sent()), "paused" in found.held, found.eta) == (1, True, None)
        world.usecases.unpause(NAME)
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_a_workflow_that_is_paused_at_the_last_moment_holds_its_backfill(self, world):
        """After the worker has listed what is to be driven: Airflow would only queue the runs."""
        view = world.backfill(1, 2)
        world.pass_time(1)
        active = world.database.backfills.active_backfills

        def paused_meanwhile(limit):
            found = active(limit)
            world.usecases.pause(NAME)
            return found

        world.clock.sleep(5)
        world.database.backfills.active_backfills = paused_meanwhile
        world.sweeper.sweep()
        assert world.by_date(view) == {1: "SUCCESS", 2: "PENDING"}
        assert len(world.in_airflow()) == 1

    def test_a_backfill_is_in_the_way_of_unregistering(self, world):
        """With force what waits is cancelled and what runs is stopped; the backfill stays readable under its old name."""
        view = world.backfill(1, 3)
        with pytest.raises(WorkflowHasActiveRuns):
            world.usecases.unregister(NAME)
        world.usecases.unregister(NAME, force=True)
        assert world.finish(view) is BackfillStatus.STOPPED
        assert len(world.in_airflow()) == 1
        assert world.usecases.backfills(NAME).total == 1

    def test_two_backfills_of_one_workflow_at_once(self, world):
        """Each within its own limit; all dates of both run once."""
        first = world.backfill(1, 5, parallel=True, max_active=2)
        second = world.backfill(6, 9)
        for _ in range(40):
            for view, most in ((first, 2), (second, 1)):
                under_way = [run for run in world.look(view).runs if run.sent_at and not run.is_settled]
                assert len(under_way) <= most
            world.pass_time()
        assert {world.status(first), world.status(second)} == {BackfillStatus.SUCCESS}
        assert Counter(world.sent()) == Counter(f"2026-01-0{n}" for n in range(1, 10))

    def test_no_backfill_starves(self, world):
        """More backfills than one pass drives wait in vain; the one behind them has its turn all the same."""
        trigger, stuck = world.airflow.trigger, set[str]()

        def choosing(dag_id, run_id, **given):
            if run_id in stuck or not stuck:
                raise DagNotFound(dag_id)
            return trigger(dag_id, run_id, **given)

        world.airflow.trigger = choosing
        first = [world.backfill(1, 1, reprocess=Reprocess.ALL) for _ in range(BATCH + 20)]
        last = world.backfill(19, 19)
        stuck |= {view.runs[0].run_id for view in first}
        assert world.finish(last) is BackfillStatus.SUCCESS
