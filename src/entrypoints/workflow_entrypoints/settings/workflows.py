"""Settings of workflows and runs: what a spec may contain, and the limits of the service."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from workflow_core.domain.spec import DEFAULT_CALLABLES, DEFAULT_OPERATORS, SpecRules
from workflow_core.usecases.config import CodeExecution
from workflow_entrypoints.settings.fields import SettingsGroup, setting, words


class SpecSettings(SettingsGroup):
    """What a spec may contain, and how Airflow loads it."""

    loaders: int = setting(
        "WORKFLOWS_LOADERS", 8, "Number of loader files in Airflow (`dli airflow install`).", ge=1, le=99
    )
    allowed_operators: Annotated[tuple[str, ...], BeforeValidator(words)] = setting(
        "WORKFLOWS_ALLOWED_OPERATORS",
        DEFAULT_OPERATORS,
        "Patterns of the operator classes that specs may use, separated by commas. A class that changes other workflows, such as"
        " `TriggerDagRunOperator`, needs its full path here.",
        min_length=1,
    )
    allowed_callables: Annotated[tuple[str, ...], BeforeValidator(words)] = setting(
        "WORKFLOWS_ALLOWED_CALLABLES",
        DEFAULT_CALLABLES,
        "Patterns of the functions that `python_callable` may name, separated by commas. Functions of the standard library and of"
        " Airflow need a pattern that starts with the name of their package, such as `json.*`.",
        min_length=1,
    )
    default_task: str | None = setting(
        "WORKFLOWS_DEFAULT_TASK",
        None,
        'The task of a workflow that has none: JSON of one task, such as `{"operator": "bash", "bash_command": "…"}`. Read in Airflow.',
    )
    loader_cache: str | None = setting(
        "WORKFLOWS_LOADER_CACHE",
        None,
        "Folder where Airflow's loader caches specs. Default: in AIRFLOW_HOME. Read in Airflow.",
    )
    code_execution: CodeExecution = setting(
        "WORKFLOWS_CODE_EXECUTION",
        CodeExecution.DENY,
        "Whether CODE workflows may be run over the API: `deny` or `allow`.",
    )
    max_yaml_bytes: int = setting("WORKFLOWS_MAX_YAML_BYTES", 262_144, "Largest YAML of a workflow.", ge=1024)

    @property
    def rules(self) -> SpecRules:
        """The rules that every spec is checked against."""
        return SpecRules(
            max_bytes=self.max_yaml_bytes, operators=self.allowed_operators, callables=self.allowed_callables
        )


class RunSettings(SettingsGroup):
    """Limits and waits of registrations, runs and backfills."""

    max_params_bytes: int = setting("WORKFLOWS_MAX_PARAMS_BYTES", 65_536, "Largest params of a run, as JSON.", ge=1024)
    backfill_max_dates: int = setting(
        "WORKFLOWS_BACKFILL_MAX_DATES", 1000, "Maximum number of dates of a backfill.", ge=1, le=10_000
    )
    backfill_max_active: int = setting(
        "WORKFLOWS_BACKFILL_MAX_ACTIVE",
        8,
        "Concurrent runs of a parallel backfill, unless it specifies another number.",
        ge=1,
        le=100,
    )
    register_wait: float = setting(
        "WORKFLOWS_REGISTER_WAIT", 10.0, "Seconds that a registration waits for Airflow to serve the DAG.", ge=0, le=120
    )
    stop_grace: float = setting(
        "WORKFLOWS_STOP_GRACE",
        15.0,
        "Seconds that the process of a task may live on after Airflow has marked it as ended; a run is STOPPED only then.",
        ge=0,
        le=600,
    )
    fresh_for: float = setting(
        "WORKFLOWS_FRESH_FOR",
        3.0,
        "Seconds after a pass of the worker in which reads return what it recorded, without a request to Airflow.",
        ge=0,
        le=60,
    )
    keep_keys: float = setting(
        "WORKFLOWS_KEEP_KEYS",
        86_400.0,
        "Minimum time, in seconds, for which an `Idempotency-Key` and its response are kept.",
        ge=60,
        le=2_592_000,
    )
