"""Tests of the SQL adapter beyond the port: connections, failures, storage and migrations."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from attrs import evolve
from sqlalchemy import event, exc

from tests.support.paths import PYTHONPATH
from workflow_adapters.sql import HEAD, SqlDatabase, current_revision, make_engine, upgrade
from workflow_adapters.sql.columns import UtcDateTime, dump_json
from workflow_adapters.sql.errors import place, unavailable, violated
from workflow_adapters.sql.mapping import (
    RUN_IDENTITY,
    WORKFLOW_IDENTITY,
    backfill_of,
    changes,
    new_backfill_row,
    new_run_row,
    run_of,
    workflow_of,
    workflow_row,
)
from workflow_adapters.sql.migrations import alembic_config
from workflow_adapters.sql.tables import backfills, metadata, runs, schema_version, workflows
from workflow_core.domain.backfill import SkippedDate
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import Progress, RunStatus
from workflow_core.domain.workflow import Pause, WorkflowStatus
from workflow_core.errors import ConfigurationError, DatabaseUnavailable
from workflow_core.testing.entities import AT, a_backfill, a_run, a_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/workflows.db"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """A migrated SQLite file."""
    engine = make_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and sends nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


class TestMapping:
    def test_a_workflow_survives_its_row(self) -> None:
        """A workflow becomes a row and the row the same workflow."""
        workflow = a_workflow(pause=Pause(by="paula", at=AT, reason="why"), airflow_paused=False)
        assert workflow_of(workflow_row(workflow)) == workflow

    def test_a_run_survives_its_row(self) -> None:
        """A run becomes a row and the row the same run."""
        progress = Progress(total_tasks=2, completed_tasks=1, failed_tasks=0, current_task="load")
        run = a_run(a_workflow(), progress=progress, logical_date=AT)
        assert run_of(new_run_row(run)) == run

    def test_a_backfill_survives_its_row(self) -> None:
        """A backfill becomes a row and the row the same backfill."""
        skipped = SkippedDate(date=AT.date(), run_id="r", status=RunStatus.SUCCESS)
        backfill = a_backfill(a_workflow(), skipped=(skipped,), accepted=("r1",))
        assert backfill_of(new_backfill_row(backfill)) == backfill

    @pytest.mark.parametrize(
        ("row", "table"),
        [
            (workflow_row(a_workflow()), workflows),
            (new_run_row(a_run(a_workflow())), runs),
            (new_backfill_row(a_backfill(a_workflow())), backfills),
        ],
    )
    def test_a_row_has_every_column(self, row: dict[str, Any], table: sa.Table) -> None:
        """No column is forgotten, none is invented."""
        assert set(row) == set(table.columns.keys())

    def test_the_spec_of_a_row_is_plain_json(self) -> None:
        """The stored spec is JSON with only what the YAML says."""
        spec = workflow_row(a_workflow())["spec"]
        assert json.loads(dump_json(spec)) == spec
        assert spec["params"] == {"region": {"default": "EU"}, "limit": {"default": 10, "enum": [10, 20]}}
        assert spec["tasks"][1]["retries"] == 2

    def test_a_save_writes_all_but_the_identity(self) -> None:
        """The changes of a row leave out what identifies it and raise the version."""
        row = workflow_row(a_workflow(version=4))
        written = changes(row, WORKFLOW_IDENTITY)
        assert set(row) - set(written) == {"id", "dataset_name", "dag_id"}
        assert (written["version"], row["version"]) == (5, 4)
        assert set(RUN_IDENTITY) <= set(runs.columns.keys())


class TestColumns:
    def test_a_naive_time_is_rejected(self) -> None:
        """A time without a zone is ambiguous."""
        with pytest.raises(ValueError, match="no time zone"):
            UtcDateTime().process_bind_param(datetime(2026, 1, 1), sa.make_url("sqlite://").get_dialect()())  # noqa: DTZ001

    def test_times_are_stored_in_utc(self, engine: sa.Engine) -> None:
        """The file contains the time in UTC, in a form that sorts as text."""
        seoul = AT.replace(microsecond=0).astimezone(timezone(timedelta(hours=9)))
        SqlDatabase(engine).observations.save_observed_until(seoul)
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT until FROM observation")).scalar() == "2026-01-01 10:00:00.000000"

    def test_times_are_read_in_utc(self) -> None:
        """A driver that returns times in the session's zone makes no difference."""
        value = AT.astimezone(timezone(timedelta(hours=9)))
        read = UtcDateTime().process_result_value(value, sa.make_url("sqlite://").get_dialect()())
        assert read is not None
        assert (read, read.tzinfo) == (AT, UTC)

    def test_json_is_compact_and_readable(self) -> None:
        """There are no spaces, and letters are not escaped."""
        assert dump_json({"ä": [1, 1.5, True, None, "数据\n"]}) == '{"ä":[1,1.5,true,null,"数据\\n"]}'

    @pytest.mark.parametrize("value", [1e16, 1e22, 1.5e300, sys.float_info.max, -1e100])
    def test_large_floats_keep_their_point(self, value: float) -> None:
        """Written without exponent and with a point, a decimal column gives a float back."""
        text = dump_json(value)
        assert text.endswith(".0")
        assert "e" not in text
        assert json.loads(text) == value

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"x": float("-inf")}]])
    def test_numbers_that_json_lacks_are_rejected(self, value: object) -> None:
        """NaN and the infinities are not JSON."""
        with pytest.raises(ValueError, match="JSON has no number"):
            dump_json(value)

    @pytest.mark.parametrize("value", [{1: "x"}, {"x": {None: 1}}, {"x": AT}, {"x": {1, 2}}])
    def test_values_that_json_lacks_are_rejected(self, value: object) -> None:
        """Keys must be text, and no value is converted to text silently."""
        with pytest.raises(TypeError):
            dump_json(value)


