"""``dli`` over the fakes: tables and JSON, exit codes, wrong input in a line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workflow_adapters.sql import HEAD
from workflow_core import errors
from workflow_core.domain.caller import Caller
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.service import WorkflowService
from workflow_entrypoints.cli import exit_codes, main, progress, session

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "iceberg.analytics.daily_clicks"
DAG = "iceberg_analytics_daily_clicks"
YAML = """\
version: v1
name: daily_clicks
owner: data@example.com
schedule: {cron: "0 6 * * *"}
params: {region: US}
tasks: [{task_id: extract, operator: bash, bash_command: echo hello}]
"""


class World:
    """The CLI in this process, over fakes whose clock runs whenever somebody looks away."""

    def __init__(self, monkeypatch, capsys, tmp_path) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.clock = ManualClock(datetime(2026, 1, 1, 10, tzinfo=UTC))
        self.storage = InMemoryStorage()
        self.airflow = InMemoryAirflow(storage=self.storage, clock=self.clock)
        self.service = WorkflowService(
            database=InMemoryDatabase(), airflow=self.airflow, storage=self.storage, clock=self.clock
        )
        self.file = tmp_path / "workflow.yaml"
        self.file.write_text(YAML)
        monkeypatch.setattr(session, "get_service", lambda: (self.service, Caller(name="me@example.com")))
        monkeypatch.setattr(progress, "sleep", self.clock.sleep)
        for variable in ("DLI_DEBUG", "DLI_SERVER_URL"):
            monkeypatch.setenv(variable, "")  # so that what options set is undone, too

    def dli(self, *arguments: str, expect: int = 0):
        """Run one command; its standard output and error."""
        self._monkeypatch.setattr(sys, "argv", ["dli", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = self._capsys.readouterr()
        assert (ended.value.code or 0) == expect, f"{out}{err}"
        assert "Traceback" not in err
        return out, err

    def json(self, *arguments: str, expect: int = 0):
        out, _ = self.dli(*arguments, "--output", "json", expect=expect)
        return json.loads(out)

    def register(self):
        return self.json("workflow", "register", NAME, "-f", str(self.file))


@pytest.fixture
def world(monkeypatch, capsys, tmp_path):
    return World(monkeypatch, capsys, tmp_path)


def test_register_prints_the_answer_of_the_api(world):
    """The JSON has the fields of section 3.8."""
    assert world.register() == {
        "dataset_name": NAME,
        "status": "active",
        "source_type": "MANUAL",
        "s3_path": f"memory://workflows/manual/{NAME}.yaml",
        "airflow_dag_id": DAG,
        "registered_by": "me@example.com",
        "registered_at": "2026-01-01T10:00:00Z",
    }


def test_options_win_over_the_file(world):
    """Schedule, owner, team and description of the command line are what is registered."""
    options = [
        "--cron",
        "0 8 * * *",
        "--timezone",
        "America/New_York",
        "--owner",
        "x@y",
        "--team",
        "@t",
        "--description",
        "d",
    ]
    world.dli("workflow", "register", NAME, "-f", str(world.file), *options)
    shown = world.json("workflow", "show", NAME)
    assert shown["schedule"] == {"cron": "0 8 * * *", "timezone": "America/New_York"}
    assert (shown["owner"], shown["team"], shown["description"]) == ("x@y", "@t", "d")


def test_the_yaml_may_come_from_standard_input(world, monkeypatch):
    """``-f -``."""
    with world.file.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        world.dli("workflow", "register", NAME, "--file", "-")
    assert world.json("workflow", "show", NAME)["dataset_name"] == NAME


@pytest.mark.parametrize(
    ("options", "schedule"),
    [
        (["--timezone", "Asia/Seoul"], {"cron": "0 6 * * *", "timezone": "Asia/Seoul"}),
        (["--cron", "0 8 * * *"], {"cron": "0 8 * * *", "timezone": "Europe/Rome"}),
        ([], {"cron": "0 6 * * *", "timezone": "Europe/Rome"}),
    ],
)
def test_one_option_of_the_schedule_leaves_the_other_as_it_is_in_the_yaml(world, options, schedule):
    """``--timezone`` alone changes the time zone, ``--cron`` alone the expression."""
    world.file.write_text(YAML.replace('"0 6 * * *"}', '"0 6 * * *", timezone: Europe/Rome}'))
    world.dli("workflow", "register", NAME, "-f", str(world.file), *options)
    assert world.json("workflow", "show", NAME)["schedule"] == schedule


def test_the_yaml_may_be_an_argument(world):
    """``--yaml-content``, as section 2 of the specification has it, with its ``--source-type``."""
    answer = world.json("workflow", "register", NAME, "--yaml-content", YAML, "--source-type", "manual")
    assert (answer["dataset_name"], answer["source_type"]) == (NAME, "MANUAL")


def test_code_is_not_registered(world):
    """The service refuses it, and the exit code says so."""
    arguments = ("workflow", "register", NAME, "-f", str(world.file), "--source-type", "CODE")
    _, err = world.dli(*arguments, expect=exit_codes.NOT_PERMITTED)
    assert "CI pipeline" in err


def test_history_takes_its_name_as_an_option(world):
    """``--dataset-name``, as section 2 of the specification has it; NAME stays, and both may say the same."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    for arguments in ((NAME,), ("--dataset-name", NAME), (NAME, "--dataset-name", NAME)):
        assert [run["run_id"] for run in world.json("workflow", "history", *arguments)] == [run_id]
    world.dli("workflow", "history", "--dataset-name", "a.b", expect=3)


