"""Settings of logs, metrics and traces."""

from __future__ import annotations

from typing import Literal

from workflow_entrypoints.settings.fields import SettingsGroup, setting


class ObservabilitySettings(SettingsGroup):
    """What a process reports about itself."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "WORKFLOWS_LOG_LEVEL", "INFO", "The lowest level that is logged to standard error."
    )
    worker_metrics_port: int = setting(
        "WORKFLOWS_WORKER_METRICS_PORT",
        0,
        "The port on WORKFLOWS_HOST where `dli worker` serves `/metrics`, `/healthz` and `/readyz`; 0 for none. Beyond loopback only where"
        " WORKFLOWS_AUTH authenticates callers: `/metrics` then needs a credential, like that of `dli serve`.",
        ge=0,
        le=65535,
    )
    traces: bool = setting(
        "WORKFLOWS_TRACES",
        default=False,
        description="Whether `dli serve` and `dli worker` send OpenTelemetry traces (extra `[otel]`), by OTLP over HTTP. OpenTelemetry's"
        " own variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_TRACES_SAMPLER`, set the destination and the sampling.",
    )
    log_format: Literal["console", "json"] = setting(
        "WORKFLOWS_LOG_FORMAT",
        "console",
        "The format of log lines: `console` for people, `json` (one object per line) for machines.",
    )
