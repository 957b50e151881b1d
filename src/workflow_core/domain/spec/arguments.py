"""The arguments of operators and their kinds: common arguments, those of the short operators, and those of sensors.

Of the short operators, only arguments that mean the same on Airflow 2.11 and 3.x are listed (read from the sources of both, and of
the providers named in ``constraints/``). The other arguments of full class paths are checked by Airflow when it builds the DAG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.spec.document import SHORT_OPERATORS
from workflow_core.domain.spec.values import (
    BOOLEAN,
    CALLABLE,
    ENCODING,
    FILLED,
    LIST,
    MAPPING,
    SECONDS,
    TEXT,
    TEXTS,
    Kind,
    either,
    list_of,
    one_of,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIGGER_RULES: Final = (
    "all_success", "all_failed", "all_done", "all_skipped", "one_success", "one_failed", "one_done", "none_failed",
    "none_failed_min_one_success", "none_skipped", "always",
)  # fmt: skip
"""The trigger rules that exist in Airflow 2.11 and 3.x and need no setup or teardown task."""

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

_WEIGHT: Final = 2**31
_URIS: Final = list_of(FILLED, "a list of URIs").or_null()
_EMAIL: Final = either("an e-mail address, or a list of them", FILLED, list_of(FILLED, "a list of addresses", least=1))
_EXIT_CODE: Final = whole(0, 255)

COMMON: Final[Mapping[str, Kind]] = {
    "depends_on_past": BOOLEAN,
    "do_xcom_push": BOOLEAN,
    "doc": TEXT.or_null(),
    "doc_json": TEXT.or_null(),
    "doc_md": TEXT.or_null(),
    "doc_rst": TEXT.or_null(),
    "doc_yaml": TEXT.or_null(),
    "email": _EMAIL.or_null(),
    "email_on_failure": BOOLEAN,
    "email_on_retry": BOOLEAN,
    "execution_timeout": SECONDS.or_null(),
    "executor": FILLED.or_null(),
    "executor_config": MAPPING.or_null(),
    "ignore_first_depends_on_past": BOOLEAN,
    "inlets": _URIS,
    "logger_name": FILLED.or_null(),
    "map_index_template": TEXT.or_null(),
    "max_active_tis_per_dag": whole(1).or_null(),
    "max_active_tis_per_dagrun": whole(1).or_null(),
    "max_retry_delay": SECONDS.or_null(),
    "multiple_outputs": BOOLEAN,
    "outlets": _URIS,
    "owner": FILLED,
    "pool": FILLED.or_null(),
    "pool_slots": whole(1),
    "priority_weight": whole(-_WEIGHT, _WEIGHT - 1),
    "queue": FILLED,
    "retries": whole(0),
    "retry_delay": SECONDS,
    "retry_exponential_backoff": BOOLEAN,
    "run_as_user": FILLED.or_null(),
    "task_display_name": FILLED.or_null(),
    "trigger_rule": one_of(*TRIGGER_RULES),
    "wait_for_downstream": BOOLEAN,
    "wait_for_past_depends_before_skipping": BOOLEAN,
    "weight_rule": one_of("downstream", "upstream", "absolute"),
}
"""The arguments of every operator. An operator with a full class path may take more."""


@frozen(kw_only=True)
class Own:
    """The arguments of one short operator: the required ones, and the kind of each."""

    required: tuple[str, ...] = ()
    kinds: Mapping[str, Kind]


OWN: Final[Mapping[str, Own]] = {
    "bash": Own(
        required=("bash_command",),
        kinds={
            "bash_command": FILLED,
            "append_env": BOOLEAN,
            "cwd": FILLED.or_null(),
            "env": TEXTS.or_null(),
            "output_encoding": ENCODING,
            "skip_on_exit_code": either(
                "an exit code from 0 to 255, or a list of them", _EXIT_CODE, list_of(_EXIT_CODE, "a list of exit codes")
            ).or_null(),
        },
    ),
    "python": Own(
        required=("python_callable",),
        kinds={
            "python_callable": CALLABLE,
            "op_args": LIST.or_null(),
            "op_kwargs": MAPPING.or_null(),
            "show_return_value_in_logs": BOOLEAN,
            "templates_dict": MAPPING.or_null(),
            "templates_exts": list_of(FILLED, "a list of file endings").or_null(),
        },
    ),
    "sql": Own(
        required=("conn_id", "sql"),
        kinds={
            "sql": either("text, or a list of texts", FILLED, list_of(FILLED, "a list of texts", least=1)),
            "autocommit": BOOLEAN,
            "conn_id": FILLED,
            "database": FILLED.or_null(),
            "hook_params": MAPPING.or_null(),
            "parameters": either("a mapping or a list", MAPPING, LIST).or_null(),
            "requires_result_fetch": BOOLEAN,
            "retry_on_failure": BOOLEAN,
            "return_last": BOOLEAN,
            "show_return_value_in_logs": BOOLEAN,
            "split_statements": BOOLEAN.or_null(),
        },
    ),
    "http": Own(
        required=("endpoint",),
        kinds={
            "data": either("text, a mapping or a list", TEXT, MAPPING, LIST).or_null(),
            "deferrable": BOOLEAN,
            "endpoint": TEXT,
            "extra_options": MAPPING.or_null(),
            "headers": TEXTS,
            "http_conn_id": FILLED,
            "log_response": BOOLEAN,
            "method": one_of(*METHODS),
            "request_kwargs": MAPPING.or_null(),
            "tcp_keep_alive": BOOLEAN,
            "tcp_keep_alive_count": whole(1),
            "tcp_keep_alive_idle": whole(1),
            "tcp_keep_alive_interval": whole(1),
            "warn_on_non_idempotent": BOOLEAN,
        },
    ),
    "empty": Own(kinds={}),
}

_SENSORS: Final[Mapping[str, Kind]] = {
    "deferrable": BOOLEAN,
    "exponential_backoff": BOOLEAN,
    "max_wait": SECONDS.or_null(),
    "mode": one_of("poke", "reschedule"),
    "never_fail": BOOLEAN,
    "poke_interval": SECONDS,
    "silent_fail": BOOLEAN,
    "soft_fail": BOOLEAN,
    "timeout": SECONDS,
}
"""The arguments of every sensor."""

_STANDARD: Final = "airflow.providers.standard."
_DURATIONS: Final[Mapping[str, str]] = {
    f"{_STANDARD}sensors.external_task.ExternalTaskSensor": "execution_delta",
    f"{_STANDARD}sensors.time_delta.TimeDeltaSensor": "delta",
    f"{_STANDARD}sensors.time_delta.TimeDeltaSensorAsync": "delta",
    f"{_STANDARD}sensors.time_delta.WaitSensor": "time_to_wait",
    f"{_STANDARD}operators.hitl.HITLOperator": "response_timeout",
    f"{_STANDARD}operators.hitl.ApprovalOperator": "response_timeout",
    f"{_STANDARD}operators.hitl.HITLBranchOperator": "response_timeout",
    f"{_STANDARD}operators.hitl.HITLEntryOperator": "response_timeout",
}
_ALWAYS_DURATIONS: Final = frozenset({"execution_delta", "execution_timeout", "max_retry_delay", "retry_delay"})

_NO_FUNCTION: Final = (
    "takes a function, not a text; write a PythonSensor with `python_callable: package.module.function`"
)
_NO_TIME: Final = (
    "takes an object, which is not supported; write airflow.providers.standard.sensors.date_time.DateTimeSensor with"
    ' `target_time: "{{ run_date() }}T06:00:00+00:00"`'
)
_OBJECTS: Final[Mapping[str, Mapping[str, str]]] = {
    "airflow.providers.http.sensors.http.HttpSensor": {"response_check": _NO_FUNCTION},
    "airflow.providers.common.sql.sensors.sql.SqlSensor": dict.fromkeys(
        ("success", "failure", "selector"), _NO_FUNCTION
    ),
    f"{_STANDARD}sensors.time.TimeSensor": {"target_time": _NO_TIME},
    f"{_STANDARD}sensors.time.TimeSensorAsync": {"target_time": _NO_TIME},
}


def durations_of(operator_class: str) -> frozenset[str]:
    """Return the arguments of an operator class that are a timedelta in Airflow and seconds in a spec."""
    own = _DURATIONS.get(operator_class)
    return _ALWAYS_DURATIONS | {own} if own else _ALWAYS_DURATIONS


def objects_of(operator_class: str) -> Mapping[str, str]:
    """Return the arguments of an operator class that take an object, which YAML cannot express, each with the alternative."""
    return _OBJECTS.get(operator_class, {})


def short_name(operator: str) -> str | None:
    """Return the short name of an operator, which may be given by its class path; None if it has none."""
    return next((name for name, path in SHORT_OPERATORS.items() if operator in {name, path}), None)


def kinds_of(operator: str) -> Mapping[str, Kind]:
    """Return the kinds of the known arguments of an operator."""
    short = short_name(operator)
    if short is not None:
        return {**COMMON, **OWN[short].kinds}
    kinds: dict[str, Kind] = {**COMMON, "python_callable": CALLABLE}
    if ".sensors." in operator:
        kinds |= _SENSORS
    return kinds | dict.fromkeys(durations_of(operator) - set(COMMON), SECONDS)
