"""The schedule of a workflow, as Airflow's scheduler asks for it; registered with Airflow as a plugin by its entry point.

Airflow has one start date for two things: the schedule begins there, and a run whose logical date lies before it gets no tasks and
ends "success". Were it the moment of registration, no backfill of the past would do anything; were it long ago, a new DAG would run at
once for its last fire time. So our DAGs start long ago, and their timetable knows from when on it fires.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import instance

if TYPE_CHECKING:
    from airflow.timetables.base import DagRunInfo, DataInterval


STILL_DUE: Final = timedelta(minutes=1)
"""How long after a fire time the scheduler may take to make its run, as far as a change of ``not_before`` is concerned."""


class FiresFrom(CronTriggerTimetable):  # type: ignore[misc]  # Airflow is not installed where types are checked
    """Cron with empty data intervals, at the first fire time at or after ``not_before`` for the first time.

    ``not_before`` moves when a spec is published again. The run that follows the last one is made all the same if it has become due
    within :data:`STILL_DUE` before: the scheduler may not have come to it yet.
    """

    def __init__(self, cron: str, *, timezone: Any, not_before: datetime) -> None:
        super().__init__(cron, timezone=timezone)
        self._not_before = not_before.astimezone(UTC)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """As Airflow asks: the start date of the DAG does not count."""
        earliest = instance(self._not_before)
        if last_automated_data_interval is not None:
            due = self._get_next(last_automated_data_interval.end)
            if due <= earliest < due + STILL_DUE:
                earliest = due
        from_then = TimeRestriction(earliest, restriction.latest, restriction.catchup)
        found: DagRunInfo | None = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=from_then
        )
        return found

    def serialize(self) -> dict[str, Any]:
        """As JSON, for the other processes of Airflow."""
        return {**super().serialize(), "not_before": self._not_before.isoformat()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> FiresFrom:
        """From :meth:`serialize`."""
        plain = CronTriggerTimetable.deserialize(data)
        not_before = datetime.fromisoformat(data["not_before"])
        return cls(data["expression"], timezone=plain._timezone, not_before=not_before)  # noqa: SLF001 - our own base


class WorkflowCorePlugin(AirflowPlugin):  # type: ignore[misc]  # likewise
    """What Airflow must know of us in each of its processes."""

    name = "workflow_core"
    timetables = (FiresFrom,)
