"""The arguments that the short operators take, so that a misspelt key is found before Airflow sees it.

Only arguments that mean the same on Airflow 2.11 and 3.x stand here (read from the sources of both, and of the providers
named in ``constraints/``). Full class paths are checked by Airflow itself when it builds the DAG.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from workflow_core.domain.spec.document import SHORT_OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.domain.spec.document import TaskSpec

_COMMON: Final = frozenset({
    "depends_on_past", "do_xcom_push", "doc", "doc_md", "email", "email_on_failure", "email_on_retry",
    "execution_timeout", "executor", "executor_config", "ignore_first_depends_on_past", "inlets", "map_index_template",
    "max_active_tis_per_dag", "max_active_tis_per_dagrun", "max_retry_delay", "outlets", "owner", "pool", "pool_slots",
    "priority_weight", "queue", "retries", "retry_delay", "retry_exponential_backoff", "run_as_user",
    "task_display_name", "trigger_rule", "wait_for_downstream", "wait_for_past_depends_before_skipping", "weight_rule",
})  # fmt: skip

_OWN: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    # short name: (required, optional)
    "bash": (
        frozenset({"bash_command"}),
        frozenset({"append_env", "cwd", "env", "output_encoding", "skip_on_exit_code"}),
    ),
    "python": (
        frozenset({"python_callable"}),
        frozenset({"op_args", "op_kwargs", "show_return_value_in_logs", "templates_dict"}),
    ),
    "sql": (
        frozenset({"sql"}),
        frozenset({
            "autocommit", "conn_id", "database", "hook_params", "parameters", "return_last", "show_return_value_in_logs",
            "split_statements",
        }),
    ),
    "http": (
        frozenset({"endpoint"}),
        frozenset({"data", "extra_options", "headers", "http_conn_id", "log_response", "method"}),
    ),
    "empty": (frozenset(), frozenset()),
}  # fmt: skip


# Keys that dag-factory takes for itself, whatever the operator: they read files of the host, evaluate text as code, or reach
# into other parts of the DAG (read from dagfactory/dagbuilder.py, 1.1.0).
_REFUSED: Final = frozenset({
    "dag", "decorator", "default_args", "execution_date_fn", "execution_date_fn_file", "execution_date_fn_name", "expand",
    "failure_check_file", "failure_check_name", "partial", "python_callable_file", "python_callable_name",
    "response_check_file", "response_check_name", "success_check_file", "success_check_name", "task_group",
    "task_group_name", "variables_as_arguments",
})  # fmt: skip
_REFUSED_ENDINGS: Final = ("_lambda", "_callback", "_callback_file", "_callback_name")


def unknown_arguments(task: TaskSpec) -> Iterator[tuple[str, str]]:
    """The keys of a task that no operator may have, or that its short operator does not take or lacks, each with what is wrong."""
    for name, value in task.arguments.items():
        if name in _REFUSED or name.endswith(_REFUSED_ENDINGS):
            yield name, "this argument is not supported in a task"
        if name in {"inlets", "outlets"} and isinstance(value, dict):
            yield name, "must be a list"
    short = next((name for name, path in SHORT_OPERATORS.items() if task.operator in {name, path}), None)
    if short is None:
        return
    required, optional = _OWN[short]
    known = required | optional | _COMMON
    for name in task.arguments:
        if name not in known:
            close = get_close_matches(name, known | {"dependencies", "operator"}, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield name, f"operator {short!r} takes no such argument{hint}"
    for name in sorted(required - set(task.arguments)):
        yield "operator", f"operator {short!r} needs the argument {name!r}"
