"""Whether the systems that the service depends on answer, and whether a worker follows Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import Factory, evolve, frozen

from workflow_core.errors import WorkflowError
from workflow_core.ports.airflow import ComponentState, Guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.ports.airflow import BreakerState
    from workflow_core.usecases.context import Context


LATE: Final = 60.0
"""Seconds after the last pass of a worker from which on it is late."""


@frozen(kw_only=True)
class SystemHealth:
    """One system: whether it can be used, in words why not, the states of its parts where it has any, and of the circuit breaker in
    front of it.
    """

    ok: bool
    detail: str = "ok"
    parts: Mapping[str, ComponentState] = Factory(dict)
    breaker: BreakerState | None = None


@frozen(kw_only=True)
class Health:
    """The three systems that must agree, and the worker that sees to it."""

    database: SystemHealth
    storage: SystemHealth
    airflow: SystemHealth
    worker: SystemHealth

    @property
    def ok(self) -> bool:
        """Whether all of them can be used."""
        return self.database.ok and self.storage.ok and self.airflow.ok and self.worker.ok


def check_health(context: Context) -> Health:
    """Ask each system, each within its own time limits. Never raises."""
    return Health(
        database=check_database(context),
        storage=_checked(lambda: _plain(context.storage.check)),
        airflow=evolve(_checked(lambda: _airflow(context)), breaker=breaker_state(context)),
        worker=_checked(lambda: _worker(context)),
    )


def check_database(context: Context) -> SystemHealth:
    """Ask the database alone: without it nothing can be answered. Never raises."""
    return _checked(lambda: _plain(context.db.check))


def breaker_state(context: Context) -> BreakerState | None:
    """The state of the circuit breaker in front of Airflow, if there is one."""
    return context.airflow.breaker_state() if isinstance(context.airflow, Guarded) else None


def _checked(check: Callable[[], SystemHealth]) -> SystemHealth:
    try:
        return check()
    except WorkflowError as error:
        return SystemHealth(ok=False, detail=error.message)


def _plain(check: Callable[[], None]) -> SystemHealth:
    check()
    return SystemHealth(ok=True)


def _airflow(context: Context) -> SystemHealth:
    """Usable means that it would take a run; a part that is down is named, because runs will then wait."""
    context.airflow.ping()
    parts = context.airflow.health()
    down = sorted(name for name, state in parts.items() if state is not ComponentState.HEALTHY)
    return SystemHealth(ok=not down, detail=f"unhealthy: {', '.join(down)}" if down else "ok", parts=parts)


def _worker(context: Context) -> SystemHealth:
    """Late if the last pass of any worker is long ago. Before the first one nothing is known."""
    tried_at = context.db.observations.airflow_state().tried_at
    if tried_at is None:
        return SystemHealth(ok=True, detail="no pass is recorded yet")
    seconds = (context.clock.now() - tried_at).total_seconds()
    if seconds <= max(LATE, context.policy.fresh_for):
        return SystemHealth(ok=True)
    return SystemHealth(ok=False, detail=f"the last pass ended {seconds:.0f} s ago: no worker runs, or it hangs")