class TestEngine:
    def test_sqlite_is_set_up(self, engine: sa.Engine) -> None:
        """Each connection has foreign keys, WAL, full sync, and the configured busy timeout."""
        with make_engine(engine.url, lock_timeout=1.5).connect() as connection:
            names = ("foreign_keys", "journal_mode", "synchronous", "busy_timeout")
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
        connection.engine.dispose()
        assert found == [1, "wal", 2, 1500]

    def test_postgres_is_set_up(self) -> None:
        """Each wait is limited, and sessions are in UTC."""
        engine = make_engine("postgres://u:p@h/d", connect_timeout=3, statement_timeout=1.5, lock_timeout=0.5)
        _, arguments = engine.dialect.create_connect_args(engine.url)
        assert engine.dialect.driver == "psycopg"
        given = _arguments(engine)
        assert given["connect_timeout"] == 3
        assert given["options"] == "-c timezone=UTC -c statement_timeout=1500 -c lock_timeout=500"
        assert given["tcp_user_timeout"] == 1500
        assert arguments["host"] == "h"

    def test_options_of_the_url_are_kept(self) -> None:
        """Server options in the URL are still requested."""
        engine = make_engine("postgresql://h/d?options=-csearch_path%3Dworkflows")
        given = _arguments(engine)
        assert given["options"].startswith("-csearch_path=workflows -c timezone=UTC ")

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
    def test_sqlite_in_memory_is_rejected(self, url: str) -> None:
        """Each connection would have a separate empty database."""
        with pytest.raises(ConfigurationError, match="SQLite needs a file"):
            make_engine(url)

    @pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "secret", "", "postgresql+asyncpg://u:secret@h/d"])
    def test_an_unsupported_url_is_rejected_without_its_password(self, url: str) -> None:
        """The message contains the expected form and no credentials."""
        with pytest.raises(ConfigurationError, match="postgresql") as caught:
            make_engine(url)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_readers_and_the_writer_do_not_wait(self, engine: sa.Engine) -> None:
        """During a write transaction, others read the previous state."""
        port = SqlDatabase(engine)
        port.workflows.add_workflow(a_workflow("a.b"))
        with sqlite3.connect(str(engine.url.database)) as writer:
            writer.execute("DELETE FROM workflows")
            assert port.workflows.workflow("a.b") is not None
        writer.close()

    def test_the_wait_for_a_write_lock_is_limited(self, engine: sa.Engine) -> None:
        """A writer that does not finish makes others fail, with no change and an intact pool."""
        impatient = make_engine(engine.url, lock_timeout=0.1, pool_size=1, pool_timeout=0.1)
        port = SqlDatabase(impatient)
        with sqlite3.connect(str(engine.url.database), isolation_level=None) as writer:
            writer.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable):
                    port.observations.save_observed_until(AT)
            writer.execute("ROLLBACK")
        writer.close()
        assert port.observations.observed_until() is None
        port.observations.save_observed_until(AT)
        assert port.observations.observed_until() == AT
        impatient.dispose()


