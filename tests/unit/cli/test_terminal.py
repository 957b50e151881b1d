"""``dli`` as a person meets it: what the terminal is given, what a wait tells, and input that is wrong in rarer ways."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys

import pytest

from tests.unit.cli.test_commands import DAG, NAME, YAML, World
from workflow_core.service import WorkflowService
from workflow_core.usecases.queries import long_poll
from workflow_entrypoints.cli import main, output, progress, session

ESCAPES = "a\x1b]0;title\x07\x9b31m\u202eb"


@pytest.fixture
def world(monkeypatch, capsys, tmp_path):
    return World(monkeypatch, capsys, tmp_path)


@pytest.fixture
def terminal(monkeypatch):
    """Whoever asks is told that a terminal of 80 columns is there."""
    for module in (output, progress):
        monkeypatch.setattr(module, "on_terminal", lambda **_: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("command", [["list"], ["show", NAME]])
def test_no_stored_text_commands_the_terminal(world, command):
    """What one person wrote is shown escaped in the terminal of another."""
    world.dli("workflow", "register", NAME, "-f", str(world.file), "--owner", ESCAPES, "--description", ESCAPES)
    out, _ = world.dli("workflow", *command)
    assert "a\\x1b]0;title\\x07\\x9b31m\\u202eb" in out
    assert not set(ESCAPES) & set(out) - {*"a]0;title31mb"}


def test_no_error_commands_the_terminal(world):
    """Nor by what the error repeats of a file."""
    world.file.write_text(YAML.replace("operator: bash", r'"\e[31m": 1, operator: bash, "\e[32m": 2'))
    _, err = world.dli("workflow", "register", NAME, "-f", str(world.file), expect=2)
    _, findings = world.dli("workflow", "validate", str(world.file), expect=1)
    assert "\\x1b[31m" in err
    assert "\\x1b[32m" in findings
    assert "\x1b" not in err + findings


def test_markup_and_emoji_codes_are_text(world):
    """Square brackets and colons of a description stay what they are."""
    world.dli("workflow", "register", NAME, "-f", str(world.file), "--description", "[red]x[/] :warning: [/nothing]")
    out, _ = world.dli("workflow", "show", NAME)
    assert "[red]x[/] :warning: [/nothing]" in out


def test_show_prints_the_yaml_as_it_is_stored(world):
    """Fields first, then the YAML as a text that can be edited, not as one line of JSON."""
    world.register()
    out, _ = world.dli("workflow", "show", NAME)
    stored = world.json("workflow", "show", NAME)["yaml_content"]
    assert out.endswith(f"\n\n{stored}")
    assert '"tasks"' not in out


def test_a_narrow_terminal_leaves_out_columns_and_cuts_no_value(world, terminal):
    """Names, states and run ids can be copied; what had no room is named."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    listed, err = world.dli("workflow", "list")
    assert listed.splitlines()[1].split()[:2] == [NAME, "active"]
    assert "too narrow for SOURCE" in err
    told, _ = world.dli("workflow", "history")
    assert told.splitlines()[1].split()[:2] == [run_id, "PENDING"]
    assert all(len(line) <= 80 for line in (listed + told).splitlines())
    assert "…" not in listed + told


def test_a_pipe_gets_every_column_and_no_padding(world):
    """Nothing is left out, and no line ends in blanks."""
    world.register()
    out, err = world.dli("workflow", "list")
    assert out.splitlines()[0].split("  ")[-1] == "NEXT RUN"
    assert "narrow" not in err
    assert all(line == line.rstrip() for line in out.splitlines())


def test_a_bar_follows_a_run_in_a_terminal(world, terminal, monkeypatch):
    """The run id comes first, so that it is known while the wait lasts; the bar ends full."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    world.register()
    _, err = world.dli("workflow", "run", NAME, "--wait")
    assert err.splitlines()[0].strip() == f"{NAME}_20260101_100000"
    drawn = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", err)
    assert drawn.count("\n") > 1
    assert re.search(r"SUCCESS ━+ 1/1 tasks", drawn.rpartition("\r")[2])


def test_a_log_that_shows_colours_is_not_animated(world, monkeypatch):
    """FORCE_COLOR in CI gives lines in colour, never a bar that is drawn over and over."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    world.register()
    _, err = world.dli("workflow", "run", NAME, "--wait")
    assert "SUCCESS (1/1)" in err
    assert "\x1b[?25l" not in err


