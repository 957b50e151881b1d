"""The content of a DAG that is built from a spec, and values that never reach one."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from served import first_run, run_after, serialized, served
from test_loader import SPEC, world  # noqa: F401 - a fixture

from workflow_core.domain.names import sentinel_dag_id
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.served import read_mark
from workflow_core.domain.spec.operators import forbidden_arguments
from workflow_core.domain.workflow import SourceType
from workflow_entrypoints.airflow import build
from workflow_entrypoints.airflow.loader import load
from workflow_entrypoints.airflow.timetable import FiresFrom

HEAD = "version: v1\nname: one\nowner: x\nschedule: {cron: '0 6 * * *', timezone: America/New_York}\n"
SENSOR = "airflow.providers.standard.sensors.bash.BashSensor"


def task_of(world, task: dict, head: str = HEAD):  # noqa: F811
    """The DAG of a spec with this one task."""
    world.put("a.one", f"{head}tasks: [{json.dumps({'task_id': 't', **task})}]\n")
    return world.parse()["a_one"]


def error_of(dag) -> str:
    return read_mark(dag.doc_md).error


def rendered(dag, field: str, **run) -> object:
    """A field of the task ``t`` as the run's worker renders it."""
    task = dag.task_dict["t"]
    run = {"conf": {}, "logical_date": None, "run_after": datetime(2026, 1, 2, 3, tzinfo=UTC), **run}
    params = {**{name: dag.params[name] for name in dag.params}, **(run["conf"] or {})}
    context = {"dag_run": SimpleNamespace(**run), "params": params}
    if run["logical_date"] is not None:
        context["logical_date"] = run["logical_date"]
    return task.render_template(getattr(task, field), context, jinja_env=dag.get_template_env())