def test_run_takes_params_as_pairs_and_as_json(world):
    """Pairs win; values that are JSON are JSON, everything else is text."""
    world.register()
    run = world.json(
        "workflow", "run", NAME, "--params", '{"region": "EU"}', "-p", "date=2026-01-02", "-p", "region=APAC"
    )
    assert run["params"] == {"region": "APAC", "date": "2026-01-02"}
    assert (run["status"], run["triggered_by"]) == ("PENDING", "me@example.com")


def test_run_and_wait_follows_to_success(world):
    """Each change is a line on standard error; the last look is the answer."""
    world.register()
    out, err = world.dli("workflow", "run", NAME, "--wait", "--output", "json")
    assert json.loads(out)["status"] == "SUCCESS"
    assert "PENDING (0/1)" in err
    assert "RUNNING extract (0/1)" in err
    assert err.rstrip().endswith("SUCCESS (1/1)")


def test_a_failed_run_has_an_exit_code(world):
    """Scripts can tell."""
    world.register()
    world.airflow.end_task(DAG, "extract", "failed")
    assert world.json("workflow", "run", NAME, "--wait", expect=1)["status"] == "FAILED"


def test_a_wait_that_is_over_has_another(world):
    """The run goes on."""
    world.register()
    assert world.json("workflow", "run", NAME, "--wait", "--timeout", "0", expect=7)["status"] == "PENDING"


def test_status_shows_and_follows(world):
    """One look, and a look to the end."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    assert world.json("workflow", "status", run_id)["progress"]["total_tasks"] == 1
    assert world.json("workflow", "status", run_id, "--follow")["status"] == "SUCCESS"


def test_a_run_that_waits_for_its_dag_is_sent_while_it_is_followed(world):
    """Without a server nobody else would send it."""
    from workflow_core.fakes.airflow import Effect

    world.register()
    world.airflow.lose_answers(Effect.NOT_DONE)
    assert world.json("workflow", "run", NAME, "--wait")["status"] == "SUCCESS"


@pytest.mark.parametrize("command", [["list"], ["history"]])
def test_lists_know_what_airflow_started_meanwhile(world, command):
    """Without a server nobody else follows it: each list looks first."""
    from workflow_core.domain.run import RunType

    world.register()
    world.airflow.add_run(DAG, "scheduled__x", run_type=RunType.SCHEDULED, triggered_by="scheduler")
    (row,) = world.json("workflow", *command)
    assert row.get("last_run", row)["run_id"] == f"{NAME}_20260101_100000"


def test_status_sends_a_run_that_waits(world):
    """Without a server nobody else does."""
    from workflow_core.fakes.airflow import Effect

    world.register()
    world.airflow.lose_answers(Effect.NOT_DONE)
    run_id = world.json("workflow", "run", NAME)["run_id"]
    world.clock.sleep(21)  # until then somebody else may still be sending it
    world.json("workflow", "status", run_id)
    assert world.airflow.run(DAG, run_id) is not None


def test_tables_are_for_people(world):
    """List and history have headings, and a pipe gets no colour codes and no folded lines."""
    world.register()
    world.dli("workflow", "run", NAME)
    listed, _ = world.dli("workflow", "list")
    assert listed.splitlines()[0].split()[:3] == ["NAME", "STATUS", "SOURCE"]
    assert NAME in listed.splitlines()[1]
    assert "\x1b" not in listed
    told, _ = world.dli("workflow", "history", NAME)
    assert "manual" in told.splitlines()[1]


def test_show_prints_the_yaml_as_it_is(world):
    """A field a line, no line padded, and the stored text at the end."""
    world.register()
    out, _ = world.dli("workflow", "show", NAME)
    assert "phase            served\n" in out
    assert out.rstrip().endswith("bash_command: echo hello}]")
    assert [line for line in out.splitlines() if line != line.rstrip()] == []


def test_yaml_output_reads_back(world):
    """``--output yaml`` says the same as JSON."""
    from ruamel import yaml

    world.register()
    out, _ = world.dli("workflow", "list", "-o", "yaml")
    assert yaml.YAML(typ="safe").load(out) == world.json("workflow", "list")


def test_list_filters_and_pages(world):
    """Filters in any case, and a hint that there is more."""
    world.register()
    assert world.json("workflow", "list", "--status", "ACTIVE", "--source-type", "manual")[0]["dataset_name"] == NAME
    assert world.json("workflow", "list", "--owner", "nobody") == []
    assert world.json("workflow", "list", "--status", "paused") == []
    world.dli("workflow", "run", NAME)
    world.clock.sleep(5)
    world.dli("workflow", "run", NAME)
    _, err = world.dli("workflow", "history", "--limit", "1")
    assert "1 of 2" in err


def test_pause_and_unpause(world):
    """The reason is shown."""
    world.register()
    assert world.json("workflow", "pause", NAME, "--reason", "tea")["reason"] == "tea"
    world.dli("workflow", "run", NAME, expect=4)
    assert world.json("workflow", "unpause", NAME)["status"] == "active"


def test_stop_answers_at_once(world):
    """The JSON has the fields of section 3.3."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    world.clock.sleep(1)
    assert world.json("workflow", "stop", run_id, "--reason", "tea") == {
        "run_id": run_id,
        "status": "STOPPING",
        "stopped_by": "me@example.com",
        "stopped_at": "2026-01-01T10:00:01Z",
        "reason": "tea",
    }