class _StopError(Exception):
    pass


def _arguments(engine: sa.Engine) -> dict[str, Any]:
    """What the driver would be called with; it is not."""
    given: dict[str, Any] = {}

    @event.listens_for(engine, "do_connect")
    def stop(_dialect: object, _record: object, _positional: object, named: dict[str, Any]) -> None:
        given.update(named)
        raise _StopError

    with pytest.raises(_StopError):
        engine.connect()
    return given


class TestErrors:
    def test_a_closed_port_is_unavailable(self, closed_port: int) -> None:
        """The failure is immediate, and the message contains no user or password."""
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable) as caught:
            SqlDatabase(make_engine(f"postgresql://paula:secret@127.0.0.1:{closed_port}/d")).check()
        assert time.monotonic() - started < 5
        assert f"'127.0.0.1:{closed_port}/d'" in str(caught.value)
        assert "secret" not in repr(caught.value) + repr(caught.value.__cause__)
        assert "paula" not in str(caught.value)

    def test_a_silent_server_is_unavailable_in_bounded_time(self, silent_port: int) -> None:
        """A server that accepts and sends nothing is aborted after the connect timeout."""
        started = time.monotonic()
        engine = make_engine(f"postgresql://u:p@127.0.0.1:{silent_port}/d", connect_timeout=2)
        with pytest.raises(DatabaseUnavailable):
            SqlDatabase(engine).check()
        assert time.monotonic() - started < 8

    def test_an_exhausted_pool_is_unavailable(self, url: str) -> None:
        """If no connection becomes free in time, that is an outage, not a crash."""
        engine = make_engine(url, pool_size=1, pool_timeout=0.05)
        with engine.connect(), pytest.raises(DatabaseUnavailable, match="no connection left"):
            SqlDatabase(engine).observations.observed_until()
        engine.dispose()

    def test_a_file_that_is_not_a_database_is_unavailable(self, tmp_path: Path) -> None:
        """Any file that is not an SQLite database is an outage."""
        path = tmp_path / "workflows.db"
        path.write_text("not a database, but long enough to have a header" * 100)
        with pytest.raises(DatabaseUnavailable):
            SqlDatabase(make_engine(f"sqlite:///{path}")).observations.observed_until()

    def test_a_missing_schema_is_unavailable(self, url: str) -> None:
        """The message contains the command that creates the tables."""
        engine = make_engine(url)
        port = SqlDatabase(engine)
        for ask in (port.check, port.observations.observed_until):
            with pytest.raises(DatabaseUnavailable, match="Run `dli db upgrade`"):
                ask()
        engine.dispose()

    @pytest.mark.parametrize("revision", ["0001", "abc"])
    def test_an_earlier_revision_is_unavailable(self, engine: sa.Engine, revision: str) -> None:
        """A schema that is older than the code is rejected; the message names both revisions."""
        _mark(engine, revision)
        with pytest.raises(DatabaseUnavailable, match=rf"revision {revision}; {HEAD} is needed.*`dli db upgrade`"):
            SqlDatabase(engine).check()

    def test_a_later_revision_is_accepted(self, engine: sa.Engine) -> None:
        """While the next version is rolled out, this one continues; its upgrade changes nothing."""
        _mark(engine, "9999")
        SqlDatabase(engine).check()
        assert upgrade(engine) == "9999"

    def test_an_unexpected_violation_is_not_swallowed(self, engine: sa.Engine) -> None:
        """A violation that no rule of the port covers is a programming error, and stays visible as one."""
        port = SqlDatabase(engine)
        workflow = a_workflow("a.b")
        port.workflows.add_workflow(workflow)
        with pytest.raises(exc.IntegrityError):
            port.workflows.add_workflow(a_workflow("a.c", id=workflow.id))
        with pytest.raises(exc.IntegrityError):
            port.workflows.add_run(evolve(a_run(workflow), triggered_by=None))  # type: ignore[arg-type]

    def test_a_programming_error_is_not_an_outage(self, engine: sa.Engine) -> None:
        """Errors in statements are raised unchanged."""
        with pytest.raises(exc.ProgrammingError), unavailable(engine):
            raise exc.ProgrammingError("SELEC", {}, Exception("syntax error"))

    @pytest.mark.parametrize(
        ("said", "name"),
        [
            ("UNIQUE constraint failed: workflows.dag_id", "uq_workflows_dag_id"),
            (
                "UNIQUE constraint failed: workflow_runs.dag_id, workflow_runs.airflow_run_id",
                "uq_workflow_runs_dag_id_airflow_run_id",
            ),
            ("FOREIGN KEY constraint failed", ""),
            ("NOT NULL constraint failed: workflows.owner", ""),
            ("CHECK constraint failed: ck_observation_one_row", ""),
        ],
    )
    def test_the_violated_constraint_of_sqlite(self, said: str, name: str) -> None:
        """The constraint in SQLite's message has the name that PostgreSQL would report."""
        assert violated(exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError(said))) == name

    def test_the_place_has_no_credentials(self) -> None:
        """The address of a database is displayed without user and password."""
        assert place(make_engine("postgresql://u:p@db.example.com:5433/w")) == "'db.example.com:5433/w'"
        assert place(make_engine("sqlite:////data/w.db")) == "'/data/w.db'"


