"""``dli`` speaks of its own options and commands, and names what the person may have meant."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.unit.cli.test_commands import NAME, YAML, World
from workflow_core.domain.workflow import SourceType, WorkflowStatus
from workflow_entrypoints.cli import choices, exit_codes, extras, main, output
from workflow_entrypoints.cli.app import app
from workflow_entrypoints.settings.unknown import unknown_variables

ROOT = Path(__file__).resolve().parents[3]
RUN_ID = f"{NAME}_20260101_100000"
BACKFILL_ID = f"{NAME}_backfill_20251230_20251231"


@pytest.fixture
def world(monkeypatch, capsys, tmp_path):
    return World(monkeypatch, capsys, tmp_path)


def commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    return [(path, command)] + [
        found for name, sub in getattr(command, "commands", {}).items() for found in commands(sub, (*path, name))
    ]


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) or "dli" for path, _ in COMMANDS])
def test_help_is_for_people(world, path, command):
    """A summary that fits beside its name in 80 columns; no brace around a required name, no type of Python."""
    summary = command.get_short_help_str()
    assert len(summary) <= 80 - 6 - len("unregister")
    assert not summary.endswith("..")
    out, _ = world.dli(*path, "--help")
    assert "{NAME}" not in out
    assert "[[" not in out
    assert not re.search(r"<(?:str|int|float|list|Path)", out)


def test_the_workflow_commands_come_first(world):
    """Then backfills and the audit; what runs the service is last."""
    names = re.findall(r"^  (\w+)  ", world.dli("--help")[0].partition("Commands:")[2], re.MULTILINE)
    assert names == [*("workflow", "backfill", "audit", "login", "logout", "whoami"),
                     *("serve", "worker", "db", "token", "airflow", "config", "version")]  # fmt: skip


def test_choices_are_those_of_the_core():
    """What help and completion offer is what the API takes."""
    assert [one.value for one in choices.Status] == [one.value for one in WorkflowStatus]
    assert [one.value for one in choices.Source] == [one.value for one in SourceType]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["register", NAME, "-f", "FILE"], 4, "Use --force to"),
        (["history", "a.none"], 3, "'a.none' is not registered"),
        (["explain", "a.none"], 3, "Workflow 'a.none' is not registered"),
        (["explain", f"{NAME}_20250101_000000"], 3, "There is no run"),
        (["diff", NAME, "9"], 3, "has no revision 9"),
        (["show", "iceberg.analytics.daily_click"], 3, f"Did you mean {NAME!r}?"),
        (["show", "nothing.like.it"], 3, "not registered. [WORKFLOW"),
        (["show", RUN_ID], 3, f"id of a run: dli workflow status {RUN_ID}"),
        (["show", BACKFILL_ID], 3, f"id of a backfill: dli backfill status {BACKFILL_ID}"),
        (["status", NAME], 3, f"looks like a dataset name; its runs: dli workflow history {NAME}"),
        (["stop", BACKFILL_ID], 3, f"id of a backfill: dli backfill status {BACKFILL_ID}"),
        (["run", NAME, "-p", "region=a", "-p", "region=b"], 2, "'region' is given twice"),
        (["run", NAME, "--params", '{"region": "a", "region": "b"}'], 2, "'region' stands twice"),
        (["run", NAME, "-p", 'region={"a": 1, "a": 2}'], 2, "'a' stands twice"),
        (["run", NAME, "--params", '{"region": 5}'], 2, "quote the value: --param 'region=\"…\"'"),
        (["run", NAME, "--params", '{"region": 1e999}'], 2, "--params: is not JSON"),
        (["pause", NAME, "--reason", "x" * 2000], 2, "--reason: "),
        (["list", "--owner", ""], 2, "--owner: "),
    ],
)
def test_errors_speak_of_the_command_line(world, arguments, code, told):
    """An option, or the next command to type, in one line."""
    world.register()
    _, err = world.dli("workflow", *[str(world.file) if part == "FILE" else part for part in arguments], expect=code)
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_missing_owner_may_be_an_option(world):
    """The message names it, and the key of the YAML."""
    world.file.write_text(YAML.replace("owner: data@example.com\n", ""), encoding="utf-8")
    _, err = world.dli("workflow", "register", NAME, "-f", str(world.file), expect=2)
    assert "give it with --owner, or as `owner` in the YAML" in err


def test_retry_names_its_option(world):
    """Where nothing has failed, ``--all`` is what runs it again."""
    world.register()
    run_id = world.json("workflow", "run", NAME, "--wait")["run_id"]
    assert "use --all" in world.dli("workflow", "retry", run_id, expect=4)[1]


@pytest.mark.parametrize("value", ["5", "true", "null", "[1]", "2026", "05"])
def test_a_string_parameter_takes_what_was_typed(world, value):
    """``-p region=5`` is the text 5 where the workflow declares a string; quoted JSON is a string as ever."""
    world.register()
    assert world.json("workflow", "run", NAME, "-p", f"region={value}")["params"] == {"region": value}
    assert world.json("workflow", "run", NAME, "-p", f'region="{value}"')["params"] == {"region": value}


def test_other_parameters_are_json(world):
    """A declared integer gets a number."""
    world.file.write_text(YAML.replace("{region: US}", "{region: US, limit: 1}"), encoding="utf-8")
    world.register()
    params = world.json("workflow", "run", NAME, "-p", "limit=5", "-p", "region=5")["params"]
    assert params == {"limit": 5, "region": "5"}


def test_the_history_of_an_unregistered_workflow_stays_readable(world):
    """Also where a filter leaves nothing of it."""
    world.register()
    world.json("workflow", "run", NAME, "--wait")
    world.dli("workflow", "unregister", NAME)
    assert len(world.json("workflow", "history", NAME)) == 1
    assert world.json("workflow", "history", NAME, "--start-date", "2030-01-01") == []


def test_the_same_text_changes_nothing(world):
    """``register --force`` says so, and shows the revision each time."""
    world.register()
    out, err = world.dli("workflow", "register", NAME, "-f", str(world.file), "--force")
    assert re.search(r"^revision +1$", out, re.MULTILINE)
    assert err == "Nothing changed: revision 1 has the same text.\n"
    world.file.write_text(YAML.replace("hello", "hullo"), encoding="utf-8")
    out, err = world.dli("workflow", "register", NAME, "-f", str(world.file), "--force")
    assert (re.search(r"^revision +2$", out, re.MULTILINE) is not None, err) == (True, "")


@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", 0), ("no\n", exit_codes.INTERRUPTED), ("", exit_codes.INTERRUPTED)]
)
def test_unregister_asks_on_a_terminal(world, monkeypatch, answer, code):
    """Only yes goes on; ``--yes`` and a pipe are not asked."""
    world.register()

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return str(answer)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Terminal())
        patch.setattr(output, "on_terminal", lambda **_: True)
        _, err = world.dli("workflow", "unregister", NAME, expect=code)
        assert f"Unregister {NAME} and delete its YAML? [y/N]" in err
        if code:
            world.dli("workflow", "unregister", NAME, "--yes")
    world.dli("workflow", "show", NAME, expect=3)


def test_an_empty_list_says_so_on_a_terminal(world, monkeypatch):
    """In a pipe it is a table without rows."""
    assert world.dli("workflow", "list")[0].startswith("NAME")
    monkeypatch.setattr(output, "on_terminal", lambda **_: True)
    assert world.dli("workflow", "list") == ("", "No workflows.\n")


def test_whoami_names_the_place(world):
    """Without a server it is this process, and its database."""
    _, err = world.dli("whoami")
    assert "commands run in this process, on the database sqlite:" in err


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path):
        made = tmp_path / "published"
        made.mkdir()
        (made / "a.one.yaml").write_text(YAML.replace("daily_clicks", "one"), encoding="utf-8")
        return made

    @pytest.mark.parametrize("ending", ["yml", "YAML", "Yml"])
    def test_an_ignored_file_is_a_warning(self, world, folder, ending):
        """It looks like a spec, and would not be published."""
        (folder / f"a.two.{ending}").write_text("broken", encoding="utf-8")
        out, err = world.dli("workflow", "validate", str(folder))
        assert f"a.two.{ending} is ignored" in err
        assert "a.two" not in out
        assert len(world.json("workflow", "validate", str(folder))["warnings"]) == 1

    @pytest.mark.parametrize("kind", ["missing", "empty", "link", "named like a file", "locked", "locked below"])
    def test_what_cannot_be_read_is_listed(self, world, folder, kind, monkeypatch):
        """JSON says what is wrong with it, and that not all is well; the exit code is that of wrong input."""
        path = folder / "a.bad.yaml"
        if kind == "missing":
            arguments = [str(folder), str(path)]
        elif kind == "empty":
            (folder.parent / "empty").mkdir()
            arguments = [str(folder), str(folder.parent / "empty")]
        else:
            arguments = [str(folder)]
        if kind == "link":
            path.symlink_to("nowhere")
        elif kind == "named like a file":
            path.mkdir()
        elif kind.startswith("locked"):
            locked = folder if kind == "locked" else folder / "below"
            locked.mkdir(exist_ok=True)
            _lock(monkeypatch, locked)
        found = world.json("workflow", "validate", *arguments, expect=2)
        assert found["ok"] is False
        assert any(file["problems"] for file in found["files"])
        _, err = world.dli("workflow", "validate", *arguments, expect=2)
        assert "Error: " in err


def _lock(monkeypatch, folder: Path) -> None:
    """Have the system refuse to list the folder, as it does for a user without the permission (tests may run as root)."""
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


class TestInstallation:
    @pytest.mark.parametrize(
        ("variables", "options", "told"),
        [
            ({}, ["--storage-url", "data-workflows"], "is not a store"),
            ({}, ["--storage-url", ""], "is not a store"),
            ({}, ["--storage-url", "memory://"], "memory of one process"),
            ({"WORKFLOWS_STORAGE_URL": "memory://"}, [], "memory of one process"),
            ({"WORKFLOWS_ALLOWED_OPERATORS": "airflow/*"}, [], "airflow/* is not a pattern"),
            ({"WORKFLOWS_DEFAULT_TASK": "{"}, [], "is not JSON"),
            ({"WORKFLOWS_DEFAULT_TASK": '{"operator": "bsh"}'}, [], "WORKFLOWS_DEFAULT_TASK: operator"),
            ({"WORKFLOWS_DEFAULT_TASK": '{"operator": "bash", "bash_comand": "x"}'}, [], "bash_comand"),
            ({}, ["--loaders", "0"], "--loaders"),
        ],
    )
    def test_what_the_service_refuses_is_refused(self, world, tmp_path, monkeypatch, variables, options, told):
        """And nothing is written."""
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        folder = tmp_path / "dags"
        folder.mkdir()
        given = (
            options
            if "--storage-url" in options or variables.get("WORKFLOWS_STORAGE_URL")
            else [*options, "--storage-url", "file:///x"]
        )
        _, err = world.dli("airflow", "install", "--dags-folder", str(folder), *given, expect=2)
        assert told in err
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("WORKFLOWS_DATABASE_URL", "mysql://x"),
            ("WORKFLOWS_STORAGE_URL", "gs://x"),
            ("WORKFLOWS_DEFAULT_TASK", "[]"),
        ],
    )
    def test_config_show_refuses_what_the_service_refuses(self, world, monkeypatch, name, value):
        """With the name of the setting."""
        monkeypatch.setenv(name, value)
        assert name in world.dli("config", "show", expect=2)[1]

    def test_a_variable_that_is_no_setting_is_a_warning(self, world, monkeypatch):
        """With the one that was meant."""
        monkeypatch.setenv("WORKFLOWS_PROT", "1")
        assert (
            "WORKFLOWS_PROT is not a setting and has no effect; did you mean WORKFLOWS_PORT?"
            in world.dli("config", "show")[1]
        )

    @pytest.mark.parametrize(
        ("name", "is_told"),
        [
            ("DLI_SERVER_ULR", True), ("WORKFLOWS_XYZ", True), ("AIRFLOW_BASEURL", True), ("WORKFLOWS_PORT", False),
            ("DLI_DEBUG", False), ("AIRFLOW__CORE__DAGS_FOLDER", False), ("AIRFLOW_HOME", False), ("AIRFLOW_CONN_X", False),
            ("AIRFLOW_UID", False), ("AIRFLOW_VENV", False), ("AIRFLOW_2_VENV", False), ("AIRFLOW_PASWORD", True),
            ("WORKFLOWS_SERVICE_HOST", False), ("WORKFLOWS_PORT_80_TCP_ADDR", False), ("PATH", False),
        ],
    )  # fmt: skip
    def test_only_variables_of_ours_are_told(self, name, is_told):
        """Airflow's own, and those that Kubernetes sets, are none of them."""
        assert len(list(unknown_variables({name: "x"}))) == is_told


