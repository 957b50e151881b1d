"""Advice on keys of other formats, and guesses at misspelt keys."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CLOSE: Final = 0.75
"""The similarity above which a word counts as a misspelling; difflib's default of 0.6 suggests ``params`` for ``op_args``."""


def guess(name: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``name`` probably means; None if none is similar."""
    close = get_close_matches(name[:100], list(known), n=1, cutoff=_CLOSE)
    return close[0] if close else None


_IN_EACH_TASK: Final = "write the arguments in each task; shared defaults are not supported yet"
_CRON: Final = 'write `schedule: {cron: "0 6 * * *", timezone: Europe/Zurich}`'
_NOT_YET: Final = "is not supported yet; leave it out"
_NO_CALLBACK: Final = "callbacks are not supported; write a task with a `trigger_rule`, such as `one_failed`"
_NO_GROUPS: Final = "task groups are not supported; write the tasks into `tasks`, with `dependencies` between them"
_TAGS: Final = "is not supported yet; the DAG has its source, `owner` and `team` as tags"
_DOC: Final = "is not supported; write `description`"
_TIMEZONE: Final = "belongs to the schedule: write `schedule: {cron: …, timezone: …}`"
_NAME: Final = "is not supported; write the dataset name as `name` (the DAG id follows from it)"
_FIXED_RUNS: Final = "is not supported yet; Airflow's global setting holds"
_ONE_TASK_EACH: Final = "is not supported for the whole workflow; write it in each task"

TOP_LEVEL: Final[Mapping[str, str]] = {
    **dict.fromkeys(("default_args", "defaults", "default", "task_defaults", "args"), _IN_EACH_TASK),
    **dict.fromkeys(("schedule_interval", "cron", "timetable", "interval", "cron_schedule"), _CRON),
    **dict.fromkeys(("timezone", "tz"), _TIMEZONE),
    **dict.fromkeys(("tags", "labels"), _TAGS),
    **dict.fromkeys(("task_groups", "groups"), _NO_GROUPS),
    **dict.fromkeys(("dag_id", "id", "dag_name", "dataset_name"), _NAME),
    **dict.fromkeys(("doc_md", "doc_md_file_path", "doc_md_python_callable_file", "dag_display_name", "doc"), _DOC),
    **dict.fromkeys(("max_active_runs", "max_active_tasks", "concurrency", "max_consecutive_failed_dag_runs"), _FIXED_RUNS),
    **dict.fromkeys(("retries", "retry_delay", "pool", "queue", "execution_timeout", "email", "depends_on_past"), _ONE_TASK_EACH),
    **dict.fromkeys(("dagrun_timeout", "dagrun_timeout_sec", "run_timeout", "timeout"),
                    "is not supported yet; write `execution_timeout` (seconds) in the tasks"),
    **dict.fromkeys(("end_date", "end"), "is not supported yet; pause or unregister the workflow at that time"),
    **dict.fromkeys(("start", "start_at"), "is not known; write `start_date`"),
    **dict.fromkeys(("on_failure_callback", "on_success_callback", "on_retry_callback", "on_execute_callback", "on_skipped_callback",
                     "sla_miss_callback", "callbacks", "notifications"), _NO_CALLBACK),
    **dict.fromkeys(("owners", "author"), "is not known; write `owner`"),
    **dict.fromkeys(("parameters", "inputs", "variables"), "is not known; write `params`"),
    **dict.fromkeys(("steps", "jobs"), "is not known; write `tasks`"),
    **dict.fromkeys(("is_paused_upon_creation", "paused"), "is not supported; `dli workflow pause NAME` pauses the workflow"),
    "catchup": "is not supported; past fire times are never made up for, `dli workflow backfill` runs past dates",
    "access_control": "is not supported; roles are granted in the service's configuration",
    "render_template_as_native_obj": _NOT_YET,
    "orientation": _NOT_YET, "default_view": _NOT_YET, "dagbag_import_timeout": _NOT_YET, "fail_fast": _NOT_YET, "fail_stop": _NOT_YET,
    "deadline": _NOT_YET, "sla": _NOT_YET,
    "template_searchpath": "is not supported; write commands and SQL into the tasks",
    "user_defined_macros": "is not supported; `{{ run_date() }}` is the macro that every workflow has",
    "user_defined_filters": "is not supported; write the value with Jinja's own filters",
    "jinja_environment_kwargs": "is not supported; Jinja's defaults hold",
}  # fmt: skip
"""Top-level keys of other formats, each with the advice on what to write instead."""

_DEPENDENCIES: Final = "is not known; write `dependencies: [task_id]`, the ids of the tasks that must succeed first"

ANY_TASK: Final[Mapping[str, str]] = {
    **dict.fromkeys(("depends_on", "upstream", "upstreams", "upstream_tasks", "upstream_task_ids", "needs", "after", "requires"),
                    _DEPENDENCIES),
}  # fmt: skip
"""The advice on keys of a task that no Airflow operator has as an argument."""

_RESOURCES: Final = "is not supported; write `pool` and `pool_slots`, or `executor_config`"
_COMMAND: Final = "is not known; write `bash_command`"
_CALL: Final = "is not known; write `python_callable: package.module.function`"

SHORT_TASK: Final[Mapping[str, str]] = {
    "params": "is not supported in a task; declare `params` at the top level, they hold for every task",
    "resources": _RESOURCES,
    **dict.fromkeys(("command", "cmd", "script", "run"), _COMMAND),
    **dict.fromkeys(("callable", "function", "entrypoint"), _CALL),
    **dict.fromkeys(("args",), "is not known; write `op_args`"),
    **dict.fromkeys(("kwargs",), "is not known; write `op_kwargs`"),
    **dict.fromkeys(("query", "statement", "statements"), "is not known; write `sql`"),
    **dict.fromkeys(("url", "uri"), "is not known; write `endpoint`; the connection has scheme and host"),
    **dict.fromkeys(("timeout", "timeout_seconds"), "is not known; write `execution_timeout` (seconds)"),
    "task_concurrency": "was renamed; write `max_active_tis_per_dag`",
    "sla": "was removed in Airflow 3; write `execution_timeout` (seconds)",
    "retry_policy": "takes an object, which is not supported; write `retries`, `retry_delay` and `retry_exponential_backoff`",
    "retry_args": "takes objects, which are not supported; write `retries` and `retry_delay`",
    "auth_type": "takes a class, which is not supported; write it into the connection of `http_conn_id`",
    "handler": "takes a function, which is not supported; the default returns all rows",
    "render_template_as_native_obj": _NOT_YET,
    "allow_nested_operators": _NOT_YET,
    "description": "is not known; write `doc_md`",
    **dict.fromkeys(("conn_id", "postgres_conn_id", "mysql_conn_id", "snowflake_conn_id", "connection", "sqlite_conn_id"),
                    "is not known; the connection is `conn_id` of operator 'sql', and `http_conn_id` of operator 'http'"),
}  # fmt: skip
"""The advice on keys of the tasks of short operators."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "task_id": ("id", "name", "task", "key", "task_name"),
    "operator": ("type", "class", "op", "uses", "operator_class", "task_type", "kind"),
    "cron": ("expression", "schedule", "cron_expression", "interval", "preset"),
    "default": ("value",),
}
"""Other names for required keys."""