def test_stop_and_wait_follows_to_the_end(world):
    """STOPPED is what was wanted: the exit code is 0."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    world.clock.sleep(1)
    stopped = world.json("workflow", "stop", run_id, "--wait")
    assert (stopped["status"], stopped["stopped_by"]) == ("STOPPED", "me@example.com")
    assert world.json("workflow", "stop", run_id, "--wait")["status"] == "STOPPED"


def test_a_wait_for_a_stop_that_is_over_has_its_code(world):
    """The process of a task may live on for some seconds."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    world.clock.sleep(1)
    assert world.json("workflow", "stop", run_id, "--wait", "--timeout", "0", expect=7)["status"] == "STOPPING"


def test_retry(world):
    """What failed by default, and --all; --wait follows to the end, whose code it has."""
    world.register()
    dag_id = NAME.replace(".", "_")
    task = world.json("workflow", "show", NAME)["spec"]["tasks"][0]["task_id"]
    world.airflow.end_task(dag_id, task, "failed")
    run_id = world.json("workflow", "run", NAME, "--wait", expect=1)["run_id"]
    assert world.json("workflow", "retry", run_id, "--wait", expect=1)["retries"] == 1
    world.airflow.end_task(dag_id, task, "success")
    assert world.json("workflow", "retry", run_id)["status"] == "PENDING"
    assert world.json("workflow", "status", run_id, "--follow")["status"] == "SUCCESS"
    _, err = world.dli("workflow", "retry", run_id, expect=4)
    assert "none of its tasks has failed" in err
    assert world.json("workflow", "retry", run_id, "--all", "--wait")["status"] == "SUCCESS"
    world.dli("workflow", "retry", run_id, "--timeout", "1", expect=2)


def test_explain(world):
    """Of a workflow and of a run, in words; what is neither has the code of what is not found."""
    world.register()
    run_id = world.json("workflow", "run", NAME)["run_id"]
    out, _ = world.dli("workflow", "explain", NAME)
    assert "Nothing prevents it from running. It fires next at" in out
    world.dli("workflow", "pause", NAME, "--reason", "tea")
    assert "paused it: tea." in world.dli("workflow", "explain", NAME)[0]
    explained = world.json("workflow", "explain", run_id)
    codes = [reason["code"] for reason in explained["reasons"]]
    assert (explained["subject"], codes) == (run_id, ["paused", "held"])
    world.dli("workflow", "explain", "no.such_20260101_000000", expect=3)


def test_show_prints_what_is_not_as_it_is_wanted(world):
    """A line each, with since when."""
    world.register()
    world.clock.sleep(60)
    world.airflow.set_paused(NAME.replace(".", "_"), paused=True)
    out, _ = world.dli("workflow", "show", NAME)
    assert "Its DAG was paused in Airflow" in out
    assert "[paused_in_airflow since 2026-01-01T10:01:00Z]" in out


def test_what_has_ended_is_not_stopped(world):
    """A line, and the code of a conflict."""
    world.register()
    run_id = world.json("workflow", "run", NAME, "--wait")["run_id"]
    _, err = world.dli("workflow", "stop", run_id, expect=4)
    assert "has ended: SUCCESS" in err


