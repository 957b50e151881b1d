"""The contract of ``Database``, verified for the database in memory, SQLite and PostgreSQL."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from devstack.ports import free_ports
from workflow_adapters.sql import HEAD, SqlDatabase, make_engine, upgrade
from workflow_adapters.sql.migrations import alembic_config
from workflow_adapters.sql.tables import metadata, schema_version
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.errors import DatabaseOutcomeUnknown, DatabaseUnavailable
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.testing.database import DatabaseContract, database_machine
from workflow_core.testing.database.facts import InMemoryFacts
from workflow_core.testing.entities import NAME, a_workflow, an_act
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from devstack.postgres import LocalPostgres

WORKFLOW_FACTS = ("id", "dag_id", "owner", "phase", "paused_by", "version", "updated_at")
CODE_FACTS = ("etag", "problems", "version")
AUDIT_CHANGES = (
    "UPDATE audit_events SET who = 'x'",
    "DELETE FROM audit_events",
    "DELETE FROM audit_events WHERE who <> 'x'",
)
AUDIT_FACTS = ("who", "action", "run_id", "before", "after")
KEY_FACTS = ("scope", "fingerprint", "action", "subject", "answer")
RUN_FACTS = ("airflow_run_id", "status", "params", "version", "started_at")

HISTORIES = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class SqlFacts:
    """Access to the rows with the plain driver, without the adapter's types."""

    def __init__(self, rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
        self._rows = rows

    def workflow_facts(self) -> Mapping[str, Mapping[str, Any]]:
        rows = self._rows(
            f"SELECT dataset_name, {', '.join(WORKFLOW_FACTS)} FROM workflows WHERE phase NOT IN ('leaving', 'gone')"
        )
        return {name: _plain(dict(zip(WORKFLOW_FACTS, facts, strict=True))) for name, *facts in rows}

    def run_facts(self) -> Mapping[str, Mapping[str, Any]]:
        rows = self._rows(f"SELECT run_id, {', '.join(RUN_FACTS)} FROM workflow_runs")
        return {run_id: _plain(dict(zip(RUN_FACTS, facts, strict=True))) for run_id, *facts in rows}

    def code_facts(self) -> Mapping[str, Mapping[str, Any]]:
        rows = self._rows(f"SELECT dataset_name, {', '.join(CODE_FACTS)} FROM code_objects")
        return {name: _plain(dict(zip(CODE_FACTS, facts, strict=True))) for name, *facts in rows}

    def audit_facts(self) -> Sequence[Mapping[str, Any]]:
        rows = self._rows("""SELECT who, action, run_id, "before", "after" FROM audit_events""")
        return [_plain(dict(zip(AUDIT_FACTS, row, strict=True))) for row in rows]

    def key_facts(self) -> Mapping[str, Mapping[str, Any]]:
        rows = self._rows(f"SELECT key, {', '.join(KEY_FACTS)} FROM idempotency_keys")
        return {key: dict(zip(KEY_FACTS, facts, strict=True)) for key, *facts in rows}


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    for name in ("updated_at", "started_at"):
        if name in facts:
            value = facts[name]
            moment = datetime.fromisoformat(value + "+00:00") if isinstance(value, str) else value.astimezone(UTC)
            facts[name] = moment.isoformat(timespec="microseconds")
    for name in ("params", "problems", "before", "after"):
        if isinstance(facts.get(name), str):
            facts[name] = json.loads(facts[name])
    if "id" in facts:
        facts["id"] = str(UUID(str(facts["id"])))
    return facts


class TestInMemoryDatabase(DatabaseContract):
    """The fake."""

    @pytest.fixture
    def database(self) -> InMemoryDatabase:
        return InMemoryDatabase()

    @pytest.fixture
    def behind(self, database: InMemoryDatabase) -> InMemoryFacts:
        return InMemoryFacts(database)

    @pytest.fixture
    def unreachable(self) -> InMemoryDatabase:
        fake = InMemoryDatabase()
        fake.go_down()
        return fake


class TestSqlDatabaseOnSqlite(DatabaseContract):
    """An SQLite file in WAL mode, new for each test."""

    @pytest.fixture
    def path(self, sqlite_template: Path, tmp_path: Path) -> Path:
        return Path(shutil.copy(sqlite_template, tmp_path / "workflows.db"))

    @pytest.fixture
    def database(self, path: Path) -> Iterator[SqlDatabase]:
        engine = make_engine(f"sqlite:///{path}")
        yield SqlDatabase(engine)
        engine.dispose()

    @pytest.fixture
    def behind(self, path: Path) -> Iterator[SqlFacts]:
        connection = sqlite3.connect(path, isolation_level=None)
        yield SqlFacts(lambda query: connection.execute(query).fetchall())
        connection.close()

    @pytest.mark.parametrize("change", AUDIT_CHANGES)
    def test_the_audit_only_grows(self, database: SqlDatabase, path: Path, change: str) -> None:
        """A client with access to the file can neither update nor delete an audit event."""
        database.audit.append(an_act())
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(change)
            assert connection.execute("SELECT who FROM audit_events").fetchall() == [("user@example.com",)]

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> SqlDatabase:
        return SqlDatabase(make_engine(f"sqlite:///{tmp_path}/no/such/folder/workflows.db"))

    def test_random_histories(self, sqlite_template: Path, tmp_path: Path) -> None:
        """Over random histories the implementation returns the same results as the fake."""
        engine = make_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'histories.db')}")
        run_state_machine_as_test(database_machine(_emptied(engine)), settings=HISTORIES)
        engine.dispose()