class TestTheDag:
    def test_a_start_date_is_when_it_fires_first(self, world):  # noqa: F811
        """With its offset: the first fire time at or after that moment, past ones left out, future ones waited for."""
        schedule = Schedule(cron="0 6 * * *", timezone="America/New_York")
        fires = schedule.next_after(datetime.now(UTC) + timedelta(days=400))
        for start in (fires, fires - timedelta(hours=1), fires + timedelta(seconds=1)):
            there = start.astimezone(timezone(timedelta(hours=9))).isoformat()
            dag = task_of(world, {"operator": "empty"}, head=HEAD + f"start_date: {there}\n")
            assert first_run(dag) == (fires if start <= fires else schedule.next_after(fires))

    @pytest.mark.parametrize("given", ["", "start_date: 2026-01-01T00:00:00Z\n"], ids=["no start_date", "long ago"])
    def test_the_first_scheduled_run_is_the_next_fire_time(self, world, given):  # noqa: F811
        """A workflow registered, or published, at noon does not run for this morning."""
        now = datetime.now(UTC).replace(microsecond=0)
        dag = task_of(world, {"operator": "empty"}, head=HEAD + given)
        first = first_run(dag)
        assert first > now
        assert (first - now).total_seconds() <= 25 * 3600

    @pytest.mark.parametrize(("late", "days"), [(10, 0), (59, 0), (60, 1)])
    def test_a_spec_that_is_published_anew_does_not_lose_the_run_that_is_just_due(self, late, days):
        """Within a minute after the fire time the scheduler may not have made that run yet."""
        last = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) + timedelta(days=300)
        timetable = FiresFrom("0 6 * * *", timezone="UTC", not_before=last + timedelta(days=1, seconds=late))
        assert run_after(timetable, last) == last + timedelta(days=1 + days)

    def test_no_date_is_too_early_for_a_task(self, world):  # noqa: F811
        """A run whose logical date lies before a task's start has no such task, and ends "success"."""
        dag = task_of(world, {"operator": "empty"}, head=HEAD + "start_date: 2026-01-01T08:00:00Z\n")
        assert [task.start_date.isoformat()[:10] for task in served(dag).tasks] == ["1970-01-01"]

    def test_numbers_are_seconds(self, world):  # noqa: F811
        """Where Airflow or dag-factory want a duration, YAML has only numbers."""
        task = task_of(
            world,
            {
                "operator": "airflow.providers.standard.sensors.external_task.ExternalTaskSensor",
                "external_dag_id": "x", "execution_delta": 90, "execution_timeout": 1.5, "max_retry_delay": 60,
            },
        ).task_dict["t"]  # fmt: skip
        durations = [task.execution_delta, task.execution_timeout, task.max_retry_delay]
        assert [duration.total_seconds() for duration in durations] == [90, 1.5, 60]

    @pytest.mark.parametrize("body", [{"day": "{{ run_date() }}"}, '{"day": "{{ run_date() }}"}'], ids=["map", "text"])
    def test_the_json_body_of_a_request_is_a_template(self, world, body):  # noqa: F811
        """dag-factory would send the braces themselves."""
        dag = task_of(
            world,
            {"operator": "http", "endpoint": "/", "data": body, "headers": {"Content-Type": "application/json"}},
        )
        assert json.loads(rendered(dag, "data")) == {"day": "2026-01-01"}

    def test_a_params_template_has_the_default_or_the_callers_value(self, world):  # noqa: F811
        """Scheduled and triggered runs."""
        dag = task_of(
            world, {"operator": "bash", "bash_command": "{{ params.region }}"}, HEAD + "params: {region: US}\n"
        )
        assert rendered(dag, "bash_command", conf=None) == "US"
        assert rendered(dag, "bash_command", conf={"region": "KR"}) == "KR"

    def test_a_workflow_may_be_called_like_a_module_attribute(self, world):  # noqa: F811
        """``_.file__`` has the DAG id ``__file__``, and the loader file keeps its own."""
        world.put("_.file__", SPEC.format(name="file__"))
        world.put("_.name__", SPEC.format(name="name__"))
        module = {"__file__": "x.py", "__name__": "x"}
        load(module, index=0, loaders=1, config=world.path / "dags" / "workflow_core_loader.json")
        assert (module.pop("__file__"), module.pop("__name__")) == ("x.py", "x")
        assert {"__file__", "__name__"} <= {dag.dag_id for dag in module.values()}

    def test_no_workflow_takes_the_place_of_a_sentinel(self, world):  # noqa: F811
        """A workflow with the DAG id of a sentinel would hide the loader file from the service."""
        world.put("workflow_core_loader_00_of.01", SPEC.format(name="01"))
        (dag,) = world.parse().values()
        assert (dag.dag_id, dag.is_paused_upon_creation) == (sentinel_dag_id(0, 1), True)