@pytest.mark.parametrize(("module", "asks", "told"), [("typer", False, "'cli'"), ("sqlalchemy.orm", True, "DLI_SERVER_URL"),
                                                      ("opentelemetry.sdk", False, "'otel'")])  # fmt: skip
def test_a_missing_package_names_its_extra(module, asks, told):
    """And what else would do."""
    assert told in extras.missing(module, asks=asks)


def test_dli_without_its_extra_is_a_line(monkeypatch, capsys):
    """No traceback where Typer is not installed."""
    monkeypatch.setitem(sys.modules, "workflow_entrypoints.cli.app", None)
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "workflow_entrypoints.cli.app")
    with pytest.raises(SystemExit) as ended:
        main.main()
    err = capsys.readouterr().err
    assert (ended.value.code, err.count("\n")) == (2, 1)
    assert "the extra 'cli' installs" in err


BARE_INSTALL = re.compile(
    r"pip install [^\n`]*?(?<![\w./-])(?:workflow[-_]core|dli[-_]workflow)(?![\w-]*\.whl)(?!-[\w.]+-py3)"
)


def test_no_page_installs_a_package_of_another_project():
    """Pages and messages install from the checkout or the wheel: a bare name would fetch what another project publishes."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("src/**/*.py")]
    assert [str(page) for page in pages if BARE_INSTALL.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("command", "is_bare"),
    [
        ("pip install workflow-core", True),
        ("pip install dli-workflow", True),
        ("pip install 'dli-workflow[server]'", True),
        ("pip install -U httpx dli_workflow", True),
        ("pip install '.[cli]'", False),
        ("pip install './dist/dli_workflow-0.1.0-py3-none-any.whl[airflow]'", False),
        ("pip install './dli_workflow-VERSION-py3-none-any.whl[cli]'", False),
    ],
)
def test_a_bare_name_is_recognised(command, is_bare):
    """A path to a wheel is not a name of the index."""
    assert bool(BARE_INSTALL.search(command)) is is_bare
