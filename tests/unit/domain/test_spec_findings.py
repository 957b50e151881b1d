"""All findings about a spec: in one round, in the order of the text, each with what to write instead; and the warnings."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner

from workflow_core.domain.spec import SpecRules, check_spec, warnings_of
from workflow_core.domain.spec.advice import ANY_TASK, SHORT_TASK, TOP_LEVEL, guess
from workflow_core.domain.spec.arguments import COMMON, OWN
from workflow_core.domain.spec.document import SHORT_OPERATORS, WorkflowSpec
from workflow_core.domain.spec.rules import REACHING
from workflow_core.errors import InvalidRequest, Problem
from workflow_entrypoints.cli.app import app

HEAD = 'version: v1\nname: a.b\nowner: x\nschedule: {cron: "0 6 * * *"}\n'


def problems(text: str, **options) -> list[Problem]:
    try:
        check_spec(text, **options)
    except InvalidRequest as error:
        return list(error.problems)
    return []


def message(text: str, field: str) -> str:
    """The one finding about a field."""
    (found,) = [one.message for one in problems(text) if one.field == field]
    return found


def of_task(line: str) -> dict[str | None, str]:
    return {one.field: one.message for one in problems(f"{HEAD}tasks:\n  - {{task_id: t, {line}}}\n")}


def test_findings_of_every_kind_come_in_one_round_in_the_order_of_the_text():
    """A wrong key at the top hides no task, and a task without an operator hides no argument."""
    text = """\
name: a.b
catchup: false
owner: 5
schedule: {cron: "61 * * * *", timezone: Mars, preset: x}
start_date: 20270101
params:
  p: {default: 1, minimum: 0}
tasks:
  - task_id: a
    retries: two
    dependencies: [b, c]
  - operator: airflow.operators.bash.BashOperator
    bash_command: {__join__: [a]}
  - task_id: c
    operator: bash
    bash_comand: x
    dependencies: [a]
  - task_id: d
    operator: empty
    dependencies: [d]
