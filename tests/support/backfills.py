"""A world for tests of backfills: their dates, what Airflow was given of them, and how they end."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tests.support.world import ME, NAME, World, a_spec
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.schedule import Schedule

if TYPE_CHECKING:
    from workflow_core.domain.backfill import BackfillStatus, BackfillView
    from workflow_core.domain.run import AirflowRun

NOW = datetime(2026, 1, 20, 10, tzinfo=UTC)


YAML = a_spec(NAME, "extract", command="echo hello", params="{region: EU}")


EVER = datetime(2000, 1, 1, tzinfo=UTC)


def day(number: int) -> date:
    return date(2026, 1, number)


class Backfilled(World):
    """A registered workflow with one task."""

    def backfill(self, first: int = 1, last: int = 3, **fields: Any) -> BackfillView:
        fields = {"caller": ME, **fields}
        view: BackfillView = self.usecases.backfill(fields.pop("name", NAME), day(first), day(last), **fields)
        return view

    def look(self, view: BackfillView) -> BackfillView:
        current: BackfillView = self.usecases.backfill_status(view.backfill.backfill_id)
        return current

    def status(self, view: BackfillView) -> BackfillStatus:
        return self.look(view).summary.status

    def by_date(self, view: BackfillView) -> dict[int, str]:
        """How each date stands: day of the month to status."""
        return {run.run_date.day: run.status.value for run in self.look(view).runs}

    def pass_time(self, seconds: int = 1) -> None:
        self.sweep(seconds, seconds=1)

    def finish(self, view: BackfillView, *, within: int = 60) -> BackfillStatus:
        """Sweep until it has ended; how it ended. Its limit holds at every look."""
        for _ in range(within):
            found = self.look(view)
            mine = {run.run_id for run in found.runs}
            active = [run for run in self.in_airflow() if run.run_id in mine and not run.status.is_final]
            assert len(active) <= found.backfill.max_active
            if found.summary.status.is_final:
                return found.summary.status
            self.pass_time()
        raise AssertionError(self.by_date(view))

    def in_airflow(self) -> list[AirflowRun]:
        """Every run in Airflow, in the order of the triggers."""
        runs = self.airflow.changed_runs(EVER).runs
        return sorted(runs, key=lambda run: (run.queued_at or EVER, run.run_id))

    def sent(self) -> list[str]:
        """The dates that Airflow was given, in the order of the triggers."""
        return [run.conf["date"] for run in self.in_airflow() if "date" in run.conf]

    def nothing_happened(self) -> bool:
        """Whether nothing was recorded and nothing sent."""
        return not self.in_airflow() and self.database.workflows.history(HistoryFilter(), PageRequest()).total == 0


def a_backfilled_world(*, cron="0 6 * * *", timezone="UTC", now=NOW, **policy) -> Backfilled:
    world = Backfilled.of(at=now, **policy)
    world.register(yaml=YAML, schedule=Schedule(cron=cron, timezone=timezone))
    return world
