"""What templates of a workflow may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jinja2 import pass_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2.runtime import Context


def run_date_in(timezone: str) -> Callable[[Context], str]:
    """``{{ run_date() }}`` of a workflow in this time zone: the date of the run, ``YYYY-MM-DD``, for every kind of run.

    The caller's ``params.date``, else the date of the logical date (the fire time of a scheduled run), else that of the moment
    from which the run might start (Airflow 3 has no logical date for runs that were triggered without one).
    """

    @pass_context
    def run_date(context: Context) -> str:
        run = context.get("dag_run")
        conf: Mapping[str, Any] = getattr(run, "conf", None) or {}
        if conf.get("date"):
            return str(conf["date"])
        moment = context.get("logical_date") or getattr(run, "logical_date", None) or getattr(run, "run_after", None)
        if moment is None:
            moment = run.start_date
        return str(moment.astimezone(ZoneInfo(timezone)).date().isoformat())

    return run_date
