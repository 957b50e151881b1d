"""Filters of the lists of workflows and runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.workflow import SourceType, WorkflowStatus


@frozen(kw_only=True)
class WorkflowFilter:
    """Which workflows to list; None matches any. ``visible`` restricts the list to what the caller may see."""

    status: WorkflowStatus | None = None
    source_type: SourceType | None = None
    owner: str | None = None
    visible: Visibility | None = None


@frozen(kw_only=True)
class HistoryFilter:
    """Which runs to list; None matches any. Dates are inclusive calendar days in UTC, of ``started_at``.

    ``visible`` restricts the list to runs whose workflow the caller may view: the workflow of the run itself, not a later one of the
    same name.
    """

    dataset_name: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    visible: Visibility | None = None

    @property
    def window(self) -> tuple[datetime | None, datetime | None]:
        """The dates as points in time: from (inclusive) and until (exclusive)."""
        start = datetime.combine(self.start_date, time(), UTC) if self.start_date else None
        bounded = self.end_date is not None and self.end_date < date.max  # no day follows the last one
        end = datetime.combine(self.end_date + timedelta(days=1), time(), UTC) if self.end_date and bounded else None
        return start, end
