"""Wait for a change of runs."""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workflow_core.errors import AirflowRefused, Unavailable
from workflow_core.usecases.reconcile.runs import poll

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

POLL_LIMIT: Final = 3
"""Runs that are looked at in Airflow at one go, where no worker follows it."""

POLL_INTERVAL: Final = 0.25
"""Seconds between two looks of one who waits in this process."""


def versions_of(run_ids: Collection[str], context: Context) -> Mapping[str, int]:
    """The versions of these runs now. Where no worker follows Airflow, some of them are looked at there first, in no order."""
    state = context.db.observations.airflow_state()
    if not state.is_followed(context.clock.now(), context.policy.fresh_for):
        _look_at_some(list(run_ids), context)
    return context.db.workflows.run_versions(run_ids)


def _look_at_some(run_ids: list[str], context: Context) -> None:
    for run_id in secrets.SystemRandom().sample(run_ids, min(POLL_LIMIT, len(run_ids))):
        run = context.db.workflows.run(run_id)
        if run is None or run.settled:
            continue
        try:
            poll(run, context)
        except (Unavailable, AirflowRefused) as error:
            _log.info("%s is as it was last seen: %s", run_id, error.message)


def wait_for_change(run_id: str, known: int | None, seconds: float, context: Context) -> int | None:
    """The version of a run as soon as it is not ``known``, or when the time is over; holds the thread meanwhile."""
    deadline = context.clock.now() + timedelta(seconds=seconds)
    while True:
        version = versions_of([run_id], context).get(run_id)
        left = (deadline - context.clock.now()).total_seconds()
        if version != known or left <= 0:
            return version
        context.clock.sleep(min(POLL_INTERVAL, left))