@pytest.fixture(scope="session")
def postgres_url(postgres: LocalPostgres) -> str:
    """A migrated, empty database."""
    url = postgres.create_database("workflows")
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    """An engine for the database, which all tests share."""
    engine = make_engine(postgres_url)
    yield engine
    engine.dispose()


class TestSqlDatabaseOnPostgres(DatabaseContract):
    """A PostgreSQL database, emptied before each test."""

    @pytest.fixture
    def database(self, postgres_engine: Engine) -> SqlDatabase:
        with _emptied(postgres_engine)():
            return SqlDatabase(postgres_engine)

    @pytest.fixture
    def behind(self, postgres_url: str) -> Iterator[SqlFacts]:
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            yield SqlFacts(lambda query: connection.execute(query).fetchall())

    @pytest.mark.parametrize("change", [*AUDIT_CHANGES, "TRUNCATE audit_events"])
    def test_the_audit_only_grows(self, database: SqlDatabase, postgres_url: str, change: str) -> None:
        """The database role of the service can neither update nor delete an audit event."""
        database.audit.append(an_act())
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(change)
            assert connection.execute("SELECT who FROM audit_events").fetchall() == [("user@example.com",)]

    @pytest.fixture
    def unreachable(self) -> SqlDatabase:
        [port] = free_ports(1)
        return SqlDatabase(make_engine(f"postgresql://user:secret@127.0.0.1:{port}/workflows"))

    def test_the_order_is_independent_of_the_collation(self, postgres_engine: Engine) -> None:
        """The columns that lists are ordered by compare bytes, also in a database that sorts by a language's rules."""
        # read from the catalog, because this build of PostgreSQL has no collation of a language
        with postgres_engine.connect() as connection:
            columns = "SELECT column_name, collation_name FROM information_schema.columns"
            found = set(connection.execute(sa.text(f"{columns} WHERE column_name IN ('dataset_name', 'run_id')")).all())
        assert found == {("dataset_name", "C"), ("run_id", "C")}

    def test_random_histories(self, postgres_engine: Engine) -> None:
        """Over random histories the implementation returns the same results as the fake."""
        run_state_machine_as_test(database_machine(_emptied(postgres_engine)), settings=HISTORIES)

    def test_ended_sessions_are_replaced(self, database: SqlDatabase, postgres_url: str) -> None:
        """After a restart or failover of the server, which ends every session, the next call works."""
        database.workflows.add_workflow(a_workflow())
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            others = "FROM pg_stat_activity WHERE datname = 'workflows' AND pid <> pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
        assert database.workflows.workflow(NAME) is not None

    def test_a_commit_that_is_not_answered_is_unknown(self, database: SqlDatabase, postgres_url: str) -> None:
        """If the session ends between the last statement and the response to the commit, the outcome is unknown."""
        engine = make_engine(postgres_url)
        plain = postgres_url.replace("+psycopg", "")

        def cut(connection: Connection) -> None:
            with psycopg.connect(plain, autocommit=True) as other:
                pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        sa.event.listen(engine, "commit", cut)
        with pytest.raises(DatabaseOutcomeUnknown):
            SqlDatabase(engine).workflows.add_workflow(a_workflow())
        engine.dispose()

    def test_a_statement_that_takes_too_long_is_given_up(self, database: SqlDatabase, postgres_url: str) -> None:
        """The wait for a row that another client has locked is bounded, and a wait that ends so changes nothing."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        impatient = make_engine(postgres_url, lock_timeout=0.2)
        with psycopg.connect(postgres_url.replace("+psycopg", "")) as holder:
            holder.execute("SELECT * FROM workflows FOR UPDATE")
            with pytest.raises(DatabaseUnavailable):
                SqlDatabase(impatient).workflows.save_workflow(workflow)
        impatient.dispose()
        assert database.workflows.workflow(NAME) == workflow

    def test_migrations_and_tables_agree(self, postgres: LocalPostgres, postgres_engine: Engine) -> None:
        """The migrated schema equals the schema in the code, by Alembic's comparison and in every index and constraint."""
        direct = make_engine(postgres.create_database("direct"))
        metadata.create_all(direct)
        with postgres_engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": schema_version})
            assert compare_metadata(context, metadata) == []
        assert _definitions(postgres_engine) == _definitions(direct)
        direct.dispose()

    def test_many_upgrades_at_once_are_one(self, postgres: LocalPostgres) -> None:
        """Services that start at the same time upgrade the schema once."""
        engine = make_engine(postgres.create_database("fresh"))
        engines = [make_engine(engine.url) for _ in range(4)]
        assert together([partial(upgrade, one) for one in engines]) == [HEAD] * 4
        SqlDatabase(engine).check()
        for one in (engine, *engines):
            one.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_older_schema_is_upgraded_with_its_rows(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The rows of revision 0001 are kept, and runs get their date from their params or the day of their acceptance."""
    url = f"sqlite:///{tmp_path}/older.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").create_database("older")
    engine = make_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        for statement in _OLDER_ROWS:
            connection.execute(sa.text(statement))
    upgrade(engine)
    database = SqlDatabase(engine)
    found = database.workflows.workflow("a.b")
    assert found is not None
    dates = {
        run.run_id: run.run_date.isoformat() for run in database.workflows.history(HistoryFilter(), PageRequest()).items
    }
    assert dates == {"r1": "2025-12-24", "r2": "2026-01-01", "r3": "2025-12-31"}
    assert [run.run_id for run in database.workflows.active_runs(found)] == ["r2"]
    engine.dispose()


_ID = "'019b78fff97b7a5fb61556d503d6bd2a'"
_RUN = (
    "INSERT INTO workflow_runs (id, run_id, airflow_run_id, workflow_id, dataset_name, dag_id, run_type, status, submission,"
    " triggered_by, params, accepted_at, started_at, logical_date, version)"
    f" VALUES ('019b78fff97b7a5fb61556d503d6bd0%s', '%s', '%s', {_ID},"
    " 'a.b', 'a_b', '%s', '%s', 'submitted', 'x', '%s', '2026-01-01 10:00:00.000000', '2026-01-01 10:00:00.000000', %s, 1)"
)
_OLDER_ROWS = (
    (
        "INSERT INTO workflows (id, dataset_name, dag_id, source_type, owner, cron, timezone, spec, yaml, s3_path, registered_by,"
        f" registered_at, updated_at, phase, version) VALUES ({_ID}, 'a.b', 'a_b', 'MANUAL', 'o', '0 6 * * *', 'UTC',"
        """ '{"version": "v1", "name": "a.b"}', '', 's3://b/k', 'x', '2026-01-01 10:00:00.000000', '2026-01-01 10:00:00.000000',"""
        " 'served', 1)"
    ),
    _RUN % ("1", "r1", "r1", "manual", "SUCCESS", '{"date"\\: "2025-12-24"}', "NULL"),
    _RUN % ("2", "r2", "r2", "manual", "RUNNING", "{}", "NULL"),
    _RUN % ("3", "r3", "scheduled__1", "scheduled", "FAILED", '{"date"\\: "odd"}', "'2025-12-31 06:00:00.000000'"),
)


def _definitions(engine: Engine) -> set[str]:
    queries = (
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> :version",
        (
            "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid <> 0 AND connamespace = 'public'::regnamespace AND conrelid::regclass::text <> :version"
        ),
        (
            "SELECT concat_ws(' ', table_name, column_name, udt_name, collation_name, is_nullable)"
            " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> :version"
        ),
    )
    with engine.connect() as connection:
        version = {"version": schema_version}
        return {text for query in queries for text in connection.execute(sa.text(query), version).scalars()}


@contextmanager
def _audit_can_go(connection: sa.Connection) -> Iterator[None]:
    """Remove the triggers that protect the audit, as the guide for pruning describes."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only"))
        yield
        connection.execute(sa.text("ALTER TABLE audit_events ENABLE TRIGGER audit_events_append_only"))
        return
    query = "SELECT sql FROM sqlite_master WHERE name = 'audit_events_no_delete'"
    made = connection.execute(sa.text(query)).scalar_one()
    connection.execute(sa.text("DROP TRIGGER audit_events_no_delete"))
    yield
    connection.exec_driver_sql(made)


def _emptied(engine: Engine) -> Callable[[], Any]:
    @contextmanager
    def database() -> Iterator[SqlDatabase]:
        with engine.begin() as connection, _audit_can_go(connection):
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            for table in ("workflow_observations", "airflow_state", "workflow_runs", "workflows", "observation"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        yield SqlDatabase(engine)

    return database
