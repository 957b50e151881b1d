from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.yaml_readers import theirs
from workflow_core.domain.served import ServedMark, read_mark
from workflow_core.domain.spec import SpecRules, WorkflowSpec, complete, parse_spec, spec_hash
from workflow_core.errors import InvalidCronExpression, InvalidWorkflowSpec

GOOD = """\
# who, what, when
version: v1
name: daily_clicks   # the last segment is enough
owner: data@example.com
schedule: {cron: "0 6 * * *", timezone: UTC}
params:
  region: US
  limit: {default: 10, type: integer, enum: [10, 20]}
tasks:
  - task_id: extract
    operator: bash
    bash_command: |
      echo one
      echo two
  - task_id: load
    operator: airflow.providers.standard.operators.empty.EmptyOperator
    dependencies: [extract]
"""
NAME = "iceberg.analytics.daily_clicks"


def places(text: str, **options) -> list[tuple[int | None, int | None, str | None]]:
    with pytest.raises(InvalidWorkflowSpec) as caught:
        parse_spec(text, **options)
    return [(found.line, found.column, found.field) for found in caught.value.problems]


def bomb() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines)


def test_a_good_spec_is_read_as_it_stands():
    """Every part of a good spec arrives in the model."""
    spec = parse_spec(GOOD, dataset_name=NAME)
    assert spec.schedule is not None
    assert (spec.name, spec.owner, spec.schedule.cron) == ("daily_clicks", "data@example.com", "0 6 * * *")
    assert spec.declared["region"].default == "US"
    assert spec.declared["limit"].enum == [10, 20]
    assert [task.task_id for task in spec.tasks] == ["extract", "load"]
    assert spec.tasks[0].operator_class == "airflow.providers.standard.operators.bash.BashOperator"
    assert spec.tasks[0].arguments == {"bash_command": "echo one\necho two\n"}
    assert spec.tasks[1].dependencies == ["extract"]


def test_a_spec_survives_json():
    """The database keeps the spec as JSON; what comes back is equal."""
    spec = parse_spec(GOOD)
    assert WorkflowSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("version: v1\nname: [a", 2, 9),
        ("version: v1\nname: a\nname: b", 3, 1),
        ("version: v1\nx: !!python/object/apply:os.system [id]", 2, 4),
        ("version: v1\nx: !!binary aGk=", 2, 4),
        ("version: v1\nname: n\nstart_date: 2026-02-30", 3, 13),
        ("version: v1\nname: n\nstart_date: 2026-01-01T25:00:00Z", 3, 13),
        ("version: v1\nx: .nan", 2, 4),
        ("version: v1\n? [a]\n: b", 2, 3),
        ("a: &x {b: 1}\n<<: *x", 2, 1),
        ("a: *nowhere", 1, 4),
        ("a: &a [*a]", 1, 8),
        ("--- a\n--- b", 2, 1),
        ("", 1, 1),
        ("a: \0", 1, 4),
        ("\ta: 1", 1, 1),
        ("[" * 100_000, 1, 33),
        ("{" * 100_000, 1, 33),
        ("- " * 100_000, 1, 65),
        (bomb(), 5, 12),
        ("- v1", 1, 1),
        ("just words", 1, 1),
    ],
)
def test_hostile_and_broken_yaml_is_refused_at_its_place_in_bounded_time(text, line, column):
    """Every broken or hostile text is refused with its place, long before it could hurt."""
    started = time.process_time()
    assert places(text)[0][:2] == (line, column)
    assert time.process_time() - started < 5


def test_a_text_over_the_size_limit_is_refused_unread():
    """The limit counts bytes, not characters."""
    rules = SpecRules(max_bytes=100)
    assert places("# " + "é" * 60, rules=rules) == [(1, 1, None)]


def test_words_that_other_yaml_readers_change_stay_what_they_are():
    """``12:30:45`` and ``1_000`` are not numbers, ``no`` is not false, and ``2026-02-30`` is not a date (YAML 1.2, section 10.3)."""
    spec = parse_spec(
        "version: v1\nname: n\nparams: {a: 12:30:45, b: no, c: 2026-01-02, d: 0o17, e: 1_000, f: 017, g: 2026-02-30}"
    )
    assert {name: param.default for name, param in spec.declared.items()} == {
        "a": "12:30:45", "b": "no", "c": "2026-01-02", "d": 15, "e": "1_000", "f": 17, "g": "2026-02-30",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("version: v1", "version: v2", (2, 10, "version")),
        ("version: v1\n", "", (2, 1, "version")),
        ("name: daily_clicks", "name: other", (3, 7, "name")),
        ("owner: data@example.com", "owner: [a]", (4, 8, "owner")),
        ("owner:", "ownr:", (4, 1, "ownr")),
        ("timezone: UTC", "timezone: Mars", (5, 41, "schedule.timezone")),
        ("default: 10", "default: ten", (8, 10, "params.limit")),
        ("  region: US", "  re-gion: US", (7, 12, "params.re-gion")),
        ("task_id: load", "task_id: extract", (15, 14, "tasks[1].task_id")),
        ("[extract]", "[extrakt]", (17, 20, "tasks[1].dependencies[0]")),
        ("operator: bash", "operator: bahs", (11, 15, "tasks[0].operator")),
        ("operator: bash", "operator: os.system", (11, 15, "tasks[0].operator")),
        ("bash_command:", "bash_comand:", (11, 5, "tasks[0].operator")),
        ("    operator: bash\n", "    operator: bash\n    dependencies: [load]\n", (12, 19, "tasks[0].dependencies")),
        ("tasks:", "tasks: 5\nx:", (9, 8, "tasks")),
    ],
)
def test_each_mistake_is_found_at_its_line_and_column(before, after, expected):
    """A single mistake in a good spec is reported where it stands, under its name."""
    assert before in GOOD
    assert expected in places(GOOD.replace(before, after, 1), dataset_name=NAME)


