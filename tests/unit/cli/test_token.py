"""``dli token …`` over a database file."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest

from workflow_adapters.sql import SqlTokens, make_engine, upgrade
from workflow_core.domain.token import presented
from workflow_entrypoints.cli import main


@pytest.fixture
def dli(monkeypatch, capsys, tmp_path):
    """Run one command; its standard output and error."""
    url = f"sqlite:///{tmp_path}/workflows.db"
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    for name, value in {"WORKFLOWS_DATABASE_URL": url, "WORKFLOWS_USER": "root@example.com"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DLI_SERVER_URL", raising=False)

    def run(*arguments, expect=0):
        monkeypatch.setattr(sys, "argv", ["dli", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        told = capsys.readouterr()
        assert (ended.value.code or 0) == expect, told
        assert "Traceback" not in told.err
        return told.out, told.err

    return run


@pytest.fixture
def tokens(dli, tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/workflows.db")
    yield SqlTokens(engine)
    engine.dispose()


def test_a_new_token_is_told_once(dli, tokens):
    """Alone on standard output, so that it can go into a file; nothing of its secret is told again."""
    out, err = dli("token", "create", "--name", "ci", "--role", "author", "--team", "@ads", "--names", "iceberg.ads.*")
    parts = presented(out.strip())
    (token,) = tokens.tokens()
    assert parts is not None
    assert token.fits(parts.secret)
    assert (token.name, token.created_by) == ("ci", "root@example.com")
    assert [(grant.role, grant.team, grant.names) for grant in token.grants] == [("author", "@ads", "iceberg.ads.*")]
    listed, _ = dli("token", "list", "--output", "json")
    assert json.loads(listed)[0]["state"] == "live"
    assert (parts.secret in listed + err, token.digest in listed + err) == (False, False)


@pytest.mark.parametrize(
    ("expires", "days"), [(None, 90), ("30d", 30), ("48h", 2), ("2999-01-01", None), ("never", None)]
)
def test_a_token_ends_as_was_said(dli, tokens, expires, days):
    """After 90 days unless something else is said; never only by its name."""
    dli("token", "create", "--name", "ci", "--role", "viewer", *(["--expires", expires] if expires else []))
    (token,) = tokens.tokens()
    if expires == "never":
        assert token.expires_at is None
    elif days is None:
        assert token.expires_at.isoformat() == "2999-01-01T00:00:00+00:00"
    else:
        assert round((token.expires_at - token.created_at) / timedelta(days=1), 3) == days


@pytest.mark.parametrize(
    "wrong",
    [
        ["--expires", "2020-01-01"],
        ["--expires", "0d"],
        ["--expires", "soon"],
        ["--names", "a b"],
        ["--team", ""],
        ["--name", "a b"],
        ["--role", "root"],
    ],
)
def test_what_cannot_be_makes_no_token(dli, tokens, wrong):
    """Exit code 2, and nothing is kept."""
    given = {"--name": "ci", "--role": "viewer"} | {wrong[0]: wrong[1]}
    dli("token", "create", *[word for pair in given.items() for word in pair], expect=2)
    assert tokens.tokens() == ()


def test_a_revoked_token_counts_no_more(dli, tokens):
    """It is listed with who revoked it; a second time changes nothing."""
    dli("token", "create", "--name", "ci", "--role", "viewer")
    (token,) = tokens.tokens()
    out, _ = dli("token", "revoke", token.id)
    assert (token.id in out, tokens.token(token.id).is_live(token.created_at)) == (True, False)
    assert dli("token", "revoke", token.id)[0] == out
    (listed,) = json.loads(dli("token", "list", "--output", "json")[0])
    assert (listed["state"], listed["revoked_by"]) == ("revoked", "root@example.com")


def test_what_is_done_to_tokens_is_in_the_audit(dli, tokens):
    """Once each, with what was granted; nothing of the secret."""
    secret, _ = dli("token", "create", "--name", "ci", "--role", "viewer", "--team", "@ads", "--expires", "never")
    (token,) = tokens.tokens()
    for _ in range(2):
        dli("token", "revoke", token.id)
    told, _ = dli("audit", "--output", "json")
    revoked, created = json.loads(told)
    assert [(event["action"], event["who"], event["via"]) for event in (created, revoked)] == [
        ("create_token", "root@example.com", "cli"),
        ("revoke_token", "root@example.com", "cli"),
    ]
    granted = {"token": token.id, "name": "ci", "grants": [{"role": "viewer", "team": "@ads", "names": None}]}
    assert (created["before"], created["after"]) == (None, granted | {"revoked": False})
    assert (revoked["before"], revoked["after"]) == (
        {"token": token.id, "revoked": False},
        {"token": token.id, "revoked": True},
    )
    assert (secret.strip()[-64:] in told, token.digest in told) == (False, False)


def test_a_token_itself_is_no_id(dli):
    """Whoever pastes the secret does not find it in the message."""
    secret, _ = dli("token", "create", "--name", "ci", "--role", "viewer")
    _, err = dli("token", "revoke", secret.strip(), expect=2)
    assert secret.strip()[-20:] not in err
    dli("token", "revoke", "0" * 16, expect=2)


def test_tokens_are_made_where_the_database_is(dli, tokens, monkeypatch):
    """Not over a server, and not in a memory that ends with the command."""
    _, err = dli("--server", "http://127.0.0.1:1", "token", "create", "--name", "ci", "--role", "viewer", expect=2)
    assert "server's host" in err
    monkeypatch.delenv("DLI_SERVER_URL")
    monkeypatch.setenv("WORKFLOWS_DATABASE_URL", "memory://")
    dli("token", "list", expect=2)
