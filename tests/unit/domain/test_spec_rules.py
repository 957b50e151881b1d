"""What a spec may name: operator classes and functions, checked as text."""

from __future__ import annotations

import pytest

from workflow_core.domain.spec import SpecRules, parse_spec
from workflow_core.domain.spec.rules import REACHING
from workflow_core.errors import InvalidWorkflowSpec

STANDARD = "airflow.providers.standard.operators"


def problem_of(task: str, rules: SpecRules | None = None) -> str:
    """The findings about a spec with this one task; empty if there are none."""
    text = f"version: v1\nname: a.b\nowner: x\nschedule: {{cron: '0 6 * * *'}}\ntasks:\n  - {{task_id: t, {task}}}\n"
    try:
        parse_spec(text, rules=rules)
    except InvalidWorkflowSpec as error:
        return "; ".join(map(str, error.problems))
    return ""


@pytest.mark.parametrize("path", ["reports.daily.main", "reports._private.main", "my_os.path.join", "jsonx.dumps"])
def test_installed_functions_are_allowed_by_default(path):
    """What lies in Airflow's environment or its DAGs folder."""
    assert problem_of(f"operator: python, python_callable: {path}") == ""


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.check_output",
        "builtins.exec",
        "os._exit",
        "json.dumps",
        "posix.system",
        "_thread.start_new_thread",
        "airflow.utils.db.resetdb",
        "workflow_core.service.WorkflowService",
        "workflow_entrypoints.cli.main.main",
    ],
)
def test_the_standard_library_and_airflow_need_their_name_in_the_list(path):
    """The message says so, at the line and column of the path."""
    found = problem_of(f"operator: python, python_callable: {path}")
    assert found.startswith("line 6, column ")
    assert f"functions of '{path.partition('.')[0]}' need a pattern that names it" in found
    assert "WORKFLOWS_ALLOWED_CALLABLES" in found
    assert problem_of(f"operator: python, python_callable: {path}", SpecRules(callables=("*", path))) == ""


@pytest.mark.parametrize("pattern", ["*", "?son.*", "[j]son.*", "js*", "json"])
def test_no_wildcard_stands_for_a_protected_package(pattern):
    """Only a pattern whose first segment is the package."""
    assert not SpecRules(callables=(pattern,)).allows_callable("json.dumps")


def test_a_pattern_for_a_package_counts_for_all_of_it():
    """Modules below it included, and nothing else."""
    rules = SpecRules(callables=("json.*",))
    assert rules.allows_callable("json.dumps")
    assert rules.allows_callable("json.decoder.scanner")
    assert not rules.allows_callable("jsonx.dumps")
    assert not rules.allows_callable("reports.main")


@pytest.mark.parametrize("path", ["venv.__main__.main", "a.__init__.f", "a.f.__call__", "__main__.f", "a.__class__"])
def test_a_path_with_two_underscores_is_refused_whatever_the_list_says(path):
    """Importing ``__main__`` of a package runs it."""
    assert not SpecRules(callables=("*", path, "venv.*")).allows_callable(path)
    assert "two underscores" in problem_of(f"operator: python, python_callable: {path}")


def test_the_list_is_for_every_operator_with_a_function():
    """Given by its full path, an operator or sensor of the same kind."""
    for operator in (
        f"{STANDARD}.python.BranchPythonOperator",
        "airflow.providers.standard.sensors.python.PythonSensor",
    ):
        assert "os.abort" in problem_of(f"operator: {operator}, python_callable: os.abort")


@pytest.mark.parametrize("path", [path for path in REACHING if ".providers." in path])
def test_operators_that_change_other_workflows_need_their_whole_path(path):
    """No pattern with a wildcard allows them."""
    for operators in (SpecRules().operators, ("*",), (path[:-1] + "?",)):
        assert REACHING[path] in problem_of(f"operator: {path}", SpecRules(operators=operators))
    assert problem_of(f"operator: {path}", SpecRules(operators=(path,))) == ""


def test_the_key_of_rules_changes_with_each_of_them():
    """So that what was checked under other rules is checked again."""
    rules = [SpecRules(), SpecRules(max_bytes=1), SpecRules(operators=("a",)), SpecRules(callables=("a",))]
    assert len({one.key for one in rules}) == len(rules)


@pytest.mark.parametrize(
    "argument",
    [
        "weight_rule: airflow.task.priority_strategy.PriorityWeightStrategy",
        "retry_policy: reports.retry.Policy",
        "start_trigger_args: reports.trigger.Args",
        "executor_config: {pod_override: {__type__: kubernetes.client.models.V1Pod}}",
        "execution_date_fn: reports.dates.of",
        "on_failure_callback: reports.alarm.send",
    ],
)
def test_no_other_argument_is_an_import(argument):
    """Airflow and dag-factory would import what these name, in the scheduler or at a parse: for every operator it is a finding."""
    for operator in ("empty", "airflow.providers.standard.sensors.bash.BashSensor"):
        assert argument.partition(":")[0] in problem_of(f"operator: {operator}, {argument}")
