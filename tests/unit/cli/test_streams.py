"""``dli`` with standard streams as shells, pipes and consoles leave them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from ruamel import yaml as ruamel

from tests.unit.cli.test_commands import YAML
from workflow_entrypoints.cli import exit_codes, output
from workflow_entrypoints.cli.output import Format, in_words

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "Zoë Łukasz 🙂"
POSIX = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A service of its own in files, with one workflow whose owner has characters that many encodings lack."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "a.one.yaml").write_text(YAML.replace("daily_clicks", "one"), encoding="utf-8")
    shell(folder, "dli db upgrade && dli workflow register a.one -f a.one.yaml --owner 'Zoë Łukasz 🙂'")
    return folder


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line in a shell, in which ``dli`` is this one; returns its exit code, output and error as bytes."""
    given = {
        "PATH": os.environ["PATH"],
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_DATABASE_URL": f"sqlite:///{folder / 'workflows.db'}",
        "WORKFLOWS_STORAGE_URL": (folder / "store").as_uri(),
        "WORKFLOWS_REGISTER_WAIT": "0",
        "XDG_CONFIG_HOME": str(folder),
        **environment,
    }
    program = f'dli() {{ "{sys.executable}" -m workflow_entrypoints.cli.main "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", program], env=given, cwd=folder, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "cp1252"}, POSIX],
    ids=["ascii", "latin-1", "cp1252", "POSIX"],
)
def test_characters_that_the_encoding_lacks_are_escaped(home, environment):
    """Tables show an escape; JSON and YAML stay what they are, in characters that every encoding has."""
    forms = ("table", "json", "yaml")
    done = shell(home, "; echo @; ".join(f"dli workflow show a.one -o {form}" for form in forms), **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    table, as_json, as_yaml = done.stdout.split(b"@\n")
    assert b"\\u0141ukasz \\U0001f642" in table
    assert json.loads(as_json)["owner"] == OWNER
    assert ruamel.YAML(typ="safe").load(as_yaml)["owner"] == OWNER


@pytest.mark.parametrize("command", ["version", "workflow show a.one -o json"])
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">&-", b"Bad file descriptor"), ("> /dev/full", b"No space left")]
)
def test_standard_output_that_takes_nothing_has_an_exit_code(home, command, redirection, reason):
    """One line says so: it is no fault of ``dli``."""
    done = shell(home, f"dli {command} {redirection}")
    assert done.returncode == exit_codes.OUTPUT_LOST
    assert done.stderr.startswith(b"Error: cannot write to standard output: " + reason)
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("redirection", ["2> /dev/full", "<&- >&- 2>&-"])
def test_what_cannot_be_reported_leaves_the_exit_code(home, redirection):
    """An error without a standard error has the code that it has with one, and harms no file that is opened instead of it."""
    done = shell(home, f"dli workflow show a.none {redirection}")
    assert (done.returncode, done.stdout, done.stderr) == (exit_codes.NOT_FOUND, b"", b"")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("dli workflow validate - <&-", 2),
        ("dli login http://127.0.0.1:1 --token-stdin <&-", 2),
        (r"printf '\xff' | dli login http://127.0.0.1:1 --token-stdin", 2),
        ("dli workflow list <&-", 0),
    ],
)
def test_standard_input_that_gives_nothing_is_wrong_input(home, line, code):
    """Where it is read; commands that do not read it do not mind."""
    done = shell(home, line)
    assert done.returncode == code, done.stderr
    assert b"fault of dli" not in done.stderr
    assert (done.stderr.count(b"\n"), done.stderr[:6]) == ((1, b"Error:") if code else (0, b""))


def test_a_reader_that_leaves_early_is_no_error(home):
    """``| head`` ends the command quietly."""
    done = shell(
        home, "dli workflow list | head -c 1; echo ${PIPESTATUS[0]}; dli workflow list | :; echo ${PIPESTATUS[0]}"
    )
    assert done.stdout == b"N0\n0\n"
    assert done.stderr == b""


TEXTS = [
    "NO",
    "on",
    "y",
    "12:30:45",
    "1_000",
    "0o17",
    "017",
    "0b1",
    "2026-01-02",
    "null",
    "~",
    "=",
    "<<",
    "+1",
    ".5",
    "-",
    "plain",
]


def test_yaml_is_the_same_for_readers_of_yaml_1_1(capsys):
    """Every text is read as that text; nothing is folded."""
    yaml = import_module("yaml")  # PyYAML is a reader of YAML 1.1
    data = {"texts": TEXTS, "keys": dict.fromkeys(TEXTS, "x"), "token": "word " * 60 + "end"}
    output.print_data(data, Format.YAML)
    text = capsys.readouterr().out
    assert yaml.safe_load(text) == data
    assert "end" in next(line for line in text.splitlines() if line.startswith("token: "))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"cron": "0 6 * * *", "timezone": "UTC"}, "0 6 * * * (UTC)"),
        ({"run_id": "r", "status": "SUCCESS", "started_at": "2026-01-01T10:00:00Z"}, "SUCCESS (2026-01-01T10:00:00Z)"),
        ({"total_tasks": 3, "completed_tasks": 1, "failed_tasks": 1, "current_task": "load"}, "1 of 3 tasks, 1 failed, at load"),
        ({"SUCCESS": 6, "FAILED": 1, "PENDING": 0}, "6 SUCCESS, 1 FAILED"),
        ([{"role": "author", "team": None, "names": "a.*"}, {"role": "viewer", "team": None, "names": None}],
         "author (names a.*), viewer"),
        ({"region": "EU", "parts": [1, 2]}, "region=EU, parts=[1, 2]"),
        ({"cron": "0 6 * * *", "timezone": "UTC", "owner": "x"}, "cron=0 6 * * *, timezone=UTC, owner=x"),
        (True, "true"),
        ({}, ""),
    ],
)  # fmt: skip
def test_cells_are_words(value, text):
    """No JSON around what a person reads."""
    assert in_words(value) == text
