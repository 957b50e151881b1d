"""Check whether the database, the object store and Airflow respond, and whether a worker mirrors Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import Factory, evolve, frozen

from workflow_core.errors import WorkflowError
from workflow_core.ports.airflow import ComponentState, Guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.ports.airflow import BreakerState
    from workflow_core.usecases.context import Context


LATE_AFTER: Final = 60.0
"""How long after the last pass of any worker the worker counts as late, in seconds."""


@frozen(kw_only=True)
class SystemHealth:
    """The health of one system.

    Attributes:
        ok: whether it can be used.
        detail: the reason if not.
        parts: the states of its components, if it has any.
        breaker: the state of the circuit breaker in front of it, if there is one.
    """

    ok: bool
    detail: str = "ok"
    parts: Mapping[str, ComponentState] = Factory(dict)
    breaker: BreakerState | None = None


@frozen(kw_only=True)
class Health:
    """The health of the three systems and of the worker that keeps them in agreement."""

    database: SystemHealth
    storage: SystemHealth
    airflow: SystemHealth
    worker: SystemHealth

    @property
    def ok(self) -> bool:
        """Whether all of them can be used."""
        return self.database.ok and self.storage.ok and self.airflow.ok and self.worker.ok


def check_health(context: Context) -> Health:
    """Check each system within its own time limits. Never raises."""
    return Health(
        database=check_database(context),
        storage=_checked(lambda: _plain(context.storage.check)),
        airflow=evolve(_checked(lambda: _airflow(context)), breaker=breaker_state(context)),
        worker=_checked(lambda: _worker(context)),
    )


def check_database(context: Context) -> SystemHealth:
    """Check only the database, without which no request can be answered. Never raises."""
    return _checked(lambda: _plain(context.db.check))


def breaker_state(context: Context) -> BreakerState | None:
    """Return the state of the circuit breaker in front of Airflow, if there is one."""
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
    """Airflow is usable if it accepts a run; an unhealthy component is named, because runs will wait for it."""
    context.airflow.ping()
    parts = context.airflow.health()
    down = sorted(name for name, state in parts.items() if state is not ComponentState.HEALTHY)
    return SystemHealth(ok=not down, detail=f"unhealthy: {', '.join(down)}" if down else "ok", parts=parts)


def _worker(context: Context) -> SystemHealth:
    """The worker is late if no pass of any worker ended recently; before the first pass nothing is known."""
    tried_at = context.db.observations.airflow_state().tried_at
    if tried_at is None:
        return SystemHealth(ok=True, detail="no pass has been recorded yet")
    seconds = (context.clock.now() - tried_at).total_seconds()
    if seconds <= max(LATE_AFTER, context.policy.fresh_for):
        return SystemHealth(ok=True)
    return SystemHealth(ok=False, detail=f"the last pass ended {seconds:.0f} s ago: no worker runs, or it hangs")
