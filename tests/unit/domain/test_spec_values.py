"""The values of tasks' arguments: what is refused where, and what to write instead."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from workflow_core.domain.spec import check_spec
from workflow_core.domain.spec.arguments import COMMON, OWN, durations_of
from workflow_core.domain.spec.schema import json_schema
from workflow_core.domain.spec.values import MAX_SECONDS, MAX_WHOLE, seconds_in
from workflow_core.errors import InvalidWorkflowSpec

HEAD = 'version: v1\nname: a.b\nowner: x\nschedule: {cron: "0 6 * * *"}\n'
NEEDED = {
    "bash": "bash_command: x",
    "python": "python_callable: a.b",
    "sql": "sql: SELECT 1, conn_id: db",
    "http": "endpoint: /",
    "empty": "owner: x",
}
SENSOR = "airflow.providers.standard.sensors."


def findings(text: str) -> dict[str | None, str]:
    """The findings about a spec by field; none if it is good."""
    try:
        check_spec(text)
    except InvalidWorkflowSpec as error:
        return {found.field: found.message for found in error.problems}
    return {}


def of_task(arguments: str, operator: str = "bash", needed: str | None = None) -> dict[str, str]:
    """The findings about the arguments of a task."""
    more = NEEDED.get(operator, "") if needed is None else needed
    inside = ", ".join(part for part in (f"task_id: t, operator: {operator}", more, arguments) if part)
    found = findings(f"{HEAD}tasks:\n  - {{{inside}}}\n")
    return {(field or "").removeprefix("tasks[0]."): message for field, message in found.items()}


@pytest.mark.parametrize(
    ("argument", "fix"),
    [
        ("retries: two", None),
        ("retries: -1", None),
        ("retries: 1.5", None),
        ("retries: true", None),
        ("retries: '3'", "write 3 without quotes"),
        ("retries: null", "leave the key out"),
        (f"retries: {MAX_WHOLE + 1}", None),
        ("retry_delay: 5m", "write 300"),
        ("retry_delay: 5 minutes", "write 300"),
        ("retry_delay: 1 hour 30 minutes", "write 5400"),
        ("retry_delay: '00:05:00'", "write 300"),
        ("retry_delay: '60'", "write 60 without quotes"),
        ("retry_delay: -5", None),
        ("retry_delay: 1e20", None),
        (f"execution_timeout: {MAX_SECONDS + 1}", None),
        ("execution_timeout: 1h", "write 3600"),
        ("max_retry_delay: [60]", None),
        ("trigger_rule: all_sucess", "did you mean 'all_success'?"),
        ("trigger_rule: ALL_DONE", "did you mean 'all_done'?"),
        ("trigger_rule: dummy", None),
        ("trigger_rule: all_done_min_one_success", None),
        ("weight_rule: down", None),
        ("pool_slots: 0", None),
        ("priority_weight: high", None),
        ("priority_weight: 2147483648", None),
        ("queue: [a]", None),
        ("queue: 5", 'quote it: "5"'),
        ("pool: ''", None),
        ("depends_on_past: no", "write false"),
        ("depends_on_past: 'no'", "write false"),
        ("depends_on_past: Y", "write true"),
        ("depends_on_past: 'true'", "write true without quotes"),
        ("depends_on_past: 1", None),
        ("email: 5", 'quote it: "5"'),
        ("email: []", None),
        ("email: [a@example.com, 5]", 'quote it: "5"'),
        ("outlets: s3://a", None),
        ("inlets: [{uri: s3://a}]", None),
        ("doc_md: 5", 'quote it: "5"'),
        ("executor_config: [a]", None),
        ("max_active_tis_per_dag: 0", None),
        ("retry_exponential_backoff: 2.0", None),
    ],
)
@pytest.mark.parametrize("operator", ["empty", f"{SENSOR}python.PythonSensor"])
def test_a_common_argument_of_the_wrong_kind_is_found_for_every_operator(operator, argument, fix):
    """The finding stands at the value, says what it must be, and how to write what was probably meant."""
    name = argument.partition(":")[0]
    found = of_task(argument, operator, needed="")
    assert list(found) == [name]
    assert found[name].startswith("must be ")
    if fix:
        assert fix in found[name]


@pytest.mark.parametrize(
    ("operator", "argument"),
    [
        ("bash", "append_env: no"), ("bash", "append_env: off"), ("bash", "append_env: 'false'"), ("bash", "env: {A: 1}"),
        ("bash", "env: [A=1]"), ("bash", "env: {A: null}"), ("bash", "env: {A: {b: c}}"), ("bash", "cwd: 5"),
        ("bash", "output_encoding: utf-9"), ("bash", "skip_on_exit_code: 256"), ("bash", "skip_on_exit_code: [true]"),
        ("python", "op_args: {a: 1}"), ("python", "op_args: text"), ("python", "op_kwargs: [1]"), ("python", "templates_dict: x"),
        ("python", "show_return_value_in_logs: on"), ("sql", "autocommit: yes"), ("sql", "parameters: 5"), ("sql", "database: 5"),
        ("sql", "split_statements: n"), ("sql", "hook_params: [a]"), ("http", "method: PATCHH"), ("http", "method: get"),
        ("http", "headers: {A: 1}"), ("http", "headers: null"), ("http", "data: 5"), ("http", "log_response: y"),
        ("http", "tcp_keep_alive_idle: 0"), ("http", "http_conn_id: null"), ("http", "extra_options: text"),
    ],
)  # fmt: skip
def test_an_argument_of_a_short_operator_has_a_kind(operator, argument):
    """What Airflow would refuse at build time, or the task at run time, is found before."""
    (message,) = of_task(argument, operator).values()
    assert message.startswith("must be ")


@pytest.mark.parametrize(
    ("operator", "needed"),
    [
        ("bash", "bash_command: 5"), ("bash", "bash_command: "), ("bash", "bash_command: ''"), ("bash", "bash_command: ' '"),
        ("bash", "bash_command: [ls]"), ("python", "python_callable: main"), ("python", "python_callable: ''"),
        ("python", "python_callable: a..b"), ("python", "python_callable: a.b()"), ("python", "python_callable: a-b.c"),
        ("sql", "sql: [], conn_id: db"), ("sql", "sql: [1], conn_id: db"), ("sql", "sql: SELECT 1, conn_id: ''"),
        ("http", "endpoint: 5"),
    ],
)  # fmt: skip
def test_a_needed_argument_has_a_kind(operator, needed):
    """It is not enough that the key is there."""
    (message,) = of_task("", operator, needed=needed).values()
    assert message.startswith("must be ")


@pytest.mark.parametrize(
    ("operator", "needed", "missing"),
    [("sql", "sql: SELECT 1", "conn_id"), ("sql", "conn_id: db", "sql"), ("http", "method: GET", "endpoint"),
     ("bash", "env: {}", "bash_command")],
)  # fmt: skip
def test_a_needed_argument_that_is_missing_is_named(operator, needed, missing):
    """Also the connection of ``sql``, which has no default; that of ``http`` has one."""
    assert of_task("", operator, needed=needed) == {"operator": f"operator {operator!r} needs the argument {missing!r}"}
    assert of_task("", "http") == {}


@pytest.mark.parametrize("operator", ["bash", "airflow.providers.standard.operators.bash.BashOperator"])
def test_a_short_operator_is_known_by_its_path_as_well(operator):
    """An operator has equal findings under its short name and its class path."""
    assert set(of_task("append_env: no, retires: 2", operator, needed="bash_command: x")) == {"append_env", "retires"}


@pytest.mark.parametrize("word", ["y", "Y", "yes", "Yes", "YES", "n", "no", "No", "NO", "on", "On", "off", "OFF"])
def test_a_plain_yes_or_no_of_an_unknown_kind_must_be_made_plain(word):
    """YAML 1.2 reads text, YAML 1.1 a truth value, and the operator might want either."""
    found = of_task(f"flag: {word}, deep: {{a: [{word}]}}", "airflow.providers.x.operators.y.Z")
    assert set(found) == {"flag", "deep.a[0]"}
    assert f'is the text "{word}" here' in found["flag"]
    assert of_task(f"flag: '{word}', deep: {{a: [\"{word}\"]}}", "airflow.providers.x.operators.y.Z") == {}
    assert set(of_task(f"op_kwargs: {{a: {word}}}", "python")) == {"op_kwargs.a"}
    assert of_task(f"env: {{A: {word}}}") == {}  # text is wanted, and text it is


@pytest.mark.parametrize(
    ("operator", "argument", "words"),
    [
        ("time_delta.TimeDeltaSensor", "delta: 1 hour 30 minutes", "write 5400"),
        ("time_delta.TimeDeltaSensor", "delta: -1", "from 0"),
        ("external_task.ExternalTaskSensor", "execution_delta: '90'", "without quotes"),
        ("external_task.ExternalTaskSensor", "execution_delta: -3600", "from 0"),
        ("python.PythonSensor", "poke_interval: 5m", "write 300"),
        ("python.PythonSensor", "timeout: -1", "from 0"),
        ("python.PythonSensor", "mode: pok", "did you mean 'poke'?"),
        ("python.PythonSensor", "soft_fail: yes", "write true"),
        ("time.TimeSensor", "target_time: '06:00'", "takes an object"),
    ],
)
def test_durations_and_objects_of_sensors_are_checked(operator, argument, words):
    """A number means seconds, also where the sensor interprets a bare number differently."""
    (message,) = of_task(argument, SENSOR + operator).values()
    assert words in message


@pytest.mark.parametrize(
    ("operator", "argument"),
    [
        ("airflow.providers.http.sensors.http.HttpSensor", "response_check: m.f"),
        ("airflow.providers.common.sql.sensors.sql.SqlSensor", "success: m.f"),
        ("airflow.providers.common.sql.sensors.sql.SqlSensor", "failure: m.f"),
        ("airflow.providers.common.sql.sensors.sql.SqlSensor", "selector: m.f"),
        ("http", "response_check: m.f"), ("http", "response_filter: m.f"), ("http", "pagination_function: m.f"),
        ("bash", "output_processor: m.f"), ("sql", "handler: m.f"), ("http", "auth_type: m.C"), ("http", "retry_args: {}"),
    ],
)  # fmt: skip
def test_a_function_as_text_is_refused(operator, argument):
    """It would stay the text that it is."""
    (message,) = of_task(argument, operator).values()
    assert "not supported" in message or "takes a function" in message


def test_seconds_are_read_as_people_write_them():
    """Only for the fix in a message; a spec has numbers."""
    texts = [
        "5m",
        "5 min",
        "1h30m",
        "1 hour, 30 minutes",
        "2 days",
        "1w",
        "90s",
        "0.5h",
        "01:30",
        "1:00:05",
        "5",
        "m",
        "5 months",
        "",
    ]
    assert [seconds_in(text) for text in texts] == [
        300, 300, 5400, 5400, 172_800, 604_800, 90, 1800, 5400, 3605, None, None, None, None,
    ]  # fmt: skip


def test_the_durations_of_an_operator_are_known_by_its_path():
    """Those of every operator, and its own."""
    assert durations_of("x.Y") == {"execution_delta", "execution_timeout", "max_retry_delay", "retry_delay"}
    assert durations_of(f"{SENSOR}time_delta.TimeDeltaSensor") - durations_of("x.Y") == {"delta"}


@pytest.mark.parametrize(
    "task",
    [
        {"operator": "bash", "bash_command": 5},
        {"operator": "bash"},
        {"operator": "bash", "bash_command": "x", "append_env": "no"},
        {"operator": "bash", "bash_command": "x", "retires": 1},
        {"operator": "empty", "retries": -1},
        {"operator": "empty", "trigger_rule": "all_sucess"},
        {"operator": "x.y.Z", "retry_delay": "5m"},
        {"operator": "http", "endpoint": "/", "method": "PATCHH"},
        {"operator": "sql", "sql": "SELECT 1"},
    ],
)
def test_the_schema_refuses_the_same_arguments(task):
    """Editors warn of what a registration refuses."""
    data = {"version": "v1", "name": "a.b", "tasks": [{"task_id": "t", **task}]}
    assert not Draft202012Validator(json_schema()).is_valid(data)
    assert findings(json.dumps(data))


@pytest.mark.parametrize("operator", OWN)
def test_the_schema_accepts_what_is_accepted(operator):
    """A task with the arguments that it needs, and null where null is allowed."""
    nulls = [name for name, kind in {**COMMON, **OWN[operator].kinds}.items() if kind.null]
    text = f"{HEAD}tasks:\n  - {{task_id: t, operator: {operator}, {NEEDED[operator]}, {', '.join(f'{name}: null' for name in nulls)}}}\n"
    spec = check_spec(text).spec
    data = {"version": "v1", "name": "a.b", "tasks": [spec.tasks[0].model_dump()]}
    Draft202012Validator(json_schema()).validate(data)
