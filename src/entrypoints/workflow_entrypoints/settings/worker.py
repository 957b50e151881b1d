"""Settings of the worker."""

from __future__ import annotations

from workflow_entrypoints.settings.fields import SettingsGroup, setting


class WorkerSettings(SettingsGroup):
    """Whether the worker runs in ``dli serve``, and how often it does what."""

    shutdown_grace: float = setting(
        "WORKFLOWS_SHUTDOWN_GRACE",
        20.0,
        "Seconds that requests under way, and the worker's pass, then have to end.",
        ge=0,
        le=600,
    )
    worker: bool = setting("WORKFLOWS_WORKER", default=True, description="Whether `dli serve` also runs the worker.")
    sweep_interval: float = setting(
        "WORKFLOWS_SWEEP_INTERVAL", 2.0, "Seconds between two passes of the worker.", gt=0, le=3600
    )
    compare_interval: float = setting(
        "WORKFLOWS_COMPARE_INTERVAL",
        300.0,
        "Seconds between two full comparisons of database, object store and Airflow; 0 for none.",
        ge=0,
        le=86_400,
    )
    sync_interval: float = setting(
        "WORKFLOWS_SYNC_INTERVAL",
        60.0,
        "Seconds between two syncs of CODE workflows by the worker; 0 for none.",
        ge=0,
        le=86_400,
    )
    sync_max_removed: float = setting(
        "WORKFLOWS_SYNC_MAX_REMOVED",
        0.3,
        "The largest share of the CODE workflows that one sync removes automatically; up to three are removed regardless of their share.",
        ge=0,
        le=1,
    )
