"""The arguments that operators take, so that a misspelt or forbidden key is found before Airflow sees it.

Of the short operators, only arguments that mean the same on Airflow 2.11 and 3.x stand here (read from the sources of both, and of
the providers named in ``constraints/``). The arguments of full class paths are checked by Airflow itself when it builds the DAG, but
for those that are forbidden to every operator.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from workflow_core.domain.spec.document import SHORT_OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


_CODE: Final = (
    "execution_date_fn", "execution_date_fn_file", "execution_date_fn_name", "failure_check_file", "failure_check_lambda",
    "failure_check_name", "post_execute", "pre_execute", "python_callable_file", "python_callable_name",
    "response_check_file", "response_check_lambda", "response_check_name", "success_check_file",
    "success_check_lambda", "success_check_name",
)  # fmt: skip
_NO_CODE: Final = (
    "code from a file or a text is not supported; write a task with `operator: python` and"
    " `python_callable: package.module.function`"
)
_NO_CALLBACK: Final = "callbacks are not supported; write a task with a `trigger_rule`, such as `one_failed`"

FORBIDDEN_ARGUMENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_CODE, _NO_CODE),
    **dict.fromkeys(("decorator", "expand", "partial"), "mapped and decorated tasks are not supported"),
    **dict.fromkeys(("task_group", "task_group_name", "parent_group_name"), "task groups are not supported"),
    **dict.fromkeys(("dag", "default_args"), "is not supported in a task; write the arguments themselves"),
    **dict.fromkeys(("start_date", "end_date"), "is not supported in a task; `start_date` stands at the top level"),
    "variables_as_arguments": "is not supported; write `{{ var.value.name }}` in the argument itself",
}
"""Arguments that no operator may be given, each with the reason: those with which dag-factory reads files of the host, or imports or
compiles what a text says (``dagfactory/dagbuilder.py``, 1.1), and those that reach beyond their own task."""

_FORBIDDEN_ENDINGS: Final[Mapping[str, str]] = {
    "_lambda": _NO_CODE,
    **dict.fromkeys(("_callback", "_callback_file", "_callback_name"), _NO_CALLBACK),
}


def forbidden_arguments(arguments: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The arguments that no operator may be given, each with the reason."""
    for name, value in arguments.items():
        reason = FORBIDDEN_ARGUMENTS.get(name) or next(
            (reason for ending, reason in _FORBIDDEN_ENDINGS.items() if name.endswith(ending)), None
        )
        if reason:
            yield name, reason
        elif name in {"inlets", "outlets"} and not (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        ):
            yield name, "must be a list of URIs"  # dag-factory reads the file that a mapping names


def unknown_arguments(task: TaskSpec) -> Iterator[tuple[str, str]]:
    """The keys of a task that no operator may have, or that its short operator does not take or lacks, each with what is wrong."""
    forbidden = dict(forbidden_arguments(task.arguments))
    yield from forbidden.items()
    short = next((name for name, path in SHORT_OPERATORS.items() if task.operator in {name, path}), None)
    if short is None:
        return
    required, optional = _OWN[short]
    known = required | optional | _COMMON
    for name in task.arguments:
        if name not in known and name not in forbidden:
            close = get_close_matches(name, known | {"dependencies", "operator"}, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield name, f"operator {short!r} takes no such argument{hint}"
    for name in sorted(required - set(task.arguments)):
        yield "operator", f"operator {short!r} needs the argument {name!r}"