def test_a_wait_that_ends_early_tells_how_to_go_on(world, monkeypatch):
    """By its time limit and by Ctrl-C alike: the run goes on, and how to follow it again is told."""
    world.register()
    _, err = world.dli("workflow", "run", NAME, "--wait", "--timeout", "0", expect=7)
    hint = f"dli workflow status {NAME}_20260101_100000 --follow"
    assert hint in err

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(long_poll, "wait_for_change", interrupt)
    _, err = world.dli("workflow", "status", f"{NAME}_20260101_100000", "--follow", expect=130)
    assert hint in err


def test_run_and_wait_opens_one_service(world, monkeypatch):
    """Waiting asks the service that accepted the run."""
    world.register()
    given = session.get_service()
    services = iter([given])
    monkeypatch.setattr(session, "get_service", lambda: next(services))
    world.dli("workflow", "run", NAME, "--wait")


def test_a_run_that_airflow_refuses_is_no_success(world, monkeypatch):
    """Without --wait, too: it has ended already."""
    world.register()

    def refuse(*_arguments, **_options):
        raise errors.AirflowRefused("no")

    from workflow_core import errors

    monkeypatch.setattr(world.airflow, "trigger", refuse)
    answer = world.json("workflow", "run", NAME, expect=1)
    assert (answer["status"], answer["reason"]) == ("FAILED", "no")


def test_a_warning_is_told_once(capsys):
    """Whoever waits meets the same outage at every look."""
    log = logging.Logger("one")  # noqa: LOG001 - apart from the loggers of the process
    log.addHandler(session.PrintedOnce(logging.WARNING))
    for text in ("down", "down", "up", "down"):
        log.warning("Airflow is %s", text)
    log.info("nobody waits for this")
    assert capsys.readouterr().err == "Warning: Airflow is down\nWarning: Airflow is up\n"


def test_a_reader_that_has_had_enough_is_no_error(tmp_path):
    """``dli … | head -1`` with ``set -o pipefail``: no message, and the exit code is 0."""
    reading, writing = os.pipe()
    os.close(reading)
    dli = [sys.executable, "-m", "workflow_entrypoints.cli.main", "config", "show"]
    with os.fdopen(writing, "w") as nobody:
        done = subprocess.run(dli, stdout=nobody, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["workflow", "run", NAME, "-p", "x=" + "[" * 100_000], "--param: is nested too deep"),
        (["workflow", "run", NAME, "--params", "[" * 100_000], "--params: is nested too deep"),
        (["workflow", "run", NAME, "--timeout", "5"], "--timeout: needs --wait"),
        (["workflow", "run", NAME, "--wait", "--timeout", "-1"], "--timeout"),
        (["workflow", "status", f"{NAME}_20260101_000000", "--timeout", "5"], "--timeout: needs --follow"),
        (["airflow", "install", "--dags-folder", ".", "--loaders", "0"], "--loaders"),
        (["serve", "--port", "70000"], "--port"),
    ],
)
def test_rarer_wrong_input_is_a_line_too(world, arguments, told):
    """Exit code 2 and the option's name, before anything is started."""
    out, err = world.dli(*arguments, expect=2)
    assert out == ""
    assert told in err


@pytest.mark.parametrize("value", ["{", "[1]", "[" * 100_000], ids=["broken", "list", "deep"])
def test_a_wrong_default_task_is_named(world, monkeypatch, tmp_path, value):
    """A setting that cannot be used is the caller's to mend, not a fault of dli."""
    monkeypatch.setenv("WORKFLOWS_DEFAULT_TASK", value)
    _, err = world.dli("airflow", "install", "--dags-folder", str(tmp_path), "--storage-url", "file:///x", expect=2)
    assert "WORKFLOWS_DEFAULT_TASK" in err
    assert not list(tmp_path.glob("workflow_core_loader*"))


