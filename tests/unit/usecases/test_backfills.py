"""Read backfills: counts, the expected end, and the list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.backfills import NOW, a_backfilled_world
from tests.support.world import NAME
from workflow_core.domain.backfill import BackfillStatus
from workflow_core.domain.run import RunStatus


@pytest.fixture
def make_world():
    return a_backfilled_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestLook:
    def test_counts_and_percent(self, world):
        """By status, of all; 100 only when all have ended."""
        view = world.backfill(1, 3)
        world.pass_time(2)
        found = world.look(view).summary
        assert found.counts == {RunStatus.SUCCESS: 1, RunStatus.PENDING: 2}
        assert (found.total, found.percent) == (3, 33)

    def test_eta_needs_to_have_seen_a_run(self, world):
        """Unknown at first, then from the backfill's own runs, gone at the end."""
        view = world.backfill(1, 5)
        assert world.look(view).eta is None
        world.pass_time(3)
        eta = world.look(view).eta
        assert NOW + timedelta(seconds=5) < eta < NOW + timedelta(seconds=15)
        world.finish(view)
        assert world.look(view).eta is None

    def test_eta_from_history(self, world):
        """Until one of its runs has ended, the estimate comes from earlier runs of the workflow, over the parallel lanes."""
        for number in (1, 2):
            world.usecases.run(NAME, {"date": f"2026-01-0{number}"})
        world.pass_time(4)
        now = world.clock.now()
        assert world.look(world.backfill(3, 10, parallel=True, max_active=4)).eta == now + timedelta(seconds=2)
        assert world.look(world.backfill(11, 14)).eta == now + timedelta(seconds=4)

    def test_a_list_has_the_latest_first(self, world):
        """With status and counts of each."""
        world.finish(world.backfill(1, 1))
        second = world.backfill(2, 4)
        listed = world.usecases.backfills(NAME)
        assert [one.backfill.start_date.day for one in listed.items] == [2, 1]
        assert [one.status for one in listed.items] == [BackfillStatus.PENDING, BackfillStatus.SUCCESS]
        assert listed.items[0] == world.look(second).summary
