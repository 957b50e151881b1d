"""``dli login``, ``dli logout``, ``dli whoami``, over a server that asks who is there."""

from __future__ import annotations

import atexit
import io
import json
import os
import stat
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.http_served import serving
from tests.support.http_stack import http_stack
from workflow_core.domain.access import Grant, Role
from workflow_core.domain.token import new_token
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_entrypoints.cli import credentials, main
from workflow_entrypoints.http import create_app
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def board():
    with serving() as running:
        yield running


@pytest.fixture
def make(board):
    """Make a token of this name for the server."""
    tokens = InMemoryTokens()

    def made(name):
        grants = (Grant(role=Role.OPERATOR, names="iceberg.*"), Grant(role=Role.VIEWER))
        token, text = new_token(name, grants, at=datetime.now(UTC), by="x")
        tokens.add_token(token)
        return text

    with http_stack() as stack:
        board.app = create_app(stack.service, Settings(auth="token"), tokens=tokens)
        yield made


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Of a user who has no file yet, and no variable."""
    for name in ("DLI_SERVER_URL", "DLI_TOKEN", "WORKFLOWS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("DLI_PATIENCE", "0")
    return tmp_path


@pytest.fixture
def dli(home, monkeypatch, capsys):
    """Run one command, with this on its standard input; its standard output and error."""

    def run(*arguments, given="", expect=0):
        ends: list[Callable[[], None]] = []
        with monkeypatch.context() as patch:
            patch.setattr(atexit, "register", lambda end, *args: ends.append(partial(end, *args)))
            patch.setattr(sys, "argv", ["dli", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(given))
            with pytest.raises(SystemExit) as ended:
                main.main()
        for end in ends:
            end()
        told = capsys.readouterr()
        assert (ended.value.code or 0) == expect, told
        assert "Traceback" not in told.err
        return told.out, told.err

    return run


def test_a_login_is_remembered_until_the_logout(dli, make, board, home):
    """Later commands send the token; after the logout the server does not know who asks, exit code 5."""
    token = make("ci")
    out, err = dli("login", board.url, "--token-stdin", given=f"{token}\n")
    assert ("token:ci" in err, token[-64:] in out + err) == (True, False)
    shown, _ = dli("--server", board.url, "whoami", "--output", "json")
    assert json.loads(shown) == {
        "name": "token:ci",
        "grants": [
            {"role": "operator", "team": None, "names": "iceberg.*"},
            {"role": "viewer", "team": None, "names": None},
        ],
        "operates_own": False,
    }
    assert "token:ci" in dli("--server", f"{board.url}/", "whoami")[0]
    dli("logout", board.url)
    _, err = dli("--server", board.url, "whoami", expect=5)
    assert "UNAUTHENTICATED" in err
    assert "No token" in dli("logout", board.url)[1]


def test_the_file_is_its_owners_alone(dli, make, board, home):
    """Whatever the umask is; so is its folder."""
    before = os.umask(0)
    try:
        dli("login", board.url, "--token-stdin", given=make("ci"))
    finally:
        os.umask(before)
    file = home / "dli" / "credentials.json"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_not_used(dli, make, board, home, mode):
    """It may have been read already, or written by another."""
    dli("login", board.url, "--token-stdin", given=make("ci"))
    (home / "dli" / "credentials.json").chmod(mode)
    _, err = dli("--server", board.url, "whoami", expect=2)
    assert "chmod 600" in err


def test_a_token_that_does_not_open_is_not_kept(dli, make, board, home):
    """Nor an empty one; one that was kept before stays."""
    for wrong in (f"dli_{'0' * 16}_{'0' * 64}", "dli two words", "", " \n", "a\nb"):
        dli("login", board.url, "--token-stdin", given=wrong, expect=5 if wrong.startswith("dli") else 2)
    assert not (home / "dli").exists()
    dli("login", board.url, "--token-stdin", given=make("ci"))
    dli("login", board.url, "--token-stdin", given=f"dli_{'0' * 16}_{'0' * 64}", expect=5)
    assert "token:ci" in dli("--server", board.url, "whoami")[0]


def test_the_variable_wins(dli, make, board, monkeypatch):
    """``DLI_TOKEN``, for a pipeline on a host where somebody has logged in."""
    dli("login", board.url, "--token-stdin", given=make("ci"))
    monkeypatch.setenv("DLI_TOKEN", make("other"))
    assert "token:other" in dli("--server", board.url, "whoami")[0]


def test_a_token_is_sent_to_its_server_only(dli, make, board, home):
    """Each server has its own; the host in any case, the path letter by letter."""
    credentials.save_token("https://Other.example.com/a", "x")
    dli("login", board.url, "--token-stdin", given=make("ci"))
    asked = ["https://other.example.com/a/", "https://other.example.com/A", "http://other.example.com/a"]
    assert [credentials.saved_token(url) for url in asked] == ["x", None, None]
    assert credentials.saved_token(board.url)


def test_a_token_is_asked_for_at_a_terminal_only(dli, board):
    """A script that forgot the option does not hang, and a token is never an argument."""
    _, err = dli("login", board.url, expect=2)
    assert "--token-stdin" in err


@pytest.mark.parametrize("text", ["{", "[]", '{"https://a": 1}', "\xff", "[" * 100_000])
def test_a_broken_file_is_named_and_not_shown(dli, board, home, text):
    """With what to do about it."""
    file = credentials.credentials_file()
    file.parent.mkdir()
    file.write_bytes(text.encode("latin-1"))
    file.chmod(0o600)
    _, err = dli("--server", board.url, "whoami", expect=2)
    assert ("dli login" in err, str(file) in err) == (True, True)


def test_without_a_server_one_is_the_user_of_the_settings(dli, monkeypatch):
    """Who may do everything; there is nothing to log in to."""
    monkeypatch.setenv("WORKFLOWS_USER", "me@example.com")
    monkeypatch.setenv("WORKFLOWS_DATABASE_URL", "memory://")
    monkeypatch.setenv("WORKFLOWS_STORAGE_URL", "memory://")
    monkeypatch.setenv("WORKFLOWS_AIRFLOW_API", "memory")
    found = json.loads(dli("whoami", "--output", "json")[0])
    assert (found["name"], found["grants"]) == ("me@example.com", [{"role": "admin", "team": None, "names": None}])
    assert "DLI_SERVER_URL" in dli("login", "--token-stdin", given="x", expect=2)[1]