def meant(key: str, present: Iterable[str]) -> str | None:
    """The key among ``present`` that probably stands for the required ``key``."""
    others = [name for name in present if name in REQUIRED.get(key, ())]
    return next(iter(others), None) or next((name for name in present if guess(name, [key])), None)


_STANDARD: Final = "airflow.providers.standard."
_SQL: Final = "airflow.providers.common.sql."
_PYTHON: Final = ("PythonOperator", "BranchPythonOperator", "ShortCircuitOperator", "PythonVirtualenvOperator",
                  "ExternalPythonOperator", "BranchExternalPythonOperator", "BranchPythonVirtualenvOperator")  # fmt: skip
_SQL_CLASSES: Final = ("MySqlOperator", "PostgresOperator", "SqliteOperator", "MsSqlOperator", "OracleOperator", "JdbcOperator",
                       "SnowflakeOperator", "SQLExecuteQueryOperator")  # fmt: skip
_SQL_CHECKS: Final = ("SQLCheckOperator", "SQLValueCheckOperator", "SQLIntervalCheckOperator", "SQLThresholdCheckOperator",
                      "BranchSQLOperator")  # fmt: skip

_CLASSES: Final[Mapping[str, str]] = {
    "BashOperator": f"{_STANDARD}operators.bash.BashOperator",
    "DummyOperator": f"{_STANDARD}operators.empty.EmptyOperator",
    "EmptyOperator": f"{_STANDARD}operators.empty.EmptyOperator",
    **{name: f"{_STANDARD}operators.python.{name}" for name in _PYTHON},
    "BranchDateTimeOperator": f"{_STANDARD}operators.datetime.BranchDateTimeOperator",
    "BranchDayOfWeekOperator": f"{_STANDARD}operators.weekday.BranchDayOfWeekOperator",
    "LatestOnlyOperator": f"{_STANDARD}operators.latest_only.LatestOnlyOperator",
    "SmoothOperator": f"{_STANDARD}operators.smooth.SmoothOperator",
    "TriggerDagRunOperator": f"{_STANDARD}operators.trigger_dagrun.TriggerDagRunOperator",
    "EmailOperator": "airflow.providers.smtp.operators.smtp.EmailOperator",
    "SimpleHttpOperator": "airflow.providers.http.operators.http.HttpOperator",
    "HttpOperator": "airflow.providers.http.operators.http.HttpOperator",
    "GenericTransfer": f"{_SQL}operators.generic_transfer.GenericTransfer",
    **dict.fromkeys(_SQL_CLASSES, f"{_SQL}operators.sql.SQLExecuteQueryOperator"),
    **{name: f"{_SQL}operators.sql.{name}" for name in _SQL_CHECKS},
    "BashSensor": f"{_STANDARD}sensors.bash.BashSensor",
    "PythonSensor": f"{_STANDARD}sensors.python.PythonSensor",
    "DateTimeSensor": f"{_STANDARD}sensors.date_time.DateTimeSensor",
    "DateTimeSensorAsync": f"{_STANDARD}sensors.date_time.DateTimeSensorAsync",
    "TimeSensor": f"{_STANDARD}sensors.time.TimeSensor",
    "TimeSensorAsync": f"{_STANDARD}sensors.time.TimeSensorAsync",
    "TimeDeltaSensor": f"{_STANDARD}sensors.time_delta.TimeDeltaSensor",
    "TimeDeltaSensorAsync": f"{_STANDARD}sensors.time_delta.TimeDeltaSensorAsync",
    "DayOfWeekSensor": f"{_STANDARD}sensors.weekday.DayOfWeekSensor",
    "FileSensor": f"{_STANDARD}sensors.filesystem.FileSensor",
    "ExternalTaskSensor": f"{_STANDARD}sensors.external_task.ExternalTaskSensor",
    "ExternalTaskMarker": f"{_STANDARD}sensors.external_task.ExternalTaskMarker",
    "HttpSensor": "airflow.providers.http.sensors.http.HttpSensor",
    "SqlSensor": f"{_SQL}sensors.sql.SqlSensor",
    "S3KeySensor": "airflow.providers.amazon.aws.sensors.s3.S3KeySensor",
    "KubernetesPodOperator": "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator",
    "SSHOperator": "airflow.providers.ssh.operators.ssh.SSHOperator",
    "DockerOperator": "airflow.providers.docker.operators.docker.DockerOperator",
}
"""Classes that Airflow moved from itself into providers, and where each of them is now."""

_OLD_PLACES: Final = ("airflow.operators.", "airflow.sensors.", "airflow.contrib.")


def present_path(operator: str, short: Mapping[str, str]) -> str | None:
    """What to write instead of a bare class name or a class path from before Airflow's providers; None for any other text."""
    path, _, name = operator.rpartition(".")
    if path and not operator.startswith(_OLD_PLACES):
        return None
    now = _CLASSES.get(name)
    if now is None:
        return None
    return next((word for word, meaning in short.items() if meaning == now), now)


def is_old_path(operator: str) -> bool:
    """Whether this is a place where Airflow had operators before they moved into providers."""
    return operator.startswith(_OLD_PLACES)
