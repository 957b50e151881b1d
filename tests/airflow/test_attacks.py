"""Expressions that a caller who starts a run, or the author of a spec, could try to make Airflow evaluate."""

from __future__ import annotations

import subprocess

import pytest
from test_dags import HEAD, rendered, task_of
from test_loader import world  # noqa: F401 - a fixture

TEXTS = [
    "{{ 7 * 7 }}",
    "{{ params.__class__.__mro__ }}",
    "{{ run_date() }}",
    "{{ var.value.secret }} {{ conn.db.password }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{# a comment #}",
    "{{ '{{ 7 * 7 }}' }}",
    "{{ unclosed",
    "%(x)s %s ${HOME} $(id) `id` ; id | id & id",
    "'\"; id; echo \"'",
    "line\nid\r\nid\u2028id",
    "/etc/passwd.sh",
]
FIELDS = {
    "bash": ({"operator": "bash", "bash_command": "true", "env": {"X": "{{ params.x }}"}}, "env", "X"),
    "python": (
        {"operator": "python", "python_callable": "reports.daily.main", "op_kwargs": {"X": "{{ params.x }}"}},
        "op_kwargs",
        "X",
    ),
    "arguments": (
        {"operator": "python", "python_callable": "reports.daily.main", "op_args": ["{{ params.x }}"]},
        "op_args",
        0,
    ),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("where", FIELDS)
@pytest.mark.parametrize("who", ["caller", "spec"])
def test_a_param_reaches_its_task_as_text(world, where, text, who):  # noqa: F811
    """A caller's value or a default is never rendered a second time."""
    task, field, key = FIELDS[where]
    default = (
        text.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\u2028", "\\L")
    )
    dag = task_of(world, task, HEAD + f'params: {{x: "{default if who == "spec" else ""}"}}\n')
    assert rendered(dag, field, conf={"x": text} if who == "caller" else None)[key] == text


@pytest.mark.parametrize("text", [text for text in TEXTS if "\u2028" not in text])
def test_a_param_that_is_handed_over_by_env_is_not_run(world, text):  # noqa: F811
    """As docs/yaml-format.md documents, the shell receives any value in the environment as one word."""
    task = {"operator": "bash", "bash_command": 'printf %s "$X"', "env": {"X": "{{ params.x }}"}}
    dag = task_of(world, task, HEAD + "params: {x: ''}\n")
    command, env = (rendered(dag, field, conf={"x": text}) for field in ("bash_command", "env"))
    done = subprocess.run(["/bin/bash", "-c", command], env=env, capture_output=True, check=True)
    assert done.stdout.decode() == text