class TestRunDate:
    HEAD = HEAD + "params: {date: '1999-01-01'}\n"
    NIGHT = datetime(2026, 1, 2, 3, tzinfo=UTC)  # still the first of January in New York

    @pytest.mark.parametrize(
        ("run", "expected"),
        [
            ({"logical_date": NIGHT}, "2026-01-01"),
            ({"logical_date": NIGHT, "conf": None}, "2026-01-01"),
            ({"run_after": NIGHT}, "2026-01-01"),
            ({"conf": {"date": "2020-02-29"}}, "2020-02-29"),
            ({"conf": {"date": "2020-02-29"}, "logical_date": NIGHT}, "2020-02-29"),
            ({"conf": {"date": None}, "logical_date": NIGHT}, "2026-01-01"),
            ({"conf": {"date": ""}, "run_after": NIGHT}, "2026-01-01"),
        ],
        ids=["scheduled", "no conf", "no logical date", "conf", "conf first", "null", "empty field of the form"],
    )
    def test_each_kind_of_run_has_its_date(self, world, run, expected):  # noqa: F811
        """Rendered by Airflow's own environment; the default of a declared param does not count."""
        dag = task_of(world, {"operator": "bash", "bash_command": "{{ run_date() }}"}, self.HEAD)
        assert rendered(dag, "bash_command", **run) == expected

    @pytest.mark.parametrize("date", ["2026-01-01; rm -rf /", "2026-02-30", "20260101", 20260101, ["2026-01-01"], "x"])
    def test_nothing_but_a_date_gets_into_a_command(self, world, date):  # noqa: F811
        """The date of a run that was triggered in Airflow's UI is checked when it is rendered, its only check."""
        dag = task_of(world, {"operator": "bash", "bash_command": "{{ run_date() }}"})
        with pytest.raises(ValueError, match="is not a calendar date"):
            rendered(dag, "bash_command", conf={"date": date})


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("task", "reason"),
        [
            (
                {"operator": "python", "python_callable_file": "{payload}", "python_callable_name": "f"},
                "code from a file",
            ),
            (
                {"operator": SENSOR, "on_failure_callback_file": "{payload}", "on_failure_callback_name": "f"},
                "callbacks",
            ),
            ({"operator": SENSOR, "on_success_callback": {"callback": "os.system", "command": "x"}}, "callbacks"),
            ({"operator": SENSOR, "execution_date_fn": "payload.f"}, "code from a file"),
            ({"operator": SENSOR, "success_check_lambda": "lambda x: x"}, "code from a file"),
            ({"operator": SENSOR, "expand": {"env": []}, "partial": {}}, "mapped"),
            ({"operator": SENSOR, "variables_as_arguments": []}, "var.value"),
            ({"operator": SENSOR, "inlets": {"file": "/etc/passwd", "datasets": ["x"]}}, "list of URIs"),
            ({"operator": "empty", "default_args": {"retries": 3}}, "arguments themselves"),
            ({"operator": "empty", "start_date": "2020-01-01"}, "top level"),
        ],
        ids=lambda value: "-".join(list(value)[1:2]) if isinstance(value, dict) else None,
    )
    def test_a_task_cannot_make_dag_factory_run_or_read_anything(self, world, monkeypatch, task, reason):  # noqa: F811
        """An error DAG that says why, on the line of the key; the payload was not imported."""
        (world.path / "payload.py").write_text(f"open({str(world.path / 'ran')!r}, 'w')\nf = print\n")
        monkeypatch.syspath_prepend(str(world.path))
        text = json.dumps({"bash_command": "true", **task}).replace("{payload}", str(world.path / "payload.py"))
        if task["operator"] in {"python", "empty"}:
            text = text.replace('"bash_command": "true", ', "")
        found = error_of(task_of(world, json.loads(text)))
        assert reason in found
        assert found.startswith("line 5, column ")
        assert not (world.path / "ran").exists()

    def test_a_default_task_is_held_to_the_same(self, world, monkeypatch):  # noqa: F811
        """It comes from the installation, and never through the check of a spec."""
        monkeypatch.setenv("WORKFLOWS_DEFAULT_TASK", '{"operator": "empty", "on_failure_callback": "os.abort"}')
        world.put("a.one", HEAD)
        assert "callbacks" in error_of(world.parse()["a_one"])

    def test_every_key_that_dag_factory_looks_for_is_known_to_us(self):
        """A release of dag-factory that looks for more must be read before it is used."""
        from dagfactory.dagbuilder import DagBuilder

        harmless = {
            "operator", "dependencies", "task_id", "python_callable", "callback", "data", "headers", "Content-Type", "content-type",
            "inlets", "outlets", "file", "datasets", "variable", "attribute", "default", "execution_delta",
            "success", "failure", "response_check", "application/json",
            ".output", "XcomArg",  # in values of `expand`
        }  # fmt: skip
        methods = (
            "make_task", "_handle_http_sensor", "adjust_general_task_params", "set_callback", "make_decorator",
            "replace_expand_values", "set_dependencies",
        )  # fmt: skip
        asked: set[str] = set()
        for method in methods:
            asked |= keys_in(textwrap.dedent(inspect.getsource(getattr(DagBuilder, method))))
        assert {"python_callable_file", "expand", "variables_as_arguments"} <= asked
        assert asked - harmless - {name for name, _ in forbidden_arguments(dict.fromkeys(asked))} == set()

    def test_no_environment_variable_is_written_into_a_spec(self, world, monkeypatch):  # noqa: F811
        """dag-factory's reader of YAML files would expand it."""
        monkeypatch.setenv("SECRET", "s3cret")
        assert "s3cret" not in serialized(task_of(world, {"operator": "bash", "bash_command": "echo $SECRET"}))

    @pytest.mark.parametrize("name", ["BaseHook", "conf", "subprocess"])
    def test_an_operator_must_be_an_operator(self, world, monkeypatch, name):  # noqa: F811
        """Other attributes of a module are not called."""
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "*")
        module = "airflow.sdk.bases.hook" if name == "BaseHook" else "airflow.sdk.configuration"
        assert "operator" in error_of(task_of(world, {"operator": f"{module}.{name}"}))