def _mark(engine: sa.Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {schema_version} SET version_num = '{revision}'"))


class TestMigrations:
    def test_a_new_database_has_no_revision(self, url: str) -> None:
        """Before the first upgrade there is no revision, and reading it creates none."""
        engine = make_engine(url)
        assert current_revision(engine) is None
        assert current_revision(engine) is None
        engine.dispose()

    def test_an_upgrade_leads_to_the_head(self, engine: sa.Engine) -> None:
        """After an upgrade the schema matches the code, and a second upgrade changes nothing."""
        SqlDatabase(engine).observations.save_observed_until(AT)
        assert (upgrade(engine), current_revision(engine)) == (HEAD, HEAD)
        assert SqlDatabase(engine).observations.observed_until() == AT

    def test_the_head_is_the_newest_revision(self) -> None:
        """The constant that is compared with the database names the last migration."""
        assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]

    def test_migrations_and_tables_agree(self, engine: sa.Engine) -> None:
        """Alembic finds no difference between the migrations and the tables in code."""
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": schema_version})
            assert compare_metadata(context, metadata) == []

    def test_migrations_and_tables_have_the_same_statements(self, engine: sa.Engine, tmp_path: Path) -> None:
        """Both produce the same statements, including conditions and checks that Alembic does not compare."""
        direct = make_engine(f"sqlite:///{tmp_path}/direct.db")
        metadata.create_all(direct)
        # the tables in code do not define triggers; the contract suite verifies them
        made = {one for one in _statements(engine) if not one.startswith("CREATE TRIGGER")}
        assert made - {schema_version} == _statements(direct)
        direct.dispose()

    def test_a_failed_upgrade_leaves_nothing(self, url: str) -> None:
        """An upgrade is applied completely or not at all."""
        engine = make_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE workflow_runs (mine TEXT)"))
        with pytest.raises(DatabaseUnavailable):
            upgrade(engine)
        assert sa.inspect(engine).get_table_names() == ["workflow_runs"]
        engine.dispose()

    def test_concurrent_upgrades_succeed(self, tmp_path: Path) -> None:
        """Services that start together on a new file all succeed, and all see the schema."""
        program = (
            "import sys; from workflow_adapters.sql import *\n"
            "engine = make_engine('sqlite:///' + sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
            "upgrade(engine); SqlDatabase(engine).check()"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "new.db")]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started: list[Any] = [subprocess.Popen(command, **pipes, env={"PYTHONPATH": PYTHONPATH}) for _ in range(4)]
        assert [process.stdout.readline() for process in started] == [b"ready\n"] * 4
        for process in started:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        ends = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
        assert ends == [(b"", 0)] * 4


def _statements(engine: sa.Engine) -> set[str]:
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name <> :version"
    with engine.connect() as connection:
        found = connection.execute(sa.text(query), {"version": schema_version}).scalars()
        return {_in_any_order(" ".join(statement.split())) for statement in found}


def _in_any_order(statement: str) -> str:
    """The statement with the parts of a table sorted, because an added column comes after the constraints."""
    head, bracket, body = statement.partition("(")
    if not statement.startswith("CREATE TABLE"):
        return statement
    parts, depth = [""], 0
    for character in body.rpartition(")")[0]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return f"{head}{bracket}{', '.join(sorted(part.strip() for part in parts))})"


