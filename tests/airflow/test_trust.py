"""The limits on the author of a spec: the parsing process, the parse time of other specs, and other workflows."""

from __future__ import annotations

import signal
import sys
import time
from types import SimpleNamespace

import pytest
from test_dags import HEAD, error_of, task_of
from test_loader import world  # noqa: F401 - a fixture

from workflow_core.domain.spec import SpecRules
from workflow_entrypoints.airflow.callables import DeferredImport, import_callable
from workflow_entrypoints.airflow.parse_time import ParseTime, SpecTimeout

STANDARD = "airflow.providers.standard."
TRIGGER = f"{STANDARD}operators.trigger_dagrun.TriggerDagRunOperator"
OPERATOR = """
try:
    from airflow.sdk import BaseOperator
except ImportError:
    from airflow.models import BaseOperator
class Op(BaseOperator):
    def execute(self, context):
        pass
"""


@pytest.fixture
def module(world, monkeypatch):  # noqa: F811
    """Return a function that writes an importable module with a unique name."""
    monkeypatch.syspath_prepend(str(world.path))
    monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "*")
    written = []

    def write(name: str, text: str) -> None:
        (world.path / f"{name}.py").write_text(text)
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


def context_of(dag) -> dict:
    task = dag.task_dict["t"]
    return {"ti": SimpleNamespace(task=task), "task": task, "ds": "2026-01-02"}


def execute(dag, **conf) -> object:
    """The task as a worker starts it: its hook first, with the operator's own choice of arguments."""
    task, context = dag.task_dict["t"], context_of(dag)
    task._pre_execute_hook(context)
    task.op_kwargs = {**task.op_kwargs, **conf}
    task.op_kwargs = task.determine_kwargs({**context, **task.op_kwargs})
    return task.python_callable(*task.op_args, **task.op_kwargs)


class TestCallables:
    def test_a_parse_does_not_import_the_function(self, world, module):  # noqa: F811
        """The DAG is complete without it; a module that would run something, or is not there, changes nothing."""
        module("payload", f"open({str(world.path / 'ran')!r}, 'w')\ndef f(): pass\n")
        for path in ("payload.f", "not_there.f"):
            dag = task_of(world, {"operator": "python", "python_callable": path})
            assert error_of(dag) is None
        assert not (world.path / "ran").exists()
        assert "payload" not in sys.modules

    def test_the_worker_imports_it_before_the_task_runs(self, world, module):  # noqa: F811
        """The operator then has the function itself, and chooses its arguments by its signature."""
        module("job", "def f(a, ds, *, b=1):\n    return [a, ds, b]\n")
        dag = task_of(world, {"operator": "python", "python_callable": "job.f", "op_args": [7], "op_kwargs": {"b": 2}})
        assert execute(dag) == [7, "2026-01-02", 2]
        import job

        assert dag.task_dict["t"].python_callable is job.f

    @pytest.mark.parametrize(
        "operator",
        [
            f"{STANDARD}operators.python.BranchPythonOperator",
            f"{STANDARD}operators.python.ShortCircuitOperator",
            f"{STANDARD}operators.python.PythonVirtualenvOperator",
            f"{STANDARD}sensors.python.PythonSensor",
        ],
    )
    def test_every_operator_with_a_function_waits_with_its_import(self, world, module, operator):  # noqa: F811
        """Also those that accept nothing but a plain function."""
        module("branch", "raise RuntimeError('imported')\n")
        dag = task_of(world, {"operator": operator, "python_callable": "branch.f"})
        assert error_of(dag) is None
        with pytest.raises(ImportError, match=r"task 't': python_callable branch\.f: imported"):
            import_callable(context_of(dag))

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("gone.f", "No module named 'gone'"),
            ("shadow.no_such", "no attribute 'no_such'"),
            ("shadow.NUMBER", "is not a function"),
            ("shadow.check_output", r"is subprocess\.check_output, which WORKFLOWS_ALLOWED_CALLABLES does not allow"),
            ("shadow.system", r"is posix\.system"),
            ("shadow.bound", r"is subprocess\.run"),
            ("shadow.Popen", r"is subprocess\.Popen"),
            ("shadow.instance", r"is types\.SimpleNamespace|is not a function"),
        ],
    )
    def test_a_function_that_cannot_be_used_fails_its_task(self, module, path, reason):
        """The message names task and path; what a module hands on counts as what it is."""
        module(
            "shadow",
            "import functools, os, subprocess, types\nfrom subprocess import Popen, check_output\nfrom os import system\n"
            "bound = functools.partial(subprocess.run, ['id'])\nNUMBER = 1\ninstance = types.SimpleNamespace()\n",
        )
        with pytest.raises(ImportError, match=rf"^task 't': python_callable {path}: .*({reason})"):
            DeferredImport(task_id="t", path=path, rules=SpecRules()).load()

    def test_what_the_list_names_may_be_handed_on(self, module):
        """A pattern for a standard module counts here as well."""
        module("shadow", "from json import dumps\n")
        rules = SpecRules(callables=("shadow.*", "json.dumps"))
        assert DeferredImport(task_id="t", path="shadow.dumps", rules=rules).load()([1]) == "[1]"

    def test_a_default_task_is_held_to_the_list_as_well(self, world, monkeypatch):  # noqa: F811
        """WORKFLOWS_DEFAULT_TASK goes through no check of a spec."""
        monkeypatch.setenv(
            "WORKFLOWS_DEFAULT_TASK",
            '{"operator": "python", "python_callable": "json.dumps", "op_args": [1], "task_id": "t"}',
        )
        world.put("a.one", HEAD)
        assert "'json.dumps' is not allowed here" in error_of(world.parse()["a_one"])
        monkeypatch.setenv("WORKFLOWS_ALLOWED_CALLABLES", "json.dumps")
        dag = world.parse()["a_one"]
        import_callable(context_of(dag))
        assert dag.task_dict["t"].python_callable(1) == "1"

    @pytest.mark.parametrize("path", ["subprocess.check_output", "builtins.exec", "venv.__main__.main", "a.__init__.f"])
    def test_a_published_spec_is_held_to_the_list(self, world, path):  # noqa: F811
        """It never went through a registration."""
        assert "python_callable" in error_of(task_of(world, {"operator": "python", "python_callable": path}))


