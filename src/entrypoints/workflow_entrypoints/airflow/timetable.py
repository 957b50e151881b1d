"""The timetable of a workflow for Airflow's scheduler; an entry point registers it with Airflow as a plugin.

Airflow uses the start date for two things: the schedule begins there, and a run whose logical date lies before it gets
no tasks and ends "success". With the moment of registration as the start date, no backfill of the past would do
anything; with an early one, a new DAG would run at once for its last fire time. So our DAGs have an early start date,
and their timetable determines when they first fire.

The fire times are those of :class:`workflow_core.domain.schedule.Schedule`, which the service also uses. Airflow's own
cron timetables are not used: their interpretation of an expression depends on the installed croniter, and they misfire
at a change of the clocks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import instance

from workflow_core.domain.schedule import Schedule

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction


STILL_DUE: Final = timedelta(minutes=1)
"""How long after a fire time a change of ``not_before`` does not suppress its run: the scheduler may not have created
it yet.
"""


class FiresFrom(Timetable):  # type: ignore[misc]  # Airflow is not installed where types are checked
    """A cron timetable with empty data intervals; it first fires at the first fire time at or after ``not_before``.

    ``not_before`` moves when another text of the spec is published. The run that follows the last one is created
    nevertheless if it became due at most :data:`STILL_DUE` earlier: the scheduler may not have created it yet.
    """

    def __init__(self, cron: str, *, timezone: str, not_before: datetime) -> None:
        self._schedule = Schedule.stored(cron, timezone)
        self._not_before = not_before.astimezone(UTC)
        self.description = _described(cron)

    @property
    def summary(self) -> str:
        """The expression, for Airflow's UI."""
        return self._schedule.cron

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        """Return an empty interval."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run, or None. The start date of the DAG does not count."""
        last = None if last_automated_data_interval is None else _plain(last_automated_data_interval.end)
        try:
            fires = self._next(last, catchup=restriction.catchup)
        except OverflowError:  # beyond the end of the calendar
            return None
        if restriction.latest is not None and restriction.latest < fires:
            return None
        return DagRunInfo.exact(instance(fires))

    def _next(self, last: datetime | None, *, catchup: bool) -> datetime:
        """Return the fire time after the run of ``last``. Without ``catchup``, only the latest of the missed ones is
        returned.
        """
        due = None if last is None else self._schedule.next_after(last)
        if due is not None and catchup:
            return due
        earliest = self._not_before
        if due is not None and due <= earliest < due + STILL_DUE:
            earliest = due
        fires = self._schedule.first_from(earliest)
        if due is not None:
            fires = max(fires, due)
        if not catchup and fires <= (now := datetime.now(UTC)):
            fires = max(fires, self._schedule.last_until(now) or fires)
        return fires

    def serialize(self) -> dict[str, Any]:
        """Return the timetable as JSON, for the other processes of Airflow. An earlier release can read it."""
        return {
            "expression": self._schedule.cron,
            "timezone": self._schedule.timezone,
            "interval": 0.0,
            "run_immediately": False,
            "not_before": self._not_before.isoformat(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> FiresFrom:
        """Restore the result of :meth:`serialize`, of this release or an earlier one."""
        return cls(data["expression"], timezone=data["timezone"], not_before=datetime.fromisoformat(data["not_before"]))


def _plain(moment: datetime) -> datetime:
    """Convert a pendulum datetime to one of the standard library, in UTC: the arithmetic of the two differs."""
    utc = moment.astimezone(UTC)
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC)


@lru_cache(maxsize=1024)
def _described(cron: str) -> str:
    """Return the expression in words, as in Airflow's UI; the expression itself where Airflow cannot parse it."""
    try:
        described: str = CronTriggerTimetable(cron, timezone="UTC").description
    except Exception:  # noqa: BLE001 - croniter's and cron-descriptor's errors are many, and this is for display only
        return cron
    return described or cron


class WorkflowCorePlugin(AirflowPlugin):  # type: ignore[misc]  # likewise
    """Registers the timetable in each process of Airflow."""

    name = "workflow_core"
    timetables = (FiresFrom,)
