"""The arguments of tasks: every value that a spec accepts builds on this Airflow, with the expected durations and objects."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest
from served import AIRFLOW_3, serialized
from test_dags import HEAD, error_of, rendered, task_of
from test_loader import world  # noqa: F401 - a fixture

from workflow_core.domain.spec.arguments import COMMON, METHODS, OWN, TRIGGER_RULES

NEEDED = {
    "bash": {"bash_command": "echo x"},
    "python": {"python_callable": "reports.daily.main"},
    "sql": {"sql": "SELECT 1", "conn_id": "db"},
    "http": {"endpoint": "/"},
    "empty": {},
}
COMMON_VALUES = {
    "depends_on_past": [True, False], "do_xcom_push": [False], "doc": ["x", None], "doc_json": ["{}", None], "doc_md": ["x", None],
    "doc_rst": ["x", None], "doc_yaml": ["a: 1", None], "email": ["a@example.com", ["a@example.com", "b@example.com"], None],
    "email_on_failure": [False], "email_on_retry": [False], "execution_timeout": [0, 1.5, 315_360_000, None],
    "executor": [None], "executor_config": [{"pod_template_file": "x"}, None], "ignore_first_depends_on_past": [True],
    "inlets": [["s3://a"], [], None], "logger_name": ["x", None], "map_index_template": ["{{ x }}", None],
    "max_active_tis_per_dag": [1, None], "max_active_tis_per_dagrun": [1, None], "max_retry_delay": [0, 60.5, 315_360_000, None],
    "multiple_outputs": [False], "outlets": [["s3://a", "s3://b"], None], "owner": ["x"], "pool": ["p", None], "pool_slots": [1, 8],
    "priority_weight": [-(2**31), 0, 2**31 - 1], "queue": ["q"], "retries": [0, 2**31 - 1], "retry_delay": [0, 0.5, 315_360_000],
    "retry_exponential_backoff": [True, False], "run_as_user": ["x", None], "task_display_name": ["X y", None],
    "trigger_rule": list(TRIGGER_RULES), "wait_for_downstream": [True], "wait_for_past_depends_before_skipping": [True],
    "weight_rule": ["downstream", "upstream", "absolute"],
}  # fmt: skip
OWN_VALUES = {
    "bash": {
        "bash_command": ["echo {{ run_date() }}"], "append_env": [True, False], "cwd": ["/tmp", None], "env": [{"A": "1"}, {}, None],
        "output_encoding": ["latin-1"], "skip_on_exit_code": [0, 255, [1, 2], [], None],
    },
    "python": {
        "python_callable": ["reports.daily.main", "reports.clean"], "op_args": [[1, {"a": None}], [], None],
        "op_kwargs": [{"a": [1]}, {}, None], "show_return_value_in_logs": [False], "templates_dict": [{"a": "{{ ds }}"}, None],
        "templates_exts": [[".sql"], None],
    },
    "sql": {
        "sql": ["SELECT 1", ["SELECT 1", "SELECT 2"]], "autocommit": [True], "conn_id": ["db"], "database": ["x", None],
        "hook_params": [{"a": 1}, None], "parameters": [{"a": 1}, [1, "b"], None], "requires_result_fetch": [True],
        "retry_on_failure": [False], "return_last": [False], "show_return_value_in_logs": [True],
        "split_statements": [True, False, None],
    },
    "http": {
        "data": ["text", {"a": 1}, [1], None], "deferrable": [True, False], "endpoint": ["/x", ""], "extra_options": [{"timeout": 5}, None],
        "headers": [{"A": "b"}, {}], "http_conn_id": ["api"], "log_response": [True], "method": list(METHODS),
        "request_kwargs": [{"json": {"a": 1}}, None], "tcp_keep_alive": [False], "tcp_keep_alive_count": [1],
        "tcp_keep_alive_idle": [1], "tcp_keep_alive_interval": [1], "warn_on_non_idempotent": [False],
    },
    "empty": {},
}  # fmt: skip
CHANGED = {
    "python_callable",
    "inlets",
    "outlets",
    "data",
    "weight_rule",
    "templates_exts",
    "skip_on_exit_code",
    "logger_name",
}
"""Arguments that an operator stores in another form or under another name."""

SENSORS = "airflow.providers.standard.sensors."


def test_every_argument_that_is_accepted_is_tried_here():
    """A new argument comes with values that build."""
    assert set(COMMON_VALUES) == set(COMMON)
    for operator, own in OWN.items():
        assert set(OWN_VALUES[operator]) == set(own.kinds)
        assert set(NEEDED[operator]) == set(own.required)


@pytest.mark.parametrize("operator", OWN)
def test_every_accepted_value_builds(world, operator):  # noqa: F811
    """A value that passes the checks of a spec reaches its task and never causes an error DAG."""
    values = {**COMMON_VALUES, **OWN_VALUES[operator]}
    given = {
        f"{name}_{index}": (name, value) for name, choices in values.items() for index, value in enumerate(choices)
    }
    tasks = [
        {"task_id": task_id, "operator": operator, **NEEDED[operator], name: value}
        for task_id, (name, value) in given.items()
    ]
    world.put("a.one", f"{HEAD}tasks: {json.dumps(tasks)}\n")
    dag = world.parse()["a_one"]
    assert error_of(dag) is None
    assert serialized(dag)
    assert set(dag.task_dict) == set(given)
    for task_id, (name, value) in given.items():
        if name not in CHANGED and value not in (None, []):
            found = getattr(dag.task_dict[task_id], name)
            assert (found.total_seconds() if isinstance(found, timedelta) else found) == value, task_id


class TestDurations:
    @pytest.mark.parametrize(
        ("operator", "name", "more"),
        [
            ("external_task.ExternalTaskSensor", "execution_delta", {"external_dag_id": "x"}),
            ("time_delta.TimeDeltaSensor", "delta", {}),
            ("time_delta.WaitSensor", "time_to_wait", {}),
        ],
    )
    @pytest.mark.parametrize("seconds", [0.5, 90, 5400])
    def test_a_number_is_seconds_and_nothing_is_cut(self, world, operator, name, more, seconds):  # noqa: F811
        """A bare number means seconds, also where the operator would interpret it differently."""
        dag = task_of(world, {"operator": SENSORS + operator, name: seconds, **more})
        assert error_of(dag) is None
        assert getattr(dag.task_dict["t"], name) == timedelta(seconds=seconds)
        assert serialized(dag)

    @pytest.mark.parametrize("value", ["1 hour 30 minutes", "90", -3600, True])
    def test_anything_else_is_refused_with_its_task(self, world, value):  # noqa: F811
        """A duration that is not a number of seconds is refused; dag-factory would read the first value as one hour."""
        task = {
            "operator": f"{SENSORS}external_task.ExternalTaskSensor",
            "external_dag_id": "x",
            "execution_delta": value,
        }
        assert "tasks[0].execution_delta: must be a number of seconds" in error_of(task_of(world, task))


class TestMagicKeys:
    @pytest.mark.parametrize("key", ["env", "op_kwargs", "executor_config", "params"])
    def test_no_object_is_made_of_a_mapping(self, world, monkeypatch, key):  # noqa: F811
        """The module that ``__type__`` names is not even imported."""
        (world.path / "magic.py").write_text(f"open({str(world.path / 'ran')!r}, 'w')\nclass X: pass\n")
        monkeypatch.syspath_prepend(str(world.path))
        odd = {"a": [{"__type__": "magic.X", "__args__": []}]}
        operator = {"env": "bash", "op_kwargs": "python"}.get(key, "empty")
        if key == "params":
            world.put("a.one", HEAD + f"params: {{p: {{default: {json.dumps(odd)}}}}}\n")
            dag = world.parse()["a_one"]
        else:
            dag = task_of(world, {"operator": operator, **NEEDED[operator], key: odd})
        assert "__type__: objects are not supported" in error_of(dag)
        assert not (world.path / "ran").exists()
        assert "magic" not in sys.modules

    def test_no_texts_are_joined(self, world):  # noqa: F811
        """The `__join__` notation is refused, because its list would reach bash as a mapping."""
        found = error_of(task_of(world, {"operator": "bash", "bash_command": {"__join__": ["echo ", "x"]}}))
        assert "bash_command.__join__: is not supported; write one text" in found


class TestUndeclaredParams:
    @pytest.mark.parametrize("declared", ["", "params: {}\n", "params: {other: 1}\n"])
    def test_an_undeclared_param_reaches_the_templates(self, world, declared):  # noqa: F811
        """As Airflow's own code merges a run's configuration into the params of its tasks."""
        dag = task_of(world, {"operator": "bash", "bash_command": "{{ params.region }}"}, HEAD + declared)
        assert merged(dag, {"region": "US"})["region"] == "US"
        assert rendered(dag, "bash_command", conf={"region": "US"}) == "US"


def merged(dag, conf: dict) -> dict:
    """Return the params of a task in a run with this configuration, as Airflow merges them."""
    task = dag.task_dict["t"]
    if AIRFLOW_3:
        from airflow.sdk.definitions.param import process_params

        return dict(process_params(dag, task, conf, suppress_exception=False))
    from airflow.models.dagrun import DagRun
    from airflow.models.param import process_params

    return dict(process_params(dag, task, DagRun(conf=conf), suppress_exception=False))