class TestOperators:
    def test_a_class_is_held_to_its_own_path(self, world, module, monkeypatch):  # noqa: F811
        """A module on the list hands on a class that is not."""
        module("listed", f"from {STANDARD}operators.bash import BashOperator as Handed\n")
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "listed.*")
        found = error_of(task_of(world, {"operator": "listed.Handed", "bash_command": "true"}))
        assert f"task 't': operator listed.Handed: is the class {STANDARD}operators.bash.BashOperator" in found

    def test_a_class_is_allowed_by_both_paths(self, world, module, monkeypatch):  # noqa: F811
        """Where the list has the path that is given and the class's own."""
        module("listed", f"from {STANDARD}operators.bash import BashOperator as Handed\n")
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", "listed.*,*.BashOperator")
        assert error_of(task_of(world, {"operator": "listed.Handed", "bash_command": "true"})) is None

    def test_no_workflow_starts_another_by_default(self, world):  # noqa: F811
        """Only the very path on the list allows the operator."""
        task = {"operator": TRIGGER, "trigger_dag_id": "another"}
        assert "starts runs of other workflows" in error_of(task_of(world, task))

    @pytest.mark.parametrize(("allowed", "refused"), [("*", True), (f"*,{TRIGGER}", False), ("*,heir.Heir", False)])
    def test_so_does_a_class_that_inherits_from_it(self, world, module, monkeypatch, allowed, refused):  # noqa: F811
        """A subclass of a class that changes other workflows needs a pattern with its own or that class's exact path."""
        module(
            "heir",
            f"from {TRIGGER.rpartition('.')[0]} import TriggerDagRunOperator\nclass Heir(TriggerDagRunOperator): pass\n",
        )
        monkeypatch.setenv("WORKFLOWS_ALLOWED_OPERATORS", allowed)
        found = error_of(task_of(world, {"operator": "heir.Heir", "trigger_dag_id": "another"}))
        assert ("starts runs of other workflows" in (found or "")) is refused

    def test_an_error_of_an_operator_names_its_task(self, world):  # noqa: F811
        """The third of three is wrong."""
        good = "{task_id: a, operator: empty}, {task_id: b, operator: empty}"
        bad = f"{{task_id: c, operator: {STANDARD}sensors.time_delta.TimeDeltaSensor}}"
        world.put("a.one", f"{HEAD}tasks: [{good}, {bad}]\n")
        found = error_of(world.parse()["a_one"])
        assert found.startswith("ValueError: task 'c': ")
        assert "delta" in found


