"""The contract of ``TokenPort``, verified for the fake, SQLite and PostgreSQL."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from attrs import asdict

from devstack.ports import free_ports
from workflow_adapters.sql import SqlTokens, make_engine, upgrade
from workflow_core.domain.act import AuditFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.fakes import InMemoryDatabase
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.ports.tokens import TokenPort
from workflow_core.testing.tokens import CALLS, TokenContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Engine

    from devstack.postgres import LocalPostgres

FACTS = ("name", "digest", "revoked_by")


class BehindMemoryTokens:
    """Direct access to the fake."""

    def __init__(self, fake: InMemoryTokens) -> None:
        self._fake = fake

    def token_facts(self) -> Mapping[str, Mapping[str, Any]]:
        return {key: {name: asdict(token)[name] for name in FACTS} for key, token in self._fake._tokens.items()}

    def acts_on(self, token_id: str) -> list[tuple[str, str, str]]:
        database = self._fake._database
        assert database is not None
        events = database.audit.list_events(AuditFilter(), PageRequest()).items
        return [
            (event.action, event.who, event.via)
            for event in reversed(events)
            if (event.after or {})["token"] == token_id
        ]


class BehindSqlTokens:
    """Reads all columns of the rows with the plain driver, so that a test detects a secret in any of them."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def token_facts(self) -> Mapping[str, Mapping[str, Any]]:
        cursor = self._connection.execute("SELECT * FROM api_tokens")
        columns = [column[0] for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        return {row["id"]: row for row in rows}

    def acts_on(self, token_id: str) -> list[tuple[str, str, str]]:
        rows = self._connection.execute("SELECT action, who, via, after FROM audit_events ORDER BY at").fetchall()
        events = [(*row[:3], json.loads(row[3]) if isinstance(row[3], str) else row[3]) for row in rows]
        return [row[:3] for row in events if row[3]["token"] == token_id]


class TestInMemoryTokens(TokenContract):
    """The fake."""

    @pytest.fixture
    def port(self) -> InMemoryTokens:
        return InMemoryTokens(InMemoryDatabase())

    @pytest.fixture
    def behind(self, port: InMemoryTokens) -> BehindMemoryTokens:
        return BehindMemoryTokens(port)

    @pytest.fixture
    def unreachable(self) -> InMemoryTokens:
        fake = InMemoryTokens()
        fake.go_down()
        return fake


class TestSqlTokensOnSqlite(TokenContract):
    """An SQLite file."""

    @pytest.fixture
    def path(self, sqlite_template: Path, tmp_path: Path) -> Path:
        return Path(shutil.copy(sqlite_template, tmp_path / "workflows.db"))

    @pytest.fixture
    def port(self, path: Path) -> Iterator[SqlTokens]:
        engine = make_engine(f"sqlite:///{path}")
        yield SqlTokens(engine)
        engine.dispose()

    @pytest.fixture
    def behind(self, port: SqlTokens, path: Path) -> Iterator[BehindSqlTokens]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield BehindSqlTokens(connection)

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> SqlTokens:
        return SqlTokens(make_engine(f"sqlite:///{tmp_path}/no/such/folder/workflows.db"))


@pytest.fixture(scope="module")
def tokens_url(postgres: LocalPostgres) -> str:
    """A migrated, empty database."""
    return postgres.create_database("tokens")


@pytest.fixture(scope="module")
def tokens_engine(tokens_url: str) -> Iterator[Engine]:
    """An engine for the database."""
    engine = make_engine(tokens_url)
    upgrade(engine)
    yield engine
    engine.dispose()


class TestSqlTokensOnPostgres(TokenContract):
    """A PostgreSQL database, emptied before each test."""

    @pytest.fixture
    def port(self, tokens_engine: Engine) -> SqlTokens:
        with tokens_engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE api_tokens"))
        return SqlTokens(tokens_engine)

    @pytest.fixture
    def behind(self, port: SqlTokens, tokens_url: str) -> Iterator[BehindSqlTokens]:
        with psycopg.connect(tokens_url.replace("+psycopg", ""), autocommit=True) as connection:
            yield BehindSqlTokens(connection)

    @pytest.fixture
    def unreachable(self) -> SqlTokens:
        [port] = free_ports(1)
        return SqlTokens(make_engine(f"postgresql://user:secret@127.0.0.1:{port}/workflows"))


def test_every_method_is_called_without_a_database():
    """The suite calls every method of the port without a database."""
    assert set(CALLS) == {name for name in vars(TokenPort) if not name.startswith("_")}