class TestErrorDags:
    def test_a_module_that_exits_hurts_its_own_dag_only(self, world, monkeypatch):  # noqa: F811
        """``sys.exit`` on import is no ``Exception``."""
        (world.path / "exits.py").write_text("import sys; sys.exit(3)")
        monkeypatch.syspath_prepend(str(world.path))
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "*")
        world.put("a.good")
        world.put("a.one", HEAD + "tasks: [{task_id: t, operator: exits.Op}]\n")
        found = world.parse()
        assert "SystemExit" in error_of(found["a_one"])
        assert error_of(found["a_good"]) is None

    def test_the_message_is_the_same_in_every_process(self, world, monkeypatch):  # noqa: F811
        """Without addresses, or Airflow would keep a new version of the DAG for every parse."""
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "*")
        (world.path / "odd.py").write_text("raise RuntimeError(f'{object()} is odd')")
        world.put("a.one", HEAD + "tasks: [{task_id: t, operator: odd.Op}]\n")
        code = (
            "import sys; from pathlib import Path\n"
            "from workflow_entrypoints.airflow.loader import load\nfrom served import serialized\n"
            "found = {}; load(found, index=0, loaders=1, config=Path(sys.argv[1]))\nprint(serialized(found['a_one']))"
        )
        told = set()
        for seed in "12":
            path = os.pathsep.join([str(world.path), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
            done = subprocess.run(
                [sys.executable, "-c", code, str(world.path / "dags" / "workflow_core_loader.json")],
                env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            )
            told.add(done.stdout.splitlines()[-1])
        assert len(told) == 1
        assert "<object object> is odd" in told.pop()

    def test_a_message_cannot_forge_the_mark_or_leave_its_box(self, world):  # noqa: F811
        """An error message may quote any spec."""
        evil = '``` <!-- workflow-core {"spec": "0", "error": null} -->'
        world.put("a.one", HEAD + f"tasks: [{{task_id: t, operator: {json.dumps(evil)}}}]\n")
        dag = world.parse()["a_one"]
        assert read_mark(dag.doc_md).error is not None
        assert dag.doc_md.rpartition("\n")[0].count("```") == 2


def keys_in(source: str) -> set[str]:
    """Every text that a function uses as a key: ``x[key]``, ``x.get(key)``, ``x.pop(key)``, ``check_dict_key(x, key)``, ``key in x``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        places: list[ast.expr] = []
        if isinstance(node, ast.Subscript):
            places = [node.slice]
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            places = node.args[:1] if name in {"get", "pop"} else node.args[1:2] if name == "check_dict_key" else []
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            places = [node.left]
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.List):
            places = node.iter.elts  # the kinds of callback
        found |= {place.value for place in places if isinstance(place, ast.Constant) and isinstance(place.value, str)}
    return found


def test_code_and_manual_are_told_apart_in_the_tags(world):  # noqa: F811
    """Airflow shows the source of a workflow."""
    world.put("a.one", source=SourceType.CODE)
    assert "code" in world.parse()["a_one"].tags


def test_the_error_of_a_task_is_airflows_own(world):  # noqa: F811
    """The run fails at once, without retries."""
    world.put("a.one", "nonsense")
    (task,) = world.parse()["a_one"].tasks
    with pytest.raises(build.AirflowFailException, match="must be a mapping"):
        task.execute({})
