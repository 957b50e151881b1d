"""Functions for templates of a workflow."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jinja2 import pass_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2.runtime import Context


def run_date_in(timezone: str) -> Callable[[Context], str]:
    """Return ``{{ run_date() }}`` of a workflow in this time zone: the date of the run, ``YYYY-MM-DD``, for every kind
    of run.

    It is the caller's ``params.date``, else the date of the logical date (the fire time of a scheduled run), else that
    of the earliest start of the run (Airflow 3 has no logical date for runs that were triggered without one). The
    *default* of a declared param ``date`` does not count: it would be the same for every scheduled run.

    At rendering, it raises ``ValueError`` if the caller's date is invalid: no other check covers a run that is
    triggered in Airflow's own UI, and templates insert the result into commands.
    """

    @pass_context
    def run_date(context: Context) -> str:
        run = context.get("dag_run")
        conf: Mapping[str, Any] = getattr(run, "conf", None) or {}
        if conf.get("date") is not None and conf["date"] != "":
            return _checked(conf["date"])
        moment = context.get("logical_date") or getattr(run, "logical_date", None) or getattr(run, "run_after", None)
        if moment is None:
            raise ValueError(
                "run_date(): the run has no params.date, no logical date and no time from which it may start"
            )
        return str(moment.astimezone(ZoneInfo(timezone)).date().isoformat())

    return run_date


def _checked(value: object) -> str:
    try:
        if isinstance(value, str) and date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise ValueError(f"params.date: {ascii(value)[:60]} is not a calendar date like '2026-01-31'")