def test_unregister(world):
    """The JSON has the fields of section 3.9; with a run in it by force only."""
    world.register()
    world.dli("workflow", "run", NAME)
    _, err = world.dli("workflow", "unregister", NAME, expect=4)
    assert "use --force" in err
    assert world.json("workflow", "unregister", NAME, "--force") == {
        "dataset_name": NAME,
        "status": "unregistered",
        "s3_path_deleted": f"memory://workflows/manual/{NAME}.yaml",
        "airflow_dag_disabled": True,
        "unregistered_by": "me@example.com",
    }
    world.dli("workflow", "show", NAME, expect=3)
    assert len(world.json("workflow", "history", NAME)) == 1


def test_warnings_go_to_standard_error(world):
    """A registration that is not served yet worked, and says so."""
    world.file.write_text("version: v1\nname: daily_clicks\nowner: x\nschedule: {cron: '0 6 * * *'}\n")
    _, err = world.dli("workflow", "register", NAME, "-f", str(world.file))
    assert err.startswith("Warning: The spec has no tasks")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["workflow", "show", NAME], 3, "WORKFLOW_NOT_FOUND"),
        (["workflow", "status", f"{NAME}_20260101_000000"], 3, "WORKFLOW_RUN_NOT_FOUND"),
        (["workflow", "show", "a/b"], 2, "NAME: "),
        (["workflow", "status", "a b"], 2, "RUN_ID: "),
        (["workflow", "register", NAME, "-f", "/nowhere.yaml"], 2, "cannot read /nowhere.yaml"),
        (["workflow", "register", NAME, "-f", "FILE", "--cron", "61 * * * *"], 2, "INVALID_CRON_EXPRESSION"),
        (["workflow", "register", NAME, "--timezone", "UTC", "--yaml-content", "version: v1"], 2, "--cron"),
        (["workflow", "register", NAME], 2, "--yaml-content"),
        (["workflow", "register", NAME, "-f", "FILE", "--yaml-content", "version: v1"], 2, "--file"),
        (["workflow", "register", NAME, "-f", "FILE", "--source-type", "OTHER"], 2, "'manual', 'code'"),
        (["workflow", "history", NAME, "--dataset-name", "a.b"], 2, "--dataset-name"),
        (["workflow", "register", "one", "-f", "FILE"], 2, "NAME: "),
        (["workflow", "register", NAME, "-f", "FILE", "--source-types", "CODE"], 2, "No such option"),
        (["workflow", "run", NAME, "-p", "date"], 2, "KEY=VALUE"),
        (["workflow", "run", NAME, "--params", "[1]"], 2, "JSON object"),
        (["workflow", "run", NAME, "--params", "{"], 2, "is not JSON"),
        (["workflow", "list", "--limit", "0"], 2, "--limit: "),
        (["workflow", "list", "--limit", "501"], 2, "--limit: "),
        (["workflow", "list", "--limit", "abc"], 2, "--limit"),
        (["workflow", "list", "--status", "gone"], 2, "--status"),
        (["workflow", "history", "--start-date", "2026-02-30"], 2, "--start-date"),
        (
            ["workflow", "history", "--start-date", "2026-01-02", "--end-date", "2026-01-01"],
            2,
            "--end-date: 2026-01-01 lies before the --start-date",
        ),
        (["workflow", "nonsense"], 2, "No such command"),
    ],
)
def test_wrong_input_is_a_line_and_a_code(world, arguments, code, told):
    """Standard output stays empty, standard error names what is wrong, and nothing is registered."""
    out, err = world.dli(*[str(world.file) if part == "FILE" else part for part in arguments], expect=code)
    assert out == ""
    assert told in err
    assert world.service.workflows().total == 0


def test_an_error_as_json_names_each_finding(world):
    """Programs get code, detail and every finding with its place."""
    world.file.write_text(YAML.replace("operator: bash", "operator: os.system").replace("0 6", "61 6"))
    _, err = world.dli("workflow", "register", NAME, "-f", str(world.file), "-o", "json", expect=2)
    body = json.loads(err)
    assert body["code"] == "INVALID_WORKFLOW_SPEC"
    assert [found["field"] for found in body["errors"]] == ["schedule.cron", "tasks[0].operator"]
    assert body["errors"][0]["line"] == 4


def test_airflow_down_has_its_exit_code(world):
    """Six, and the code of the specification."""
    world.airflow.go_down()
    _, err = world.dli("workflow", "register", NAME, "-f", str(world.file), expect=6)
    assert "AIRFLOW_CONNECTION_FAILED" in err