class TestIndexes:
    """Each query of the port is answered from an index, in its order."""

    @pytest.mark.parametrize(
        ("call", "index"),
        [
            (lambda port: port.workflows.workflow("a.b"), "uq_workflows_dataset_name"),
            (lambda port: port.workflows.list_workflows(WorkflowFilter(), PageRequest()), "uq_workflows_dataset_name"),
            (lambda port: port.workflows.workflow_by_dag("a_b"), "uq_workflows_dag_id"),
            (lambda port: port.workflows.workflow_by_id(a_workflow().id), "sqlite_autoindex_workflows"),
            (
                lambda port: port.workflows.list_workflows(WorkflowFilter(owner="x"), PageRequest()),
                "ix_workflows_owner_dataset_name",
            ),
            (lambda port: port.workflows.list_workflows(_status("disabled"), PageRequest()), "ix_workflows_disabled"),
            (lambda port: port.workflows.list_workflows(_status("paused"), PageRequest()), "ix_workflows_paused"),
            (lambda port: port.code_objects.code_objects(), "code_objects"),
            (lambda port: port.workflows.run("r"), "sqlite_autoindex_workflow_runs"),
            (lambda port: port.workflows.runs_by_airflow_id([("d", "r")]), "sqlite_autoindex_workflow_runs"),
            (lambda port: port.workflows.history(HistoryFilter(), PageRequest()), "ix_workflow_runs_started_at_run_id"),
            (
                lambda port: port.workflows.history(HistoryFilter(dataset_name="a.b"), PageRequest()),
                "ix_workflow_runs_dataset_name_started_at_run_id",
            ),
            (lambda port: port.workflows.last_runs(["a.b"]), "ix_workflow_runs_dataset_name_started_at_run_id"),
            (lambda port: port.workflows.runs_to_send(5, sent_before=AT), "ix_workflow_runs_to_send"),
            (lambda port: port.workflows.stopping_runs(5), "ix_workflow_runs_stopping"),
            (lambda port: port.workflows.retrying_runs(5), "ix_workflow_runs_retrying"),
            (lambda port: port.workflows.active_runs(a_workflow()), "ix_workflow_runs_active"),
            (
                lambda port: port.workflows.dated_runs(a_workflow(), AT.date(), AT.date()),
                "ix_workflow_runs_workflow_id_run_date_started_at_run_id",
            ),
            (lambda port: port.backfills.backfill("b"), "sqlite_autoindex_backfills"),
            (lambda port: port.backfills.backfill_runs("b"), "ix_workflow_runs_backfill"),
            (
                lambda port: port.backfills.list_backfills("a.b", PageRequest()),
                "ix_backfills_dataset_name_created_at_backfill_id",
            ),
        ],
    )
    def test_a_query_has_its_index(self, engine: sa.Engine, call: Any, index: str) -> None:
        """The plan names the index and contains no sort."""
        plan = _plan(engine, call)
        assert any(name in plan for name in index.split("|")), plan
        assert "TEMP B-TREE" not in plan, plan

    def test_ended_backfills_are_not_read(self, engine: sa.Engine) -> None:
        """Backfills to advance are found from the active runs; only those few are sorted."""
        plan = _plan(engine, lambda port: port.backfills.active_backfills(5))
        assert "SCAN backfills" not in plan, plan
        assert "SEARCH workflow_runs USING INDEX ix_workflow_runs_active_slots" in plan, plan

    def test_runs_of_backfills_are_counted_from_an_index(self, engine: sa.Engine) -> None:
        """They are counted by backfill, without reading the runs of others."""
        plan = _plan(engine, lambda port: port.backfills.backfill_counts(["b"]))
        assert "ix_workflow_runs_backfill" in plan, plan

    def test_unsettled_workflows_are_found_by_their_index(self, engine: sa.Engine) -> None:
        """Only open workflows are sorted; settled ones are not read."""
        plan = _plan(engine, lambda port: port.workflows.unsettled_workflows(5))
        assert "SCAN workflows USING INDEX ix_workflows_unsettled" in plan, plan


def _plan(engine: sa.Engine, call: Any) -> str:
    """The plan of the call's query, without the total count of a list."""
    plans: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and not statement.startswith("SELECT count("):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(" / ".join(row[3] for row in cursor.fetchall()))

    call(SqlDatabase(engine))
    [plan] = plans
    return plan


def _status(status: str) -> WorkflowFilter:
    return WorkflowFilter(status=WorkflowStatus(status))