class TestTime:
    @pytest.mark.parametrize(
        "text",
        [
            "import time\ntime.sleep(60)\n",
            "while True: pass\n",
            (
                "while True:\n    try:\n        import time; time.sleep(60)\n    except BaseException as error:\n"
                "        if tries: raise\n        tries = 1\n"
            ),
        ],
        ids=["sleeps", "spins", "swallows the first alarm"],
    )
    def test_a_spec_that_hangs_takes_no_neighbour_away(self, world, module, text):  # noqa: F811
        """Airflow's limit of a parse is three seconds here: the slow one is an error DAG, the others are served."""
        module("hangs", "tries = 0\n" + text + OPERATOR)
        world.put("a.before", HEAD.replace("name: one", "name: before"))
        world.put("a.later", HEAD.replace("name: one", "name: later"))
        world.put("a.one", HEAD + "tasks: [{task_id: t, operator: hangs.Op}]\n")
        began = time.monotonic()
        found = within(3.0, world.parse)
        assert time.monotonic() - began < 3
        assert "share of the parse" in error_of(found["a_one"])
        assert [error_of(found[name]) for name in ("a_before", "a_later")] == [None, None]

    def test_many_that_hang_leave_time_for_the_others(self, world, module):  # noqa: F811
        """Each takes a share of what is left, so their number does not matter."""
        for number in range(6):
            module(f"hangs_{number}", "import time\ntime.sleep(60)\n" + OPERATOR)
            head = HEAD.replace("name: one", f"name: h{number}")
            world.put(f"a.h{number}", head + f"tasks: [{{task_id: t, operator: hangs_{number}.Op}}]\n")
        world.put("a.z", HEAD.replace("name: one", "name: z"))
        found = within(4.0, world.parse)
        assert error_of(found["a_z"]) is None
        assert len(found) == 8

    def test_one_that_was_slow_is_built_last_until_it_is_quick(self, world, module, monkeypatch):  # noqa: F811
        """The next parse serves the others before it spends time on this one."""
        module("hangs", "import os, time\nif 'QUICK' not in os.environ: time.sleep(60)\n" + OPERATOR)
        world.put("a.a", HEAD.replace("name: one", "name: a") + "tasks: [{task_id: t, operator: hangs.Op}]\n")
        world.put("a.z", HEAD.replace("name: one", "name: z"))
        workflows = lambda: [name for name in within(3.0, world.parse) if name.startswith("a_")]  # noqa: E731 - said twice
        assert [workflows(), workflows()] == [["a_a", "a_z"], ["a_z", "a_a"]]
        monkeypatch.setenv("QUICK", "1")
        assert [workflows(), workflows()] == [["a_z", "a_a"], ["a_a", "a_z"]]

    @pytest.mark.parametrize("raised", ["SystemExit(3)", "AirflowTaskTimeout('Timeout')", "GeneratorExit()"])
    def test_whatever_a_module_raises_hurts_its_own_dag_only(self, world, module, raised):  # noqa: F811
        """Airflow's own timeout is no ``Exception`` either."""
        module("raises", f"from airflow.exceptions import AirflowTaskTimeout\nraise {raised}\n")
        world.put("a.good", HEAD.replace("name: one", "name: good"))
        world.put("a.one", HEAD + "tasks: [{task_id: t, operator: raises.Op}]\n")
        found = world.parse()
        assert raised.partition("(")[0] in error_of(found["a_one"])
        assert error_of(found["a_good"]) is None

    def test_the_share_of_one_leaves_time_for_the_next(self):
        """After five that hung, the sixth has its time, all within Airflow's limit."""
        parse_time = within(5.0, ParseTime)

        def six() -> int:
            for _ in range(5):
                with pytest.raises(SpecTimeout):
                    parse_time.share(lambda: time.sleep(60))
            return parse_time.share(lambda: time.sleep(0.12) or 6)

        assert within(5.0, six) == 6

    def test_the_limit_of_airflow_goes_on_where_it_was(self):
        """Its timer and its handler are as before, less the time that was used."""
        told = []
        before = signal.signal(signal.SIGALRM, lambda *_: told.append(1))
        try:
            signal.setitimer(signal.ITIMER_REAL, 5)
            ParseTime().share(lambda: time.sleep(0.2))
            assert 4.5 < signal.getitimer(signal.ITIMER_REAL)[0] <= 4.8
            with pytest.raises(SpecTimeout):
                ParseTime().share(lambda: time.sleep(60))
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            time.sleep(0.3)
            assert told == [1]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class AirflowsTimeoutError(BaseException):
    """As the alarm of Airflow's own."""


def within(seconds: float, work) -> object:
    """``work`` under a limit like Airflow's ``dagbag_import_timeout``."""

    def end(*_given):
        raise AirflowsTimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