def test_validate_needs_no_service_and_tells_places(world, monkeypatch):
    """file:line:column for each finding; good files are told, too."""
    monkeypatch.setattr(session, "get_service", None)
    bad = world.file.with_name("bad.yaml")
    bad.write_text(YAML.replace("echo hello", "echo, x: [").replace("version: v1", "version: v2"))
    worse = world.file.with_name("worse.yaml")
    worse.write_text(YAML.replace("0 6", "61 6").replace("operator: bash", "operator: bahs"))
    out, err = world.dli("workflow", "validate", str(world.file), str(bad), str(worse), expect=1)
    assert out == f"{world.file}: ok, 1 task\n"
    lines = err.splitlines()
    assert lines[0].startswith(f"{bad}:6:")
    assert lines[1].startswith(f"{worse}:4:18: schedule.cron: ")
    assert lines[2].startswith(f"{worse}:6:38: tasks[0].operator: ")


def test_validate_for_a_name(world):
    """The spec must be for the name that it will be registered under."""
    world.dli("workflow", "validate", str(world.file), "--name", NAME)
    _, err = world.dli("workflow", "validate", str(world.file), "--name", "a.other", expect=1)
    assert "a.other" in err


def test_config_show_hides_secrets(world, monkeypatch):
    """Values and sources of all settings; no password anywhere."""
    monkeypatch.setenv("AIRFLOW_PASSWORD", "hunter2")
    monkeypatch.setenv("WORKFLOWS_DATABASE_URL", "postgresql://me:hunter2@db/x")
    out, err = world.dli("config", "show")
    assert "hunter2" not in out + err
    shown = {row["name"]: row for row in world.json("config", "show")}
    assert shown["AIRFLOW_PASSWORD"] == {"name": "AIRFLOW_PASSWORD", "value": "****", "source": "environment"}
    assert shown["WORKFLOWS_DATABASE_URL"]["value"] == "postgresql://me:****@db/x"
    assert shown["WORKFLOWS_PORT"]["source"] == "default"


