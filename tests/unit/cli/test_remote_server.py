"""``dli`` over a server: the same output and the same exit codes as in one process."""

from __future__ import annotations

import atexit
import json
import socket
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.http_served import serving
from tests.unit.cli.test_commands import DAG, NAME, YAML, World
from workflow_adapters.remote import RemoteWorkflowApi
from workflow_core.fakes.airflow import Effect
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper
from workflow_entrypoints.cli import progress, session
from workflow_entrypoints.http import create_app
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.http_served import Switchboard
    from workflow_core.api import RunFilters, RunStatusAnswer

FIRST = f"{NAME}_20260101_100000"
REGISTER = ["workflow", "register", NAME, "-f", "FILE"]
RUN = ["workflow", "run", NAME]


class ServedWorld(World):
    """The CLI in this process over a server on loopback, which has a worker: it sweeps whenever somebody looks away."""

    def __init__(self, board, monkeypatch, capsys, tmp_path) -> None:
        super().__init__(monkeypatch, capsys, tmp_path)
        board.app = create_app(self.service, Settings(user="me@example.com"))
        monkeypatch.setattr(session, "get_service", None)
        monkeypatch.setattr(progress, "sleep", self._look_away)
        monkeypatch.setattr(RemoteWorkflowApi, "status", self._status(RemoteWorkflowApi.status))
        monkeypatch.setenv("DLI_SERVER_URL", board.url)
        monkeypatch.setenv("DLI_PATIENCE", "0")

    def dli(self, *arguments, expect=0):
        """Run one command, to the end of its process."""
        with pytest.MonkeyPatch.context() as patch:
            ends: list[Callable[[], None]] = []
            patch.setattr(atexit, "register", ends.append)
            try:
                return super().dli(*arguments, expect=expect)
            finally:
                for end in ends:
                    end()

    def _status(self, status: Callable[..., RunStatusAnswer]) -> Callable[..., RunStatusAnswer]:
        """While somebody waits for a change, the worker sweeps; waiting itself is tested in ``test_waiting.py``."""

        def looking_away(api: RemoteWorkflowApi, run_id: str, filters: RunFilters | None = None) -> RunStatusAnswer:
            if filters is not None and filters.wait:
                self._look_away(0.5)
            return status(api, run_id)

        return looking_away

    def _look_away(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        Sweeper(self.service.context).sweep()


@pytest.fixture(scope="module")
def board() -> Iterator[Switchboard]:
    with serving() as running:
        yield running


@pytest.fixture
def served(monkeypatch, capsys, tmp_path, board) -> ServedWorld:
    return ServedWorld(board, monkeypatch, capsys, tmp_path)


COMMANDS: list[tuple[list[str], int]] = [
    (["workflow", "list"], 0),
    (["workflow", "show", NAME], 3),
    (REGISTER, 0),
    (REGISTER, 4),
    ([*RUN, "-p", "date=2026-01-02", "-p", "region=数据"], 0),
    (["workflow", "status", FIRST], 0),
    (["workflow", "status", FIRST, "--follow"], 0),
    ([*RUN, "--dry-run"], 0),
    ([*RUN, "--wait"], 0),
    ([*RUN, "-p", "nope=1", "-p", "date=tomorrow"], 2),
    ([*RUN, "--params", '{"region": NaN}'], 2),
    (["workflow", "history"], 0),
    (["workflow", "history", NAME, "--limit", "1"], 0),
    (["workflow", "history", "--start-date", "2026-01-02"], 0),
    (["workflow", "history", "--start-date", "2026-01-02", "--end-date", "2026-01-01"], 2),
    (["workflow", "history", "a/b"], 2),
    (["workflow", "pause", NAME, "--reason", "Wartung 🙂"], 0),
    (["workflow", "pause", NAME, "--reason", "x" * 1001], 2),
    (RUN, 4),
    (["workflow", "list", "--status", "PAUSED", "--owner", "data@example.com"], 0),
    (["workflow", "list", "--owner", ""], 2),
    (["workflow", "show", NAME], 0),
    (["workflow", "unpause", NAME], 0),
    (["workflow", "unpause", "no.such"], 3),
    (["workflow", "status", "no.such_20260101_000000"], 3),
    (["workflow", "status", "a b"], 2),
    (["workflow", "list", "--limit", "0"], 2),
    (["workflow", "list", "--offset", "1"], 0),
    ([*RUN, "--wait", "--timeout", "0"], 7),  # last, for what a pause says of a run under way differs without a worker
    (["workflow", "show", "../../readyz"], 2),
]
"""Every command, one after the other, and how it ends."""


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_every_command_prints_and_ends_alike(monkeypatch, capsys, tmp_path, board, form):
    """In one process and over a server: standard output, standard error and the exit code."""
    told = []
    for make in (World, partial(ServedWorld, board)):
        world = make(monkeypatch, capsys, tmp_path)
        told.append([world.dli(*_with_file(world, words), "-o", form, expect=code) for words, code in COMMANDS])
        monkeypatch.undo()
    for (words, _), here, there in zip(COMMANDS, *told, strict=True):
        assert there == here, words


def _with_file(world: World, words: list[str]) -> list[str]:
    return [str(world.file) if word == "FILE" else word for word in words]


@pytest.mark.parametrize(
    ("arguments", "yaml"),
    [
        ([], YAML.replace("operator: bash", "operator: os.system").replace("0 6", "61 6")),
        (["--cron", "61 * * * *"], YAML),
        (["--owner", ""], YAML),
        ([], "version: v1\nname: daily_clicks\nowner: x\nschedule: {cron: '0 6 * * *'}\n"),
    ],
)
def test_findings_and_warnings_are_alike(monkeypatch, capsys, tmp_path, board, arguments, yaml):
    """Each with its line and column, in the same words."""
    told = []
    for make in (World, partial(ServedWorld, board)):
        world = make(monkeypatch, capsys, tmp_path)
        world.file.write_text(yaml)
        expect = 2 if arguments or "os.system" in yaml else 0
        told.append(world.dli(*_with_file(world, REGISTER), *arguments, expect=expect))
        monkeypatch.undo()
    assert told[0] == told[1]
    assert told[0][1]


def test_a_run_that_waits_for_its_dag_is_followed_to_its_end(served):
    """The server's worker sends it; whoever waits only looks."""
    served.register()
    served.airflow.lose_answers(Effect.NOT_DONE)
    out, err = served.dli(*RUN, "--wait", "-o", "json")
    assert json.loads(out)["status"] == "SUCCESS"
    assert "RUNNING extract (0/1)" in err


def test_a_failed_run_ends_with_its_code(served):
    """Scripts can tell, over a server, too."""
    served.register()
    served.airflow.end_task(DAG, "extract", "failed")
    served.dli(*RUN, "--wait", expect=1)


def test_an_outage_behind_the_server_is_told_as_such(served):
    """Six, and the code of the system that is away."""
    served.register()
    served.airflow.go_down()
    _, err = served.dli(*RUN, expect=6)
    assert "AIRFLOW_CONNECTION_FAILED" in err


def test_the_option_wins_over_the_environment(served, monkeypatch, board):
    """``--server`` says which."""
    monkeypatch.setenv("DLI_SERVER_URL", "http://127.0.0.1:1")
    served.dli("--server", board.url, "workflow", "list")


def test_a_server_that_is_away_is_a_line_and_a_code(served):
    """Six, and which setting to look at."""
    with socket.socket() as nobody:  # bound, so that nobody else listens there
        nobody.bind(("127.0.0.1", 0))
        out, err = served.dli("--server", f"http://127.0.0.1:{nobody.getsockname()[1]}", "workflow", "list", expect=6)
    assert out == ""
    assert "SERVER_UNAVAILABLE" in err
    assert "--server" in err
    assert "DLI_SERVER_URL" not in err


def test_the_option_may_follow_the_command(served, monkeypatch, board):
    """``dli workflow list --server URL`` asks that server."""
    monkeypatch.setenv("DLI_SERVER_URL", "http://127.0.0.1:1")
    served.dli("workflow", "list", "--server", board.url)
    _, err = served.dli("audit", "--server", "http://127.0.0.1:1", expect=6)
    assert "DLI_SERVER_URL" not in err


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "http://me:secret@example.com", "http://"])
def test_a_server_that_is_no_url_is_refused(served, url):
    """Before anything is asked; a password in it is not shown."""
    _, err = served.dli("--server", url, "workflow", "list", expect=2)
    assert "server" in err.lower()
    assert "secret" not in err