def test_validate_tells_where_a_file_is_no_text(world):
    """Line and column of the first byte that is not UTF-8, in characters."""
    bad = world.file.with_name("bad.yaml")
    bad.write_bytes("version: v1\nname: ä".encode() + b"\xff\n")
    _, err = world.dli("workflow", "validate", str(bad), expect=1)
    assert err.startswith(f"{bad}:2:8: not UTF-8")


def test_validate_goes_on_after_a_file_that_is_not_there(world):
    """That is wrong usage (2), which outweighs findings (1); the other files are checked all the same."""
    gone, bad = world.file.with_name("gone.yaml"), world.file.with_name("bad.yaml")
    bad.write_text("version: v9\n")
    out, err = world.dli("workflow", "validate", str(gone), str(bad), str(world.file), expect=2)
    assert f"Error: FILE: cannot read {gone}" in err
    assert f"{bad}:1:10: version: " in err
    assert out == f"{world.file}: ok, 1 task\n"


def test_version_is_a_command_too(world):
    """``dli version`` says what ``dli --version`` does."""
    assert world.dli("version") == world.dli("--version")


def test_an_unexpected_error_is_one_line(world, monkeypatch):
    """Whatever its own text is."""

    def fail(*_):
        raise RuntimeError("one\ntwo\n")

    monkeypatch.setattr(WorkflowService, "workflow", fail)
    _, err = world.dli("workflow", "show", NAME, expect=70)
    assert err.startswith("Error: unexpected RuntimeError: one two. ")
    assert err.count("\n") == 1


def test_following_while_airflow_is_away_goes_on(world, monkeypatch):
    """The lines say that Airflow does not answer, and the run is followed to its end once it does."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    looks = []

    def wait(_run_id, _known, seconds, _context):
        looks.append(seconds)
        if len(looks) == 1:
            world.airflow.go_down()
        if len(looks) == 4:
            world.airflow.come_back()
        world.clock.sleep(0.5)

    monkeypatch.setattr(long_poll, "wait_for_change", wait)
    out, err = world.dli("workflow", "status", run_id, "--follow", "-o", "json")
    assert json.loads(out)["status"] == "SUCCESS"
    assert err.count("(Airflow does not answer)") == 1


def test_following_a_run_of_a_paused_workflow_says_why_it_waits(world, monkeypatch):
    """The lines say that the DAG is paused and how to go on, and the run is followed to its end once it is unpaused."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    looks = []

    def wait(_run_id, _known, seconds, _context):
        looks.append(seconds)
        if len(looks) == 1:
            world.service.pause(NAME)
        if len(looks) == 4:
            world.service.unpause(NAME)
        world.clock.sleep(0.5)

    monkeypatch.setattr(long_poll, "wait_for_change", wait)
    out, err = world.dli("workflow", "status", run_id, "--follow", "-o", "json")
    assert json.loads(out)["status"] == "SUCCESS"
    held = f"(The DAG is paused in Airflow: it stays queued until `dli workflow unpause {NAME}`.)"
    assert err.count(held) == 1


def test_help_is_there_for_every_command(world, monkeypatch):
    """``-h`` works at every level and ends well."""
    for command in ([], ["workflow"], ["workflow", "run"], ["airflow", "install"], ["serve"], ["config", "show"]):
        out, _ = world.dli(*command, "-h")
        assert out.startswith("Usage: dli")
    monkeypatch.setattr(sys, "argv", ["dli"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2


def test_the_end_state_of_a_failed_run_is_told(world):
    """In lines, too: the task that failed is counted as done."""
    world.register()
    world.airflow.end_task(DAG, "extract", "failed")
    _, err = world.dli("workflow", "run", NAME, "--wait", expect=1)
    assert err.rstrip().endswith("FAILED (1/1)")
