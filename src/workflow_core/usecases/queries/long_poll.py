"""Wait for a change of a run."""

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
"""Maximum number of runs polled per call when no worker mirrors Airflow."""

POLL_INTERVAL: Final = 0.25
"""Interval between two reads of a caller that waits in this process, in seconds."""


def versions_of(run_ids: Collection[str], context: Context) -> Mapping[str, int]:
    """Return the current versions of these runs; when no worker mirrors Airflow, poll a random few of them first."""
    state = context.db.observations.airflow_state()
    if not state.is_followed(context.clock.now(), context.policy.fresh_for):
        _poll_some(list(run_ids), context)
    return context.db.workflows.run_versions(run_ids)


def _poll_some(run_ids: list[str], context: Context) -> None:
    for run_id in secrets.SystemRandom().sample(run_ids, min(POLL_LIMIT, len(run_ids))):
        run = context.db.workflows.run(run_id)
        if run is None or run.is_settled:
            continue
        try:
            poll(run, context)
        except (Unavailable, AirflowRefused) as error:
            _log.info("Could not poll %s: %s", run_id, error.message)


def wait_for_change(run_id: str, known: int | None, seconds: float, context: Context) -> int | None:
    """Return the version of a run once it differs from ``known``, or at the timeout. Blocks the thread."""
    deadline = context.clock.now() + timedelta(seconds=seconds)
    while True:
        version = versions_of([run_id], context).get(run_id)
        remaining = (deadline - context.clock.now()).total_seconds()
        if version != known or remaining <= 0:
            return version
        context.clock.sleep(min(POLL_INTERVAL, remaining))