def test_an_unexpected_error_of_the_server_names_the_request(served, monkeypatch):
    """Its log tells more under that id."""
    monkeypatch.setattr(WorkflowService, "workflow", lambda _self, _name: 1 / 0)
    _, err = served.dli("workflow", "show", NAME, expect=70)
    assert "X-Request-ID: '" in err


def test_config_show_tells_the_server_and_hides_the_token(served, monkeypatch):
    """As for every secret."""
    monkeypatch.setenv("DLI_TOKEN", "hunter2")
    out, _ = served.dli("--server", "https://workflows.example.com", "config", "show", "-o", "json")
    shown = {row["name"]: row["value"] for row in json.loads(out)}
    assert (shown["DLI_SERVER_URL"], shown["DLI_TOKEN"]) == ("https://workflows.example.com", "****")


def test_nothing_of_the_service_is_imported():
    """A client starts without the database, the object store, Airflow's adapter and the HTTP server."""
    code = (
        "import sys\nsys.argv = ['dli', '--server', 'http://127.0.0.1:1', 'workflow', 'list']\n"
        "from workflow_entrypoints.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    print(ended.code)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    ended, loaded = done.stdout.splitlines()
    assert ended == "6"
    heavy = {"sqlalchemy", "alembic", "boto3", "litestar", "uvicorn", "dependency_injector", "psycopg"}
    assert {name.partition(".")[0] for name in loaded.split()} & heavy == set()
    assert "workflow_adapters.remote" in loaded.split()
    assert not any(
        name.startswith(("workflow_adapters.airflow", "workflow_adapters.sql", "workflow_entrypoints.http"))
        for name in loaded.split()
    )