def test_the_schema_is_checked_upgraded_and_told(world, monkeypatch, tmp_path):
    """A database without a schema is refused with what to run, and fits afterwards."""
    monkeypatch.setenv("WORKFLOWS_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert "dli db upgrade" in world.dli("db", "check", expect=exit_codes.UNAVAILABLE)[1]
    assert "revision none; this version makes" in world.dli("db", "current")[0]
    world.dli("db", "upgrade")
    assert world.dli("db", "check")[0] == "The database can be used\n"
    assert f"revision {HEAD}; this version makes {HEAD}" in world.dli("db", "current")[0]


def test_airflow_install_writes_the_files(world, tmp_path):
    """And says where; a folder that does not exist is refused."""
    out, _ = world.dli(
        "airflow", "install", "--dags-folder", str(tmp_path), "--loaders", "2", "--storage-url", "file:///x"
    )
    assert "3 files" in out
    world.dli("airflow", "install", "--dags-folder", str(tmp_path / "no"), expect=2)


def test_an_unexpected_error_is_a_line(world, monkeypatch):
    """No traceback unless it is asked for."""
    monkeypatch.setattr(WorkflowService, "workflow", lambda *_: 1 / 0)
    _, err = world.dli("workflow", "show", NAME, expect=70)
    assert err.startswith("Error: unexpected ZeroDivisionError")
    monkeypatch.setattr(sys, "argv", ["dli", "--debug", "workflow", "show", NAME])
    with pytest.raises(ZeroDivisionError):
        main.main()


def test_a_package_that_is_missing_is_named(world, monkeypatch):
    """In Airflow's environment, say: the message says what to install."""

    def missing(*_):
        raise ModuleNotFoundError("No module named 'litestar'", name="litestar")

    monkeypatch.setattr(WorkflowService, "workflow", missing)
    _, err = world.dli("workflow", "show", NAME, expect=2)
    assert "needs the package litestar" in err
    assert "set DLI_SERVER_URL or give --server URL" in err
    assert "pip install '.[server]'" in err


def test_an_interrupt_has_its_exit_code(world, monkeypatch):
    """130, as shells have it."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(WorkflowService, "workflow", interrupt)
    world.dli("workflow", "show", NAME, expect=130)


def _all_errors(kind: type[errors.WorkflowError] = errors.WorkflowError) -> Iterator[type[errors.WorkflowError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _all_errors(child)


@pytest.mark.parametrize("kind", list(_all_errors()), ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_of_its_own_kind(kind):
    """None of ours ends as an internal error, and every code is in the documented table."""
    code = exit_codes.exit_code_of(kind.__new__(kind))
    assert code in range(2, 7)
    assert f"| {code} |" in exit_codes.__doc__


def test_help_imports_no_heavy_package():
    """The start is fast because nothing is imported that the command does not need."""
    code = (
        "import sys\nsys.argv = ['dli', '--help']\n"
        "from workflow_entrypoints.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {
        "sqlalchemy",
        "litestar",
        "boto3",
        "httpx",
        "dependency_injector",
        "pydantic",
        "rich",
        "uvicorn",
        "croniter",
    }
    assert loaded & heavy == set()


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"]])
def test_the_servers_end_cleanly_when_they_are_told_to(command, tmp_path):
    """SIGTERM ends `dli serve` and `dli worker` with exit code 0 and without an error in the log."""
    environment = {
        "WORKFLOWS_DATABASE_URL": "memory://", "WORKFLOWS_STORAGE_URL": "memory://", "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_SWEEP_INTERVAL": "0.05", "WORKFLOWS_LOG_LEVEL": "DEBUG", "WORKFLOWS_DRAIN": "0",
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workflow_entrypoints.cli.main", *command],
            env=environment,
            stdout=output,
            stderr=output,
        )
        deadline = time.monotonic() + 30
        while "weep" not in log.read_text() and "Serving at" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    assert "ERROR" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_shell_can_complete_commands_and_options():
    """What `dli --install-completion` sets up asks like this."""
    dli = Path(sys.executable).parent / "dli"
    for words, expected in (
        ("dli workflow hi", "history"),
        ("dli --ser", "--server"),
        ("dli workflow run --wa", "--wait"),
    ):
        asked = {"_DLI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run([dli], check=True, capture_output=True, text=True, env=asked)
        assert done.stdout.split() == [expected]


def test_version_is_the_distributions():
    """``dli --version``."""
    from importlib.metadata import version

    dli = Path(sys.executable).parent / "dli"
    done = subprocess.run([dli, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"dli {version('dli-workflow')}\n"


BACKFILL = f"{NAME}_backfill_20251229_20251231"
DATES = ("--start-date", "2025-12-29", "--end-date", "2025-12-31")


def test_backfill_prints_the_answer_of_the_api(world):
    """The JSON has the fields of section 3.2; a hint says how to follow."""
    world.register()
    out, err = world.dli("workflow", "backfill", NAME, *DATES, "-p", "region=EU", "-o", "json")
    assert json.loads(out) == {
        "backfill_id": BACKFILL,
        "dataset_name": NAME,
        "start_date": "2025-12-29",
        "end_date": "2025-12-31",
        "run_ids": [f"{BACKFILL}_202512{day}" for day in (29, 30, 31)],
        "status": "PENDING",
        "total_runs": 3,
    }
    assert f"dli backfill status {BACKFILL} --follow" in err


def test_backfill_and_wait_drives_it_to_its_end(world):
    """Without a server: one line a change, each date done, exit code 0."""
    world.register()
    out, err = world.dli("workflow", "backfill", NAME, *DATES, "--wait", "-o", "json")
    done = json.loads(out)
    assert (done["status"], done["percent"], done["counts"]["SUCCESS"]) == ("SUCCESS", 100, 3)
    assert "RUNNING 2025-12-30" in err
    assert f"{BACKFILL}: SUCCESS (3/3)" in err


@pytest.fixture
def stopped(world):
    """A registered workflow, the first of whose :data:`DATES` a run has that was stopped: the id of that run."""
    world.register()
    run_id = world.json("workflow", "run", NAME, "-p", "date=2025-12-29")["run_id"]
    world.dli("workflow", "stop", run_id, "--wait")
    return run_id


def test_a_backfill_over_a_skipped_date_that_did_not_succeed_is_no_success(world, stopped):
    """Exit code 1; the skipped date is in the table with its status, and a warning says how to run it again."""
    out, err = world.dli("workflow", "backfill", NAME, *DATES, "--wait", expect=exit_codes.NOT_SUCCESSFUL)
    assert "2 of 3 dates will run: 1 did not succeed (1 STOPPED); use --reprocess failed" in err
    assert f"dli workflow backfill {NAME} --start-date 2025-12-29 --end-date 2025-12-31 --reprocess failed" in err
    assert out.splitlines()[-1].split() == ["2025-12-29", "STOPPED", stopped]
    out, _ = world.dli("backfill", "status", BACKFILL)
    assert out.splitlines()[-1].split() == ["2025-12-29", "STOPPED", stopped]
    found = world.json("backfill", "status", BACKFILL, "--follow", expect=exit_codes.NOT_SUCCESSFUL)
    assert (found["status"], found["skipped_counts"]) == ("FAILED", {"STOPPED": 1})
    world.json("workflow", "backfill", NAME, *DATES, "--reprocess", "failed", "--wait")


@pytest.mark.parametrize("wait", [[], ["--wait"]])
@pytest.mark.usefixtures("stopped")
def test_a_backfill_that_does_nothing_says_so(world, wait):
    """With or without waiting: no success unless the dates have succeeded; a dry run warns, and ends with 0."""
    dates = ("--start-date", "2025-12-29", "--end-date", "2025-12-29")
    told = "0 of 1 dates will run: 1 did not succeed (1 STOPPED); use --reprocess failed"
    _, err = world.dli("workflow", "backfill", NAME, *dates, "--dry-run", *wait)
    assert told in err
    _, err = world.dli("workflow", "backfill", NAME, *dates, *wait, expect=exit_codes.NOT_SUCCESSFUL)
    assert told in err
    world.dli("workflow", "backfill", NAME, *dates, "--reprocess", "failed", "--wait")
    _, err = world.dli("workflow", "backfill", NAME, *dates, *wait)
    assert "0 of 1 dates will run: 1 already succeeded; use --reprocess all" in err


def test_every_option_of_backfill_arrives(world):
    """As the API has it."""
    world.register()
    options = ("--parallel", "--max-active", "2", "--reprocess", "ALL", "--backwards", "--on-failure", "stop")
    world.dli("workflow", "backfill", NAME, *DATES, *options, "--params", '{"region": "EU"}')
    found = world.json("backfill", "status", BACKFILL)
    assert (found["parallel"], found["max_active"], found["reprocess"]) == (True, 2, "all")
    assert (found["run_backwards"], found["on_failure"], found["params"]) == (True, "stop", {"region": "EU"})


def test_a_dry_backfill_starts_nothing(world):
    """It tells the dates, and there is no backfill afterwards."""
    world.register()
    planned = world.json("workflow", "backfill", NAME, *DATES, "--dry-run", "--wait")
    assert [run["date"] for run in planned["runs"]] == ["2025-12-29", "2025-12-30", "2025-12-31"]
    world.dli("backfill", "status", BACKFILL, expect=exit_codes.NOT_FOUND)


def test_a_backfill_that_pauses_at_a_failure_is_not_waited_for(world):
    """Exit code 1, and how to go on; after resuming, the whole has failed."""
    world.register()
    world.airflow.end_task(DAG, "extract", "failed")
    out, err = world.dli("workflow", "backfill", NAME, *DATES, "--wait", expect=exit_codes.NOT_SUCCESSFUL)
    assert f"dli backfill resume {BACKFILL}" in err
    assert "PAUSED" in out
    world.airflow.end_task(DAG, "extract", "success")
    assert world.json("backfill", "resume", BACKFILL)["status"] == "RUNNING"
    found = world.json("backfill", "status", BACKFILL, "--follow", expect=exit_codes.NOT_SUCCESSFUL)
    assert (found["status"], found["counts"]["SUCCESS"], found["counts"]["FAILED"]) == ("FAILED", 2, 1)


def test_a_wait_for_a_backfill_that_is_over_has_its_code(world):
    """7, and how to follow again."""
    world.register()
    _, err = world.dli("workflow", "backfill", NAME, *DATES, "--wait", "--timeout", "0", expect=exit_codes.TIMED_OUT)
    assert f"dli backfill status {BACKFILL} --follow" in err


def test_backfills_for_people(world):
    """A table of all, and one with its dates."""
    world.register()
    world.dli("workflow", "backfill", NAME, *DATES, "--wait")
    out, _ = world.dli("backfill", "list", NAME)
    assert out.splitlines()[0].split()[:3] == ["BACKFILL", "STATUS", "%"]
    assert out.splitlines()[1].split()[:3] == [BACKFILL, "SUCCESS", "100"]
    out, _ = world.dli("backfill", "status", BACKFILL)
    assert "status         SUCCESS" in out or "status        SUCCESS" in out
    assert [line.split()[:2] for line in out.splitlines()[-3:]] == [
        [f"2025-12-{day}", "SUCCESS"] for day in (29, 30, 31)
    ]


def test_a_backfill_is_paused_and_stopped(world):
    """With reasons; what has ended is a conflict."""
    world.register()
    world.dli("workflow", "backfill", NAME, *DATES)
    assert world.json("backfill", "pause", BACKFILL, "--reason", "tea")["reason"] == "tea"
    assert world.json("backfill", "stop", BACKFILL, "--reason", "enough")["status"] == "STOPPING"
    _, err = world.dli("backfill", "pause", BACKFILL, expect=exit_codes.CONFLICT)
    assert "BACKFILL_NOT_ACTIVE" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--start-date", "1.1.2026", "--end-date", "2026-01-01"), "--start-date"),
        (
            ("--start-date", "2025-12-31", "--end-date", "2025-12-30"),
            "--end-date: 2025-12-30 lies before the --start-date",
        ),
        ((*DATES, "--reprocess", "some"), "--reprocess"),
        ((*DATES, "--on-failure", "cry"), "--on-failure"),
        ((*DATES, "--max-active", "2"), "--max-active: needs --parallel"),
        ((*DATES, "--timeout", "2"), "--timeout"),
        ((*DATES, "-p", "date=2025-12-30"), "--param date: "),
    ],
)
def test_a_wrong_backfill_is_a_line_and_a_code(world, options, told):
    """2, and the option or the field."""
    world.register()
    _, err = world.dli("workflow", "backfill", NAME, *options, expect=exit_codes.WRONG_INPUT)
    assert told in err.splitlines()[-1]
    assert "Value error" not in err
    assert len(err.splitlines()) == (4 if err.startswith("Usage:") else 1)


def test_the_next_fire_times(world):
    """In the workflow's zone and in UTC; a paused workflow has a warning with them."""
    world.register()
    told, _ = world.dli("workflow", "next", NAME, "--count", "2")
    assert told.splitlines() == ["UTC                   CLOCKS", "2026-01-02T06:00:00Z  -", "2026-01-03T06:00:00Z  -"]
    assert len(world.json("workflow", "next", NAME)["next_runs"]) == 20
    world.dli("workflow", "pause", NAME)
    assert "does not fire" in world.dli("workflow", "next", NAME)[1]
    world.dli("workflow", "next", NAME, "--count", "0", expect=2)
    world.dli("workflow", "next", "no.such", expect=3)


def test_validate_tells_what_would_change(world, tmp_path):
    """Against what is registered: nothing, a new schedule, or a new workflow."""
    file = tmp_path / "spec.yaml"
    file.write_text(YAML, encoding="utf-8")
    check = ("workflow", "validate", str(file), "--name", NAME, "--changes")
    assert "is not registered yet; it would fire at 2026-" in world.dli(*check)[0]
    world.register()
    file.write_text(world.json("workflow", "show", NAME)["yaml_content"], encoding="utf-8")
    assert "nothing would change" in world.dli(*check)[0]
    file.write_text(file.read_text(encoding="utf-8").replace("0 6 * * *", "0 7 * * *"), encoding="utf-8")
    told, _ = world.dli(*check)
    assert '~ schedule.cron: "0 6 * * *" -> "0 7 * * *"' in told
    assert "would fire: 2026-01-02T07:00:00" in told


def test_validate_takes_the_name_from_the_file(world, tmp_path):
    """If it is a full dataset name; the last segment alone needs ``--name``."""
    file = tmp_path / "spec.yaml"
    file.write_text(YAML.replace("name: daily_clicks", f"name: {NAME}"), encoding="utf-8")
    assert f"{NAME} is not registered yet" in world.dli("workflow", "validate", str(file), "--changes")[0]
    file.write_text(YAML, encoding="utf-8")
    _, err = world.dli("workflow", "validate", str(file), "--changes", expect=2)
    assert "--name: is required: the name in FILE, 'daily_clicks'" in err


def test_audit_prints_who_has_changed_what(world):
    """Latest first; filtered by name, kind, caller and moment."""
    world.register()
    world.clock.sleep(60)
    world.dli("workflow", "pause", NAME, "--reason", "tea")
    pause, registration = world.json("audit", NAME)
    assert (pause["action"], pause["who"], pause["after"]["pause_reason"]) == ("pause", "me@example.com", "tea")
    assert registration["action"] == "register"
    assert world.json("audit", "--action", "register") == [registration]
    assert world.json("audit", "--since", "2026-01-01T10:01:00Z") == [pause]
    assert world.json("audit", "--until", "2026-01-01") == []
    assert world.json("audit", "--who", "nobody", "--limit", "5") == []
    out, _ = world.dli("audit")
    assert "ACTION" in out
    assert NAME in out


def test_audit_refuses_what_is_no_moment(world):
    """Two, and the name of the option's field."""
    _, err = world.dli("audit", "--since", "yesterday", expect=2)
    assert "since" in err


@pytest.mark.parametrize("group", ["", "workflow", "backfill", "db", "token", "airflow", "config"])
def test_each_command_has_one_line_of_help_at_80_columns(world, monkeypatch, group):
    """No summary is cut or folded on a terminal of the usual width."""
    monkeypatch.setenv("COLUMNS", "80")
    text = world.dli(*group.split(), "--help")[0]
    lines = text.partition("Commands:\n")[2].splitlines()
    assert lines
    assert [line for line in lines if len(line) > 80 or not line.endswith(".") or line.startswith("   ")] == []