"""
    found = problems(text)
    assert [(one.line, one.column) for one in found] == sorted((one.line, one.column) for one in found)
    assert {one.field for one in found} == {
        "version", "catchup", "owner", "schedule.cron", "schedule.timezone", "schedule.preset", "start_date", "params.p.minimum",
        "tasks[0].operator", "tasks[0].retries", "tasks[0].dependencies[0]", "tasks[1].task_id", "tasks[1].operator",
        "tasks[1].bash_command.__join__", "tasks[2].operator", "tasks[2].bash_comand",
        next(one.field for one in found if "cycle" in one.message),
    }  # fmt: skip
    assert any("cycle" in one.message for one in found)


@pytest.mark.parametrize("key", TOP_LEVEL)
def test_a_key_of_another_format_gets_advice(key):
    """The message contains the alternative, or that the key is not supported."""
    assert message(f"{HEAD}{key}: 1\n", key) == f"unknown key '{key}': {TOP_LEVEL[key]}"


@pytest.mark.parametrize(
    "key",
    ["default_args", "schedule_interval", "tags", "catchup", "max_active_runs", "dagrun_timeout", "task_groups", "on_failure_callback",
     "timezone", "dag_id", "end_date", "doc_md", "access_control", "retries", "max_active_tasks", "concurrency", "template_searchpath"],
)  # fmt: skip
def test_the_commonest_keys_are_among_them(key):
    """Those of dag-factory's files and of Airflow's DAG."""
    assert key in TOP_LEVEL


def test_no_advice_is_about_a_key_that_exists():
    """It would never be given."""
    assert not set(TOP_LEVEL) & set(WorkflowSpec.model_fields)
    taken = set(COMMON) | {name for own in OWN.values() for name in own.kinds}
    assert not set(ANY_TASK) & taken
    assert set(SHORT_TASK) & taken <= {"conn_id"}


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (HEAD + "ownr: x\n", "ownr", "did you mean 'owner'?"),
        (HEAD + "param: {}\n", "param", "did you mean 'params'?"),
        (HEAD + "defualt_args: {}\n", "defualt_args", "'default_args' write the arguments in each task"),
        (HEAD + "zebra: {}\n", "zebra", "the known ones are version, name"),
        (HEAD.replace("cron:", "corn:"), "schedule.corn", "did you mean 'cron'? It is required"),
        (HEAD.replace("}", ", timezon: UTC}"), "schedule.timezon", "did you mean 'timezone'?"),
        (HEAD.replace("name:", "nmae:"), "nmae", "did you mean 'name'? It is required"),
        (HEAD.replace("version: v1\n", ""), "version", "write `version: v1`"),
        (HEAD.replace("version: v1", "version: 1"), "version", "write `version: v1`"),
        (HEAD + "tasks: {first: {operator: bash}}\n", "tasks", "write `- task_id: first` for each task"),
        (HEAD + "tasks: bash\n", "tasks", "write `- task_id: extract` for each task"),
        (HEAD + "params: [a]\n", "params", "write `name: default`"),
        (HEAD + "team: 5\n", "team", 'quote it: "5"'),
        (HEAD + "description: true\n", "description", 'quote it: "true"'),
        ("version: v1\nname: a.b\nschedule: '0 6 * * *'\n", "schedule", 'write `schedule: {cron: "0 6 * * *"}`'),
        ("version: v1\nname: a.b\nschedule: 5 4 * * *\n", "schedule", 'write `schedule: {cron: "5 4 * * *"}`'),
        ("version: v1\nname: a.b\nschedule: '@daily'\n", "schedule", "write '0 0 * * *'"),
        ("version: v1\nname: a.b\nschedule: '@once'\n", "schedule", "without a schedule is not supported yet"),
        ("version: v1\nname: a.b\nschedule: None\n", "schedule", "without a schedule is not supported yet"),
        ("version: v1\nname: a.b\nschedule: null\n", "schedule", "without a schedule is not supported yet"),
        ("version: v1\nname: a.b\nschedule:\n", "schedule", "a workflow needs a schedule"),
        ("version: v1\nname: a.b\nschedule: [a]\n", "schedule", 'write `schedule: {cron: "0 6 * * *"}`'),
        ("my_dag:\n  default_args: {}\n  tasks: {}\n", "my_dag", "looks like a file of dag-factory"),
    ],
)
def test_a_mistake_at_the_top_is_told_with_the_fix(text, field, words):
    """Misspelt keys are guessed, wrong types say what to write."""
    assert words in message(text, field)


@pytest.mark.parametrize("name", ["my dag!", "", "a..b", ".a", "a b", "-a", "é", "a/b", "a.b ", "x" * 201])
def test_a_name_that_no_dataset_can_have_is_a_finding(name):
    """Nothing could ever be registered under it."""
    text = HEAD.replace("name: a.b", f"name: {json.dumps(name)}")
    assert "is neither a dataset name" in message(text, "name")


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("operater: bash, bash_command: x", "tasks[0].operater", "did you mean 'operator'? It is required"),
        ("type: bash, bash_command: x", "tasks[0].type", "did you mean 'operator'? It is required"),
        ("operator: bahs, bash_command: x", "tasks[0].operator", "did you mean 'bash'?"),
        ("operator: BashOperator, bash_command: x", "tasks[0].operator", "did you mean 'bash'?"),
        ("operator: DummyOperator", "tasks[0].operator", "did you mean 'empty'?"),
        ("operator: airflow.operators.bash.BashOperator", "tasks[0].operator", "write `operator: bash`"),
        ("operator: airflow.operators.bash_operator.BashOperator", "tasks[0].operator", "write `operator: bash`"),
        ("operator: airflow.operators.dummy.DummyOperator", "tasks[0].operator", "write `operator: empty`"),
        ("operator: airflow.operators.python_operator.PythonOperator", "tasks[0].operator", "write `operator: python`"),
        ("operator: airflow.operators.http_operator.SimpleHttpOperator", "tasks[0].operator", "write `operator: http`"),
        ("operator: airflow.operators.postgres_operator.PostgresOperator", "tasks[0].operator", "write `operator: sql`"),
        ("operator: airflow.operators.python.BranchPythonOperator", "tasks[0].operator",
         "write `operator: airflow.providers.standard.operators.python.BranchPythonOperator`"),
        ("operator: airflow.sensors.external_task_sensor.ExternalTaskSensor", "tasks[0].operator",
         "write `operator: airflow.providers.standard.sensors.external_task.ExternalTaskSensor`"),
        ("operator: airflow.contrib.sensors.file_sensor.FileSensor", "tasks[0].operator",
         "write `operator: airflow.providers.standard.sensors.filesystem.FileSensor`"),
        ("operator: airflow.operators.mine.MyOperator", "tasks[0].operator", "have moved from here into airflow.providers"),
        ("operator: mine.MyOperator", "tasks[0].operator", "WORKFLOWS_ALLOWED_OPERATORS allows airflow.providers.*"),
        ("operator: bash, bash_command: x, depends_on: [a]", "tasks[0].depends_on", "write `dependencies: [task_id]`"),
        ("operator: bash, bash_command: x, upstream: [a]", "tasks[0].upstream", "write `dependencies: [task_id]`"),
        ("operator: a.b.C, depends_on: [a]", "tasks[0].operator", "is not allowed here"),
        ("operator: python, python_callable: a.b, params: {}", "tasks[0].params", "declare `params` at the top level"),
        ("operator: bash, bash_command: x, resources: {}", "tasks[0].resources", "write `pool` and `pool_slots`"),
        ("operator: bash, bash_command: x, retires: 1", "tasks[0].retires", "did you mean 'retries'?"),
        ("operator: bash, bash_command: x, zebra: 1", "tasks[0].zebra", "operator 'bash' takes no such argument"),
        ("operator: bash, command: x", "tasks[0].command", "write `bash_command`"),
        ("operator: empty, dependencies: t2", "tasks[0].dependencies", "write `dependencies: [t2]`"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_task_is_told_with_the_fix(line, field, words):
    """Synonyms first, then the nearest word, and no guess where none is near."""
    found = of_task(line)
    assert words in found[field]
    assert ("did you mean" in found[field]) == ("did you mean" in words)


def test_every_old_place_of_an_operator_leads_to_one_that_is_allowed():
    """The advice itself passes the check."""
    from workflow_core.domain.spec.advice import _CLASSES

    for path in set(_CLASSES.values()) - set(REACHING):
        assert SpecRules().allows(path)
    assert set(SHORT_OPERATORS.values()) <= set(_CLASSES.values())


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("params", "op_args"),
        ("response_check", "log_response"),
        ("resources", "retries"),
        ("upstream", "queue"),
        ("env", "endpoint"),
    ],
)
def test_a_word_that_is_not_near_is_no_guess(word, known):
    """A hint that misleads is worse than none."""
    assert guess(word, [known]) is None


@pytest.mark.parametrize("task_id", ["9a", "a.b", "a b", "-a", "é", ""])
def test_the_rule_for_task_ids_is_said_as_it_is(task_id):
    """``-`` is allowed, though not first."""
    found = message(f"{HEAD}tasks: [{{task_id: {json.dumps(task_id)}, operator: empty}}]\n", "tasks[0].task_id")
    assert "may contain letters, digits, '_' and '-' only, and must begin with a letter or '_'" in found
    assert problems(f"{HEAD}tasks: [{{task_id: a-b_1, operator: empty}}]\n") == []


@pytest.mark.parametrize("written", ["taskid", "id", "name", "task_name"])
def test_a_misspelt_task_id_is_guessed(written):
    """A misspelt `task_id` is reported once, with the guess."""
    (found,) = problems(f"{HEAD}tasks: [{{{written}: a, operator: mine.X}}]\n", rules=SpecRules(operators=("*",)))
    assert (found.field, found.line) == (f"tasks[0].{written}", 5)
    assert "did you mean 'task_id'? It is required" in found.message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{__type__: datetime.timedelta, minutes: 5}", "write the seconds: `retry_delay: 300`"),
        ("{__type__: datetime.timedelta, hours: 1, minutes: 30}", "`retry_delay: 5400`"),
        ("{__type__: builtins.exit, __args__: [1]}", "objects are not supported"),
        ("{__join__: [a, b]}", "write one text"),
        ("{__and__: [a]}", "conditions are not supported"),
        ("{__or__: [a]}", "conditions are not supported"),
        ("{__anything__: 1}", "keys with two underscores at both ends"),
        ("[{a: {__type__: kubernetes.client.models.V1Pod}}]", "write plain mappings"),
    ],
)
def test_the_notation_for_objects_is_refused_at_any_depth(value, words):
    """In arguments of any operator, known or not, and in params; one finding for each."""
    (found,) = of_task(f"operator: empty, retry_delay: {value}").values()
    assert words in found
    (deep,) = of_task(f"operator: airflow.providers.x.operators.y.Z, other: [{{b: {value}}}]").values()
    assert deep.split(":")[0] == found.split(":")[0] or "two underscores" in deep
    assert problems(f"{HEAD}params: {{p: {{default: {value}}}}}\n")
    assert problems(f"{HEAD}params: {{p: [{value}]}}\n")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "".join(f"retriex{n}: 1\n" for n in range(9000)),
        HEAD + "tasks:\n- {task_id: t, operator: bash, bash_command: x, " + ", ".join(f"retriex{n}: 1" for n in range(9000)) + "}\n",
        HEAD + "tasks:\n" + "".join(f"- {{task_id: some_task_{n}, operator: empty, dependencies: [some_tusk_{n}]}}\n" for n in range(2000)),
        HEAD + "params:\n" + "".join(f"  p{n}: {{defualt{n}: 1}}\n" for n in range(5000)),
        HEAD + "tasks:\n- {task_id: t, operator: bash, bash_command: '" + "{{ ds }} " * 20000 + "'}\n",
        HEAD + "tasks:\n- {task_id: t, operator: bash, bash_command: '" + "{{" * 60000 + "'}\n",
        HEAD + "tasks:\n- {task_id: t, operator: bash, bash_command: x, retry_delay: '" + "1 " * 60000 + "'}\n",
    ],
    ids=["top", "arguments", "dependencies", "params", "templates", "braces", "duration"],
)  # fmt: skip
def test_findings_take_bounded_time(text):
    """However many there are."""
    started = time.process_time()
    check = problems(text, rules=SpecRules(max_bytes=500_000))
    assert len(check) <= 500
    assert time.process_time() - started < 20


class TestWarnings:
    @pytest.mark.parametrize(
        ("argument", "words"),
        [
            ("bash_command: 'echo {{ ds }}'", "`ds` is undefined in runs that are started by hand on Airflow 3; write `{{ run_date() }}`"),
            ("bash_command: 'echo {{ ts_nodash }}'", "`ts_nodash` is undefined"),
            ("bash_command: 'echo {{ data_interval_start | ds }}'", "`data_interval_start` is undefined"),
            ("bash_command: 'echo {{ macros.ds_add(ds, 1) }}'", "`ds` is undefined"),
            ("bash_command: '{% if logical_date.day == 1 %}x{% endif %}'", "`logical_date` is undefined"),
            ("bash_command: 'echo {{ execution_date }}'", "`execution_date` does not exist in Airflow 3"),
            ("bash_command: 'echo {{ prev_ds }}'", "`prev_ds` does not exist in Airflow 3"),
            ("bash_command: 'echo {{ tomorrow_ds }}'", "`tomorrow_ds` does not exist in Airflow 3"),
            ("bash_command: 'echo {{ prev_data_interval_end_success }}'", "is null until a scheduled run has succeeded"),
            ("bash_command: x, env: {A: '{{ ds }}'}", "`ds` is undefined"),
            ("bash_command: ./extract.sh", "takes './extract.sh' for the name of a template file"),
            ("bash_command: echo && run.bash", "template file"),
            ("bash_command: x, env: {A: run.sh}", "template file"),
        ],
    )  # fmt: skip
    def test_what_fails_later_is_told_with_its_place(self, argument, words):
        """The spec is accepted all the same."""
        checked = check_spec(f"{HEAD}tasks:\n  - {{task_id: t, operator: bash, {argument}}}\n")
        (found,) = checked.warnings
        assert words in found.message
        assert found.line == 6
        assert warnings_of(checked.spec) == (f"{found.field}: {found.message}",)

    @pytest.mark.parametrize(
        "argument",
        [
            "bash_command: 'echo {{ run_date() }} {{ params.ds }} {{ dag_run.logical_date }} ds'",
            "bash_command: \"echo {{ 'ds' }}\"",
            "bash_command: '{{ logical_date | default(run_date()) }}'",
            "bash_command: '{{ dag_run.run_after | ds }}'",
            "bash_command: './extract.sh '",
            "bash_command: bash extract.sh --all",
            "bash_command: x, doc_md: run.sh",
        ],
    )
    def test_what_works_is_not(self, argument):
        """A warning that is wrong teaches to overlook all."""
        assert check_spec(f"{HEAD}tasks:\n  - {{task_id: t, operator: bash, {argument}}}\n").warnings == ()

    @pytest.mark.parametrize("sql", ["queries/x.sql", "[SELECT 1, x.sql]"])
    def test_a_file_of_sql_is_told(self, sql):
        """It is looked for beside the loader file."""
        (found,) = check_spec(f"{HEAD}tasks:\n  - {{task_id: t, operator: sql, conn_id: db, sql: {sql}}}\n").warnings
        assert "beside the loader file" in found.message

    def test_validate_prints_them_and_says_ok(self, tmp_path):
        """With file, line and column, on standard error; exit code 0."""
        path = tmp_path / "a.b.yaml"
        path.write_text(f"{HEAD}tasks:\n  - {{task_id: t, operator: bash, bash_command: 'echo {{{{ ds }}}}'}}\n")
        for target in (path, tmp_path):
            done = CliRunner().invoke(app, ["workflow", "validate", str(target)])
            assert done.exit_code == 0
            assert f"{path}: ok, 1 task\n" in done.stdout
            assert f"{path}:6:48: warning: tasks[0].bash_command: `ds` is undefined" in done.stderr
        done = CliRunner().invoke(app, ["workflow", "validate", str(path), "-o", "json"])
        (file,) = json.loads(done.stdout)["files"]
        assert [one["line"] for one in file["warnings"]] == [6]