def test_all_mistakes_are_told_at_once_in_their_order():
    """Nobody has to mend a file one error at a time."""
    text = GOOD.replace("name: daily_clicks", "name: x").replace("[extract]", "[y]").replace("UTC", "Mars")
    assert [field for _, _, field in places(text, dataset_name=NAME)] == [
        "name", "schedule.timezone", "tasks[1].dependencies[0]",
    ]  # fmt: skip


def test_a_bad_cron_alone_has_the_code_of_the_specification():
    """A spec whose only fault is its cron expression answers INVALID_CRON_EXPRESSION, with the place."""
    with pytest.raises(InvalidCronExpression) as caught:
        parse_spec(GOOD.replace("0 6 * * *", "61 * * * *"))
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (5, 18)


def test_a_cycle_of_dependencies_is_reported_with_its_tasks_in_order():
    """The message contains the tasks of the cycle in the order of their dependencies."""
    text = GOOD.replace("    operator: bash\n", "    operator: bash\n    dependencies: [load]\n", 1)
    with pytest.raises(
        InvalidWorkflowSpec, match=r"form a cycle: (extract -> load -> extract|load -> extract -> load)"
    ):
        parse_spec(text)


@pytest.mark.parametrize(
    "line",
    [
        "python_callable_file: /etc/passwd",
        "success_check_lambda: 'lambda x: x'",
        "on_failure_callback: os.system",
        "variables_as_arguments: []",
        "expand: {}",
        "dag: x",
        "outlets: {file: /etc/passwd, datasets: []}",
    ],
)
def test_what_dag_factory_would_evaluate_or_read_is_refused_for_every_operator(line):
    """Keys that run text as code or read files of the host never reach Airflow."""
    text = GOOD.replace("    dependencies: [extract]", f"    dependencies: [extract]\n    {line}")
    assert (18, 5, f"tasks[1].{line.partition(':')[0]}") in places(text)


def test_completing_keeps_comments_order_and_quotes():
    """The stored text is the user's own, with the registered values set over it."""
    text = complete(GOOD, {"name": NAME, "owner": "other@example.com", "schedule": {"cron": "0 8 * * *"}, "team": "@x"})
    assert (
        text
        == GOOD.replace("name: daily_clicks   #", f"name: {NAME} #")
        .replace("data@example.com", "other@example.com")
        .replace("0 6 * * *", "0 8 * * *")
        + "team: '@x'\n"
    )


def test_completing_with_what_stands_there_changes_no_byte():
    """Registering the stored text again stores the same text."""
    assert complete(GOOD, {"owner": "data@example.com", "schedule": {"cron": "0 6 * * *"}}) == GOOD


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50)


@given(st.dictionaries(st.sampled_from(["team", "description", "owner"]), ANY_TEXT, max_size=3))
@settings(deadline=None)
def test_completed_text_reads_back_as_the_given_values(values):
    """Whatever text the fields of a request hold, the stored YAML says exactly that, to any reader."""
    read = theirs(complete(GOOD, values))
    assert {name: read[name] for name in values} == values


def test_the_hash_is_of_the_bytes():
    """One changed byte gives another hash; text and its UTF-8 bytes give the same."""
    assert spec_hash("é") == spec_hash("é".encode()) != spec_hash("e")
    assert len(spec_hash("")) == 16


@given(st.text(), st.none() | st.text())
def test_a_mark_reads_back_after_any_description(description, error):
    """The mark survives any text before it and any error in it, comment ends included."""
    mark = ServedMark(spec_hash="0123456789abcdef", error=error or None)
    assert read_mark(f"{description}\n{mark.text()}") == ServedMark(
        spec_hash="0123456789abcdef", error=error[:2000] if error else None
    )
    assert mark.text().count("-->") == 1


@pytest.mark.parametrize("text", [None, "", "words", "<!-- workflow-core {} -->", "<!-- workflow-core {]} -->"])
def test_other_texts_hold_no_mark(text):
    """A DAG that is not ours has no mark."""
    assert read_mark(text) is None
